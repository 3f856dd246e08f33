// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IBisectionAssurance} from "../interfaces/IBisectionAssurance.sol";
import {IBounty} from "../interfaces/IBounty.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";

/// @title Offers for proofs; the rules are in IBounty.
contract Bounty is IBounty {
    IInferenceOracle public immutable oracle;
    /// @inheritdoc IBounty
    IBisectionAssurance public immutable compositions;

    /// @inheritdoc IBounty
    mapping(bytes32 requestId => uint256) public offered;
    /// @inheritdoc IBounty
    mapping(bytes32 requestId => mapping(address giver => uint256)) public givenBy;
    /// @dev Paid out: what was given for it returns to nobody.
    mapping(bytes32 requestId => bool) private _earned;

    constructor(IInferenceOracle oracle_, IBisectionAssurance compositions_) {
        (oracle, compositions) = (oracle_, compositions_);
    }

    /// @inheritdoc IBounty
    function offer(Request calldata request) external payable {
        bytes32 requestId = oracle.idOf(request);
        if (!_isPending(requestId)) revert NotPending(requestId);

        offered[requestId] += msg.value;
        givenBy[requestId][msg.sender] += msg.value;

        emit Offered(requestId, msg.sender, msg.value);
    }

    /// @inheritdoc IBounty
    /// @dev A tier makes a claim final on evidence only if that proves it. Paid before the oracle is
    ///      called, which calls the consumer: nothing can be offered or reclaimed in between.
    function prove(
        Request calldata request,
        bytes calldata input,
        address payee,
        bytes calldata output,
        bytes calldata evidence
    ) external {
        bytes32 requestId = oracle.idOf(request);
        if (!_isPending(requestId)) revert NotPending(requestId);
        if (evidence.length == 0) revert NoEvidence();
        uint256 amount = offered[requestId];

        offered[requestId] = 0;
        _earned[requestId] = true;

        emit Earned(requestId, payee, amount);

        oracle.answer(request, input, payee, output, evidence);
        (Status status,,) = oracle.statusOf(requestId);
        if (status != Status.Final) revert NotFinal(requestId);
        _send(payee, amount);
    }

    /// @inheritdoc IBounty
    function earn(Request calldata request) external {
        bytes32 requestId = oracle.idOf(request);
        if (_isPending(requestId)) revert Pending(requestId);
        address payee = _provedFor(request, requestId);
        if (payee == address(0)) revert NotProved(requestId);
        uint256 amount = offered[requestId];
        if (amount == 0) revert NothingLeft(requestId, payee);

        offered[requestId] = 0;

        emit Earned(requestId, payee, amount);

        _send(payee, amount);
    }

    /// @inheritdoc IBounty
    function reclaim(Request calldata request, address giver) external {
        bytes32 requestId = oracle.idOf(request);
        if (_isPending(requestId)) revert Pending(requestId);
        bool earned = _earned[requestId] || _provedFor(request, requestId) != address(0);
        uint256 amount = givenBy[requestId][giver];
        if (amount == 0 || earned) revert NothingLeft(requestId, giver);

        givenBy[requestId][giver] = 0;
        offered[requestId] -= amount;

        emit Returned(requestId, giver, amount);

        _send(giver, amount);
    }

    /// @dev While a tier judges it is pending neither for offers nor for returns: see `prove`.
    function _isPending(bytes32 requestId) private view returns (bool) {
        (Status status,,) = oracle.statusOf(requestId);
        if (status == Status.None || status == Status.Judging) revert NotPending(requestId);
        return status == Status.Open || status == Status.Provisional;
    }

    /// @dev The payee of a composition's final claim, all segments of which were proved; else zero. What
    ///      it reads no longer changes once the request is settled, so that whether an offer was earned
    ///      or returns is one question with one answer for ever.
    function _provedFor(Request calldata request, bytes32 requestId)
        private
        view
        returns (address)
    {
        if (request.assurance != address(compositions)) return address(0);
        (Status status,,) = oracle.statusOf(requestId);
        if (status != Status.Final) return address(0);
        IBisectionAssurance.Game memory game = compositions.gameOf(requestId);
        bool whole = game.proved == compositions.segmentCount(request.modelId);
        return whole ? game.payee : address(0);
    }

    /// @dev Last in every function that uses it. No return data is copied.
    function _send(address to, uint256 amount) private {
        bool success;
        assembly ("memory-safe") {
            success := call(gas(), to, amount, 0, 0, 0, 0)
        }
        if (!success) revert TransferFailed(to, amount);
    }
}
