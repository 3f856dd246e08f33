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
    function earn(Request calldata request, address payee, bytes calldata output) external {
        bytes32 requestId = oracle.idOf(request);
        if (_isPending(requestId)) revert Pending(requestId);
        if (!_isProved(request, requestId)) revert NotProved(requestId);
        (, bytes32 settled,) = oracle.statusOf(requestId);
        bytes32 digest = oracle.claimDigest(payee, output);
        if (digest != settled) revert WrongClaim(settled, digest);
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
        uint256 amount = givenBy[requestId][giver];
        if (amount == 0 || _isProved(request, requestId)) revert NothingLeft(requestId, giver);

        givenBy[requestId][giver] = 0;
        offered[requestId] -= amount;

        emit Returned(requestId, giver, amount);

        _send(giver, amount);
    }

    /// @dev While a tier judges it is neither pending nor settled: nothing can be offered, earned or
    ///      reclaimed.
    function _isPending(bytes32 requestId) private view returns (bool) {
        (Status status,,) = oracle.statusOf(requestId);
        if (status == Status.None || status == Status.Judging) revert NotPending(requestId);
        return status == Status.Open || status == Status.Provisional;
    }

    /// @dev Of a settled request. What it reads no longer changes then, so that whether an offer was
    ///      earned or returns is one question with one answer for ever.
    function _isProved(Request calldata request, bytes32 requestId) private view returns (bool) {
        if (request.assurance != address(compositions)) return oracle.wasProved(requestId);
        (Status status,,) = oracle.statusOf(requestId);
        return status == Status.Final
            && compositions.gameOf(requestId).proved == compositions.segmentCount(request.modelId);
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
