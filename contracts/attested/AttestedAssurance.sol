// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {OptimisticAssurance} from "../assurance/OptimisticAssurance.sol";
import {IAssurance} from "../interfaces/IAssurance.sol";
import {IAttestationRegistry} from "../interfaces/IAttestationRegistry.sol";
import {IAttestedAssurance} from "../interfaces/IAttestedAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";

/// @title Stake and measured hardware together; the rules are in IAttestedAssurance.
contract AttestedAssurance is OptimisticAssurance, IAttestedAssurance {
    /// @dev x, y, r, s. No proof is that short: its opening alone is longer.
    uint256 internal constant ATTESTATION_BYTES = 128;

    IAttestationRegistry public immutable attestations;

    constructor(
        IInferenceOracle oracle_,
        ITensorVerifier verifier_,
        IModelRegistry registry_,
        IStakeVault vault_,
        Parameters memory parameters,
        IAttestationRegistry attestations_
    ) OptimisticAssurance(oracle_, verifier_, registry_, vault_, parameters) {
        attestations = attestations_;
    }

    /// @inheritdoc IAssurance
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata evidence
    ) public override(OptimisticAssurance, IAssurance) returns (Status) {
        if (claim.standing == 0) {
            if (evidence.length == 0) {
                revert NotAttested();
            }
            if (evidence.length == ATTESTATION_BYTES) {
                _checkAttested(request, claim, output, evidence);
                return super.judge(request, claim, input, output, evidence[:0]);
            }
        }
        return super.judge(request, claim, input, output, evidence);
    }

    function _checkAttested(
        Request calldata request,
        Claim calldata claim,
        bytes calldata output,
        bytes calldata evidence
    ) private view {
        (bytes32 x, bytes32 y, bytes32 r, bytes32 s) =
            abi.decode(evidence, (bytes32, bytes32, bytes32, bytes32));
        attestations.check(
            claim.payee,
            request.modelId,
            request.inputHash,
            x,
            y,
            IAttestationRegistry.Said(address(this), claim.requestId, keccak256(output), r, s)
        );
    }

    /// @dev Nothing that was signed up to a revocation is final by silence: whoever had the key may
    ///      have signed it.
    function _rest(Request calldata request, Claim calldata claim)
        internal
        override
        returns (Status)
    {
        if (claim.since <= attestations.revokedAt(claim.payee, request.modelId)) {
            _release(request, claim.payee);
            return Status.Retracted;
        }
        return super._rest(request, claim);
    }
}
