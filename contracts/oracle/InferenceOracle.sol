// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IInferenceConsumer} from "../interfaces/IInferenceConsumer.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {DIGEST_MASK, Record, record, settled} from "../types/Record.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";

/// @title Escrow and settlement of inferences; the rules are in IInferenceOracle.
contract InferenceOracle is IInferenceOracle {
    /// @dev Bytes of an input or an output: they are logged, and a claim must fit a transaction.
    uint256 internal constant MAX_BYTES = 24_000;
    uint256 internal constant MAX_CALLBACK_GAS = 2_000_000;
    /// @dev Longer waits are taken for a mistake (milliseconds, say).
    uint256 internal constant MAX_WAIT = 30 days;
    /// @dev W_max: what stands provisionally this long after the deadline is given back.
    uint256 internal constant MAX_CONTEST = 7 days;
    /// @dev A payment is pushed with this much gas (a contract wallet needs some 7,000).
    uint256 internal constant PUSH_GAS = 30_000;
    /// @dev A call to a cold account with value (11,600), and the work that follows it.
    uint256 internal constant PUSH_RESERVE = 40_000;
    /// @dev A call to a cold account (2,600), then a flag and an event.
    uint256 internal constant CALLBACK_RESERVE = 10_000;

    /// @inheritdoc IInferenceOracle
    uint256 public immutable chainId = block.chainid;
    /// @inheritdoc IInferenceOracle
    mapping(address account => uint256) public credit;
    /// @inheritdoc IInferenceOracle
    mapping(address requester => bool) public wantsProvisional;
    mapping(bytes32 requestId => Record) private _records;

    /// @inheritdoc IInferenceOracle
    function request(Request calldata request_, bytes calldata input)
        external
        payable
        returns (bytes32 requestId)
    {
        if (request_.requester != msg.sender) {
            revert WrongRequester(msg.sender, request_.requester);
        }
        if (request_.refundTo == address(0)) revert ZeroAddress();
        if (input.length == 0 || input.length > MAX_BYTES) {
            revert WrongInputSize(MAX_BYTES, input.length);
        }
        _checkInput(request_, input);
        if (request_.callbackGas > MAX_CALLBACK_GAS) {
            revert CallbackGasTooHigh(MAX_CALLBACK_GAS, request_.callbackGas);
        }
        if (request_.deadline < block.timestamp || request_.deadline > block.timestamp + MAX_WAIT) {
            revert DeadlineOutOfRange(
                block.timestamp, block.timestamp + MAX_WAIT, request_.deadline
            );
        }
        if (msg.value != _cost(request_)) revert WrongPayment(_cost(request_), msg.value);
        if (request_.assurance.code.length == 0) revert NotAContract(request_.assurance);
        requestId = idOf(request_);
        if (_records[requestId].status() != Status.None) revert DuplicateRequest(requestId);

        _records[requestId] = record(Status.Open, 0, 0);

        emit Requested(requestId, request_.modelId, msg.sender, request_, input);

        IAssurance(request_.assurance).admit(requestId, request_);
    }

    /// @inheritdoc IInferenceOracle
    function answer(
        Request calldata request_,
        bytes calldata input,
        address payee,
        bytes calldata output,
        bytes calldata evidence
    ) external {
        bytes32 requestId = idOf(request_);
        Record standing = _records[requestId];
        if (standing.status() == Status.Open) {
            if (block.timestamp > request_.deadline) {
                revert DeadlinePassed(request_.deadline, block.timestamp);
            }
        } else if (standing.status() != Status.Provisional) {
            revert WrongStatus(requestId, standing.status());
        }
        if (payee == address(0)) revert ZeroAddress();
        if (output.length == 0 || output.length > MAX_BYTES) {
            revert WrongOutputSize(MAX_BYTES, output.length);
        }
        _checkInput(request_, input);

        bytes32 digest = claimDigest(payee, output);
        _records[requestId] = standing.at(Status.Judging);

        Claim memory claim = Claim({
            requestId: requestId,
            context: _context(request_, requestId, payee),
            sender: msg.sender,
            payee: payee,
            standing: standing.digest(),
            since: standing.since(),
            digest: digest
        });
        Status verdict =
            IAssurance(request_.assurance).judge(request_, claim, input, output, evidence);

        if (verdict == Status.Final) {
            Record done = settled(digest, evidence.length != 0);
            _records[requestId] = done;
            emit Answered(requestId, payee, Status.Final, output);
            _pay(payee, _cost(request_));
            if (request_.callbackGas != 0) {
                bool delivered =
                    _callBack(request_, requestId, Status.Final, output, request_.callbackGas);
                if (!delivered) _records[requestId] = done.fail(true);
                emit CalledBack(requestId, delivered);
            }
        } else if (verdict == Status.Provisional) {
            _records[requestId] = record(Status.Provisional, digest, block.timestamp);
            emit Answered(requestId, payee, Status.Provisional, output);
        } else if (verdict == Status.Retracted) {
            _giveBack(request_, requestId, Status.Retracted);
        } else {
            revert WrongVerdict(verdict);
        }
    }

    /// @inheritdoc IInferenceOracle
    function refund(Request calldata request_) external {
        bytes32 requestId = idOf(request_);
        Status status = _records[requestId].status();
        uint256 deadline = request_.deadline;
        if (status == Status.Provisional) deadline += MAX_CONTEST;
        else if (status != Status.Open) revert WrongStatus(requestId, status);
        if (block.timestamp <= deadline) revert DeadlineNotPassed(deadline, block.timestamp);

        _giveBack(request_, requestId, Status.Refunded);
    }

    /// @inheritdoc IInferenceOracle
    function retryCallback(Request calldata request_, address payee, bytes calldata output)
        external
    {
        bytes32 requestId = idOf(request_);
        Record done = _records[requestId];
        if (!done.callbackFailed()) revert NothingToRetry(requestId);
        bytes32 digest = claimDigest(payee, output);
        if (digest != done.digest()) revert WrongClaim(done.digest(), digest);

        _records[requestId] = done.fail(false);

        emit CalledBack(requestId, true);

        if (!_callBack(request_, requestId, Status.Final, output, gasleft())) {
            revert CallbackFailed(requestId);
        }
    }

    /// @inheritdoc IInferenceOracle
    function wantProvisional(bool wanted) external {
        wantsProvisional[msg.sender] = wanted;

        emit ProvisionalWanted(msg.sender, wanted);
    }

    /// @inheritdoc IInferenceOracle
    function deliver(Request calldata request_, address payee, bytes calldata output) external {
        if (!wantsProvisional[request_.requester]) revert NotWanted(request_.requester);
        bytes32 requestId = idOf(request_);
        Record held = _records[requestId];
        Status status = held.status();
        bool stands = status == Status.Provisional;
        if (!stands && status != Status.Retracted && status != Status.Refunded) {
            revert WrongStatus(requestId, status);
        }
        bytes32 digest = claimDigest(payee, output);
        if (digest != held.digest()) revert WrongClaim(held.digest(), digest);
        if (held.told() == stands) revert NothingToDeliver(requestId);

        _records[requestId] = held.tell(stands);

        emit Delivered(requestId, status);

        if (!_callBack(request_, requestId, status, output, gasleft())) {
            revert CallbackFailed(requestId);
        }
    }

    /// @inheritdoc IInferenceOracle
    function withdraw(address to) external returns (uint256 amount) {
        amount = credit[msg.sender];
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        if (to == address(0)) revert ZeroAddress();

        credit[msg.sender] = 0;

        emit Withdrawn(msg.sender, to, amount);

        if (!_send(to, amount, gasleft())) revert TransferFailed(to, amount);
    }

    /// @inheritdoc IInferenceOracle
    function statusOf(bytes32 requestId)
        external
        view
        returns (Status status, bytes32 digest, bool callbackFailed)
    {
        Record held = _records[requestId];
        return (held.status(), held.digest(), held.callbackFailed());
    }

    /// @inheritdoc IInferenceOracle
    function claimOf(bytes32 requestId)
        external
        view
        returns (Status status, bytes32 digest, uint256 since)
    {
        Record held = _records[requestId];
        return (held.status(), held.digest(), held.since());
    }

    /// @inheritdoc IInferenceOracle
    function wasProved(bytes32 requestId) external view returns (bool) {
        return _records[requestId].proved();
    }

    /// @inheritdoc IInferenceOracle
    function contextOf(Request calldata request_, address payee) external view returns (bytes32) {
        return _context(request_, idOf(request_), payee);
    }

    /// @inheritdoc IInferenceOracle
    function cost(uint96 fee, uint32 callbackGas, uint64 callbackGasPrice)
        external
        pure
        returns (uint256)
    {
        return uint256(fee) + uint256(callbackGas) * callbackGasPrice;
    }

    /// @inheritdoc IInferenceOracle
    function idOf(Request calldata request_) public view returns (bytes32) {
        return keccak256(abi.encode(chainId, address(this), request_));
    }

    /// @inheritdoc IInferenceOracle
    function claimDigest(address payee, bytes calldata output) public pure returns (bytes32) {
        return keccak256(abi.encode(payee, keccak256(output))) & bytes32(DIGEST_MASK);
    }

    function _context(Request calldata request_, bytes32 requestId, address payee)
        private
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                chainId, address(this), requestId, request_.modelId, request_.inputHash, payee
            )
        );
    }

    function _cost(Request calldata request_) private pure returns (uint256) {
        return request_.fee + uint256(request_.callbackGas) * request_.callbackGasPrice;
    }

    function _checkInput(Request calldata request_, bytes calldata input) private pure {
        bytes32 got = keccak256(input);
        if (got != request_.inputHash) revert WrongInput(request_.inputHash, got);
    }

    function _giveBack(Request calldata request_, bytes32 requestId, Status status) private {
        uint256 amount = _cost(request_);
        _records[requestId] = _records[requestId].at(status);
        emit Returned(requestId, request_.refundTo, status, amount);
        _pay(request_.refundTo, amount);
    }

    /// @dev Settles a payment: pushed if the recipient takes it with little gas, else credited. The
    ///      gas is there in any case, so a sender cannot choose which.
    function _pay(address to, uint256 amount) private {
        if (amount == 0) return;
        uint256 needed = PUSH_GAS + PUSH_RESERVE;
        if (gasleft() < needed) revert NotEnoughGas(needed, gasleft());
        if (_send(to, amount, PUSH_GAS)) return;
        credit[to] += amount;
        emit Credited(to, amount);
    }

    /// @dev Calls the requester with exactly the prepaid gas at least: EIP-150 keeps 1/64 of what is
    ///      left back, and would else pass on less without a word.
    function _callBack(
        Request calldata request_,
        bytes32 requestId,
        Status status,
        bytes calldata output,
        uint256 gasLimit
    ) private returns (bool success) {
        bytes memory data = abi.encodeCall(
            IInferenceConsumer.onInference, (requestId, status, output)
        );
        address consumer = request_.requester;
        uint256 promised = request_.callbackGas;
        uint256 needed = promised + promised / 63 + CALLBACK_RESERVE;
        if (gasleft() < needed) revert NotEnoughGas(needed, gasleft());
        assembly ("memory-safe") {
            success := call(gasLimit, consumer, 0, add(data, 0x20), mload(data), 0, 0)
        }
    }

    function _send(address to, uint256 amount, uint256 gasLimit) private returns (bool success) {
        assembly ("memory-safe") {
            success := call(gasLimit, to, amount, 0, 0, 0, 0)
        }
    }
}
