// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IOptimisticAssurance} from "../interfaces/IOptimisticAssurance.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {hasCommittedOutput} from "../types/Header.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {Terms} from "../types/Terms.sol";
import {Disputes} from "./Disputes.sol";
import {Pinned} from "./Pinned.sol";
import {Tariff} from "./Tariff.sol";

/// @title Answer at once, vouch with stake, prove or lose; the rules are in IOptimisticAssurance.
/// @notice Trusts its oracle, its vault and its verifier, all fixed, and calls nobody else but to pay
///         a bond out, last.
contract OptimisticAssurance is Disputes, Pinned {
    constructor(
        IInferenceOracle oracle_,
        ITensorVerifier verifier_,
        IModelRegistry registry_,
        IStakeVault vault_,
        Parameters memory parameters
    ) Tariff(parameters) Disputes(oracle_, vault_) Pinned(verifier_, registry_) {}

    /// @inheritdoc IAssurance
    function admit(bytes32, Request calldata request) external view {
        _checkTerms(_terms(request));
        _checkAuditRate(_terms(request));
        _checkPinned(request);
    }

    /// @inheritdoc IAssurance
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata evidence
    ) public virtual returns (Status) {
        if (msg.sender != address(oracle)) {
            revert OnlyOracle(address(oracle), msg.sender);
        }
        bool first = claim.standing == 0;
        if (first && evidence.length == 0) return _post(request, claim);
        if (_isStopped(request.modelId)) return _void(request, claim);
        if (first) {
            _verify(request, claim, input, output, evidence);
            return Status.Final;
        }
        if (claim.digest != claim.standing) {
            (address payee, bytes calldata proof) = _checkOther(request, claim, output, evidence);
            _verify(request, claim, input, output, proof);
            return _overturn(request, claim.requestId, payee, keccak256(output));
        }
        if (evidence.length == 0) return _settle(request, claim, output);
        _verify(request, claim, input, output, evidence);
        return _uphold(request, claim);
    }

    /// @inheritdoc IOptimisticAssurance
    function close(Request calldata request, address payee, bytes32 outputHash) external {
        (bytes32 requestId, uint256 since) =
            _checkClaim(request, payee, outputHash, Status.Refunded);
        Outcome outcome = _cases[requestId].outcome;
        if (outcome != Outcome.None) revert WrongOutcome(outcome);
        if (_isDisputed(requestId)) {
            _lapse(request, requestId, payee);
        } else {
            _closeSilent(request, requestId, payee, outputHash, since);
        }
    }

    // --- verdicts -------------------------------------------------------------------------------

    /// @dev An operator answers: the payee's stake vouches. All proofs that could be demanded of it at
    ///      once take half the prove clock at most.
    function _post(Request calldata request, Claim calldata claim) private returns (Status) {
        Terms terms = _terms(request);
        _checkStake(claim.payee, terms);
        vault.lock(
            claim.payee, claim.sender, _locked(terms), terms.proving(), _proveClock(terms) / 2
        );
        return Status.Provisional;
    }

    /// @dev The standing claim handed in without a proof: what its clock says.
    function _settle(Request calldata request, Claim calldata claim, bytes calldata output)
        private
        returns (Status)
    {
        if (_isDisputed(claim.requestId)) {
            _lapse(request, claim.requestId, claim.payee);
            return Status.Retracted;
        }
        uint256 until = claim.since + _window(_terms(request));
        if (block.timestamp <= until) revert TooEarly(until, block.timestamp);
        if (keccak256(output) == UNANSWERABLE) {
            _release(request, claim.payee);
            return Status.Retracted;
        }
        return _rest(request, claim);
    }

    /// @dev No proof came in time. Not the operator's fault if no proof could be accepted.
    function _lapse(Request calldata request, bytes32 requestId, address payee) private {
        uint256 proveBy = _cases[requestId].proveBy;
        if (block.timestamp <= proveBy) revert TooEarly(proveBy, block.timestamp);
        if (!_isUnchanged() || _isStopped(request.modelId)) {
            _decide(requestId, Outcome.Void);
            _free(request, requestId, payee);
            return;
        }
        _decide(requestId, Outcome.Lapsed);
        _slash(request, requestId, payee, _challenges[requestId][0].challenger);
        _afterLoss(request, requestId, payee, proveBy);
    }

    /// @dev What stands was proved: whoever disputed it was wrong.
    function _uphold(Request calldata request, Claim calldata claim) private returns (Status) {
        if (_isDisputed(claim.requestId)) {
            Case storage case_ = _cases[claim.requestId];
            (case_.payee, case_.cost) = (claim.payee, uint96(_bond(_terms(request))));
            _decide(claim.requestId, Outcome.Upheld);
        }
        _free(request, claim.requestId, claim.payee);
        return Status.Final;
    }

    /// @dev Another output was proved. Nobody gets the reward (it is burned) if there was no dispute.
    function _overturn(Request calldata request, bytes32 requestId, address payee, bytes32 proved)
        private
        returns (Status)
    {
        bool disputed = _isDisputed(requestId);
        if (disputed) {
            (, uint256 reward,) = _split(_terms(request));
            _overturnCase(requestId, proved, reward);
        }
        _slash(request, requestId, payee, disputed ? address(this) : address(0));
        _afterLoss(request, requestId, payee, block.timestamp);
        return Status.Final;
    }

    /// @dev The verifier or the model was stopped: everything goes back.
    function _void(Request calldata request, Claim calldata claim) private returns (Status) {
        if (claim.standing != 0) {
            if (claim.digest != claim.standing) revert WrongClaim(claim.standing, claim.digest);
            if (_isDisputed(claim.requestId)) _decide(claim.requestId, Outcome.Void);
            _free(request, claim.requestId, claim.payee);
        }
        return Status.Retracted;
    }

    // --- what audits change ---------------------------------------------------------------------

    function _checkAuditRate(Terms terms) internal view virtual {
        if (terms.auditRate() != 0) revert MalformedTerms(bytes32(Terms.unwrap(terms)));
    }

    function _checkStake(address payee, Terms terms) internal view virtual {}

    /// @dev A claim was not proved by the end of its clock, or was proved wrong, at the second `lost`: its
    ///      lock was taken.
    function _afterLoss(Request calldata request, bytes32 requestId, address payee, uint256 lost)
        internal
        virtual {}

    /// @dev A claim ends and costs nothing.
    function _free(Request calldata request, bytes32, address payee) internal virtual {
        _release(request, payee);
    }

    /// @dev A claim that nobody disputed in its window.
    function _rest(Request calldata request, Claim calldata claim)
        internal
        virtual
        returns (Status)
    {
        if (_release(request, claim.payee)) revert OperatorSuspended(claim.payee);
        return Status.Final;
    }

    /// @dev A claim that nobody disputed, nor settled before the oracle's week was over.
    function _closeSilent(
        Request calldata request,
        bytes32 requestId,
        address payee,
        bytes32,
        uint256
    ) internal virtual {
        _decide(requestId, Outcome.Void);
        _free(request, requestId, payee);
    }

    /// @dev Evidence of another output names what stands, so that a proof of the same output, which
    ///      anyone can make once it is public, takes nothing from the standing payee. Nor does a
    ///      proof of the same output blinded anew: outputs with commitments refute nothing.
    function _checkOther(
        Request calldata request,
        Claim calldata claim,
        bytes calldata output,
        bytes calldata evidence
    ) private view returns (address payee, bytes calldata proof) {
        if (evidence.length < 64) revert WrongEvidence(64, evidence.length);
        bytes32 outputHash;
        (payee, outputHash) = abi.decode(evidence[:64], (address, bytes32));
        bytes32 named = _digest(payee, outputHash);
        if (named != claim.standing) revert WrongClaim(claim.standing, named);
        if (keccak256(output) == outputHash) revert SameOutput(outputHash);
        if (outputHash != UNANSWERABLE && hasCommittedOutput(registry.headerOf(request.modelId))) {
            revert OutputNotUnique(request.modelId);
        }
        proof = evidence[64:];
    }
}
