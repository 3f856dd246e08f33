// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {WrongLength} from "../types/ProofErrors.sol";
import {Terms, toTerms} from "../types/Terms.sol";
import {InferenceConsumer} from "./InferenceConsumer.sol";

/// @title A board whose posts appear once a classifier found them harmless; for the committee tier.
/// @notice The classifier is BERT's kind (all-MiniLM-L6-v2 under a head: docs/dapps.md) and reads 32
///         token ids. Words cannot be cut into tokens on-chain, so a post *is* its ids: what is judged
///         is what is posted, and readers decode it with the tokenizer whose hash is in the model's
///         id. The two outputs are the scores of harmless and harmful.
/// @dev Many lists of ids read alike, and the model knows only those that its tokenizer makes. Show
///      no post whose text, encoded again, comes out as other ids.
contract ModerationGate is InferenceConsumer {
    event Submitted(bytes32 indexed postId, address indexed author, uint16[] ids);
    event Stands(bytes32 indexed postId, Standing standing);

    error WrongPostSize(uint256 max, uint256 got);
    /// @notice An id that no piece of a word has: a mark, one unused, or beyond the vocabulary.
    error NotAPiece(uint256 place, uint256 got);
    error PaymentTooSmall(uint256 min, uint256 got);
    error OnlyAuthor(address expected, address got);
    error NotPending(bytes32 postId);

    /// @notice Lapsed: there will be no answer (none came, or members disagreed); the author was paid
    ///         back, and may submit the post again.
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

    /// @dev BERT's uncased vocabulary: [CLS] and [SEP] stand around a text, 0 is padding, and what
    ///      can be a part of a word, or a sign, begins at 999.
    uint256 internal constant FIRST_PIECE = 999;
    uint256 internal constant VOCABULARY = 30_522;
    bytes2 internal constant CLS = bytes2(uint16(101));
    bytes2 internal constant SEP = bytes2(uint16(102));
    uint256 internal constant MOST_PIECES = 30;
    /// @dev 13,000 measured.
    uint32 internal constant CALLBACK_GAS = 50_000;
    /// @notice Wei that this board gets if a wrong answer is refuted before it is final; not later.
    uint256 public constant COVERAGE = 0.1 ether;

    bytes32 public immutable modelId;
    mapping(bytes32 postId => Post) private _posts;

    constructor(IInferenceOracle oracle_, IAssurance assurance_, bytes32 modelId_)
        InferenceConsumer(oracle_, assurance_)
    {
        modelId = modelId_;
    }

    /// @dev Compensation for an answer that was refuted.
    receive() external payable {}

    /// @notice Hands a post in. What is sent beyond the prepaid callback is the fee; all of it comes
    ///         back to the author if no answer becomes final.
    /// @param ids the text's pieces, without [CLS], [SEP] and padding
    function submit(uint16[] calldata ids, uint64 callbackGasPrice, uint64 deadline)
        external
        payable
        returns (bytes32 postId)
    {
        uint256 prepaid = oracle.cost(0, CALLBACK_GAS, callbackGasPrice);
        if (msg.value < prepaid) revert PaymentTooSmall(prepaid, msg.value);
        postId = _request(
            modelId,
            bytes32(Terms.unwrap(toTerms(uint40(COVERAGE / 1 gwei), 60, 0, 0))),
            inputOf(ids),
            uint96(msg.value - prepaid),
            CALLBACK_GAS,
            callbackGasPrice,
            deadline,
            msg.sender
        );
        _posts[postId] = Post(msg.sender, Standing.Pending);
        emit Submitted(postId, msg.sender, ids);
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

    /// @notice The model's input for a post.
    function inputOf(uint16[] calldata ids) public pure returns (bytes memory cells) {
        if (ids.length == 0 || ids.length > MOST_PIECES) {
            revert WrongPostSize(MOST_PIECES, ids.length);
        }
        cells = bytes.concat(CLS);
        for (uint256 i; i < ids.length; ++i) {
            if (ids[i] < FIRST_PIECE || ids[i] >= VOCABULARY) revert NotAPiece(i, ids[i]);
            cells = bytes.concat(cells, bytes2(ids[i]));
        }
        cells = bytes.concat(cells, SEP, new bytes(2 * (MOST_PIECES - ids.length)));
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
