// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {WrongLength} from "../types/ProofErrors.sol";
import {Terms, toTerms} from "../types/Terms.sol";
import {InferenceConsumer} from "./InferenceConsumer.sol";

/// @title A board whose posts appear once a classifier found them harmless; for the committee tier.
/// @notice The classifier sees how often each letter occurs (32 counts, by a character's lowest five
///         bits, 15 at most), which this contract counts itself, so that the text judged is the text
///         posted. Its two outputs are the scores of harmless and harmful.
contract ModerationGate is InferenceConsumer {
    event Submitted(bytes32 indexed postId, address indexed author, string text);
    event Stands(bytes32 indexed postId, Standing standing);

    error WrongTextSize(uint256 max, uint256 got);
    error PaymentTooSmall(uint256 min, uint256 got);
    error OnlyAuthor(address expected, address got);
    error NotPending(bytes32 postId);
    error WrongExponent(uint256 most, uint256 got);

    /// @notice Lapsed: there will be no answer (none came, or members disagreed); the author was paid
    ///         back, and may submit the text again.
    enum Standing {
        Unknown,
        Pending,
        Published,
        Rejected,
        Withdrawn,
        Lapsed
    }

    struct Post {
        address author;
        Standing standing;
    }

    uint256 internal constant BUCKETS = 32;
    uint256 internal constant MOST_COUNT = 15;
    uint256 internal constant MOST_TEXT = 280;
    /// @dev 13,000 measured.
    uint32 internal constant CALLBACK_GAS = 50_000;
    /// @notice Wei that this board gets if its committee signed a wrong answer.
    uint256 public constant COVERAGE = 0.1 ether;

    bytes32 public immutable modelId;
    /// @notice A count of 1 is 2^exponent in the integers of the model's input; at most 11.
    uint8 public immutable inputExponent;
    mapping(bytes32 postId => Post) private _posts;

    constructor(
        IInferenceOracle oracle_,
        IAssurance assurance_,
        bytes32 modelId_,
        uint8 inputExponent_
    ) InferenceConsumer(oracle_, assurance_) {
        if (inputExponent_ > 11) revert WrongExponent(11, inputExponent_); // 15 must fit int16
        (modelId, inputExponent) = (modelId_, inputExponent_);
    }

    /// @dev Compensation for a wrong answer.
    receive() external payable {}

    /// @notice Hands a post in. What is sent beyond the prepaid callback is the fee; all of it comes
    ///         back to the author if no answer becomes final.
    function submit(string calldata text, uint64 callbackGasPrice, uint64 deadline)
        external
        payable
        returns (bytes32 postId)
    {
        uint256 prepaid = oracle.cost(0, CALLBACK_GAS, callbackGasPrice);
        if (msg.value < prepaid) revert PaymentTooSmall(prepaid, msg.value);
        postId = _request(
            modelId,
            bytes32(Terms.unwrap(toTerms(uint40(COVERAGE / 1 gwei), 60, 0, 0))),
            features(text),
            uint96(msg.value - prepaid),
            CALLBACK_GAS,
            callbackGasPrice,
            deadline,
            msg.sender
        );
        _posts[postId] = Post(msg.sender, Standing.Pending);
        emit Submitted(postId, msg.sender, text);
    }

    /// @notice Takes a post back before it was judged: a late answer then publishes nothing.
    function withdraw(bytes32 postId) external {
        Post storage post = _posts[postId];
        if (msg.sender != post.author) revert OnlyAuthor(post.author, msg.sender);
        if (post.standing != Standing.Pending) revert NotPending(postId);
        post.standing = Standing.Withdrawn;
        emit Stands(postId, Standing.Withdrawn);
    }

    function standingOf(bytes32 postId) external view returns (Standing standing) {
        standing = _posts[postId].standing;
        if (standing == Standing.Pending && _isReturned(postId)) return Standing.Lapsed;
    }

    /// @notice The model's input for a text.
    function features(string calldata text) public view returns (bytes memory cells) {
        uint256 size = bytes(text).length;
        if (size == 0 || size > MOST_TEXT) revert WrongTextSize(MOST_TEXT, size);
        uint256[BUCKETS] memory counts;
        for (uint256 i; i < size; ++i) {
            uint256 bucket = uint8(bytes(text)[i]) % BUCKETS;
            if (counts[bucket] < MOST_COUNT) ++counts[bucket];
        }
        for (uint256 i; i < BUCKETS; ++i) {
            cells = bytes.concat(cells, bytes2(uint16(counts[i] << inputExponent)));
        }
    }

    function _fulfil(bytes32 postId, bytes calldata output) internal override {
        Post storage post = _posts[postId];
        if (post.standing != Standing.Pending) revert NotPending(postId);
        if (output.length != 4) revert WrongLength(4, output.length);
        int16 harmless = int16(uint16(bytes2(output)));
        int16 harmful = int16(uint16(bytes2(output[2:])));
        post.standing = harmless > harmful ? Standing.Published : Standing.Rejected;
        emit Stands(postId, post.standing);
    }
}
