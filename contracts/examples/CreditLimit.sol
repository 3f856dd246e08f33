// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {WrongLength} from "../types/ProofErrors.sol";
import {InferenceConsumer} from "./InferenceConsumer.sol";

/// @title Lends ether up to limits that a regression model sets; for the Proof tier.
/// @notice The underwriter answers for a borrower's features, the proof for what the model makes of
///         them: the underwriter cannot choose a limit, nor the borrower its features.
contract CreditLimit is InferenceConsumer {
    event Assessing(address indexed borrower, bytes32 indexed requestId);
    event LimitSet(address indexed borrower, uint256 limit, uint256 until);
    event Owes(address indexed borrower, uint256 debt);

    error OnlyUnderwriter(address expected, address got);
    /// @notice No request of ours, or a later one has taken its place.
    error NotTheLatest(bytes32 requestId);
    error AboveLimit(uint256 most, uint256 got);
    error TransferFailed(address to, uint256 amount);

    struct Account {
        uint128 limit;
        uint64 until;
        uint64 askedAt;
        uint128 debt;
        bytes32 latest;
    }

    /// @dev 28,000 measured.
    uint32 internal constant CALLBACK_GAS = 80_000;
    /// @notice A limit counts this long from when its features were handed in.
    uint256 public constant VALIDITY = 30 days;

    bytes32 public immutable modelId;
    address public immutable underwriter;
    /// @notice Wei that 1 of the output's integer stands for.
    uint128 public immutable step;
    /// @notice No limit is above this, whatever the model says.
    uint128 public immutable cap;
    mapping(address borrower => Account) public accounts;
    mapping(bytes32 requestId => address) public borrowerOf;

    modifier onlyUnderwriter() {
        if (msg.sender != underwriter) revert OnlyUnderwriter(underwriter, msg.sender);
        _;
    }

    constructor(
        IInferenceOracle oracle_,
        IAssurance assurance_,
        bytes32 modelId_,
        uint128 step_,
        uint128 cap_
    ) InferenceConsumer(oracle_, assurance_) {
        (modelId, underwriter, step, cap) = (modelId_, msg.sender, step_, cap_);
    }

    /// @dev What is lent.
    receive() external payable {}

    /// @notice Asks for a borrower's limit; takes the place of any request before. By the underwriter,
    ///         who gets the payment back if nobody answers: the limit then stays what it was.
    /// @param features quantised, as the model's quantiser says
    function assess(address borrower, bytes calldata features, uint64 deadline)
        external
        payable
        onlyUnderwriter
        returns (bytes32 requestId)
    {
        uint64 price = uint64(msg.value / 2 / CALLBACK_GAS); // half for the callback, half the fee
        uint96 fee = uint96(msg.value - oracle.cost(0, CALLBACK_GAS, price));
        requestId = _request(modelId, 0, features, fee, CALLBACK_GAS, price, deadline, msg.sender);
        borrowerOf[requestId] = borrower;
        Account storage account = accounts[borrower];
        (account.latest, account.askedAt) = (requestId, uint64(block.timestamp));
        emit Assessing(borrower, requestId);
    }

    /// @notice Borrows, up to the caller's limit.
    function draw(uint128 amount) external {
        uint256 left = available(msg.sender);
        if (amount > left) revert AboveLimit(left, amount);
        accounts[msg.sender].debt += amount;
        emit Owes(msg.sender, accounts[msg.sender].debt);
        _send(msg.sender, amount);
    }

    /// @notice Pays a debt back; by anyone.
    function repay(address borrower) external payable {
        accounts[borrower].debt -= uint128(msg.value); // reverts above the debt
        emit Owes(borrower, accounts[borrower].debt);
    }

    /// @notice Takes out what is not lent; by the underwriter.
    function withdraw(uint256 amount) external onlyUnderwriter {
        _send(msg.sender, amount);
    }

    /// @notice What a borrower may still draw; nothing once its limit has aged.
    function available(address borrower) public view returns (uint256) {
        Account storage account = accounts[borrower];
        if (block.timestamp > account.until || account.debt >= account.limit) return 0;
        return account.limit - account.debt;
    }

    /// @dev Other answers than the latest request's are refused, for good.
    function _fulfil(bytes32 requestId, bytes calldata output) internal override {
        address borrower = borrowerOf[requestId];
        Account storage account = accounts[borrower];
        if (borrower == address(0) || account.latest != requestId) revert NotTheLatest(requestId);
        if (output.length != 2) revert WrongLength(2, output.length);
        int256 score = int16(uint16(bytes2(output)));
        uint256 limit = score > 0 ? uint256(score) * step : 0;
        account.limit = limit < cap ? uint128(limit) : cap;
        account.until = uint64(account.askedAt + VALIDITY);
        emit LimitSet(borrower, account.limit, account.until);
    }

    function _send(address to, uint256 amount) private {
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert TransferFailed(to, amount);
    }
}
