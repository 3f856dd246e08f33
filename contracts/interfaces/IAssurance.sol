// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";

/// @notice One tier of assurance: who vouches for an answer, and when it counts as final. Tiers
///         decide; they never hold a request's payment. The requester names the tier.
interface IAssurance {
    /// @notice The tier takes no such terms.
    error WrongTerms(bytes32 expected, bytes32 got);
    /// @notice The request pins something other than what this tier vouches with.
    error WrongPin(bytes32 expected, bytes32 got);

    /// @notice The verifier's address holds other code than when this tier was made.
    error VerifierChanged(bytes32 expected, bytes32 got);

    /// @notice What this tier vouches with, in one word; requests quote it. For the Proof tier
    ///         keccak256(abi.encode(verifier address, verifier code hash, SRS id)).
    function pin() external view returns (bytes32);

    /// @notice Called by the oracle once, when a request is made. Reverts if the tier cannot serve
    ///         it (unknown model, wrong pin, terms, or coverage that no stake covers).
    function admit(bytes32 requestId, Request calldata request) external;

    /// @notice Called by the oracle for every claim on a request that is Open or Provisional.
    ///         Reverts if the claim is refused, and else returns what becomes of the request:
    ///         Provisional - this claim now stands (a first claim, or one that replaces `standing`);
    ///         Final       - this claim is the answer: its payee is paid, the consumer called;
    ///         Retracted   - what stood is withdrawn: the payment goes back to the requester.
    /// @dev Final on evidence says that the evidence proves the claim (`IInferenceOracle.wasProved`);
    ///      Final without any, that nobody contradicted it. Any other status is refused by the oracle. A
    ///      tier with a contest window finalises or withdraws a standing claim when anyone hands the
    ///      claim in again, with whatever evidence the tier asks for.
    /// @param request its fields, checked by the oracle against the id
    /// @param claim ids, payee, the context for proofs, and what stands
    /// @param input input bytes, checked by the oracle against request.inputHash
    /// @param output the output claimed
    /// @param evidence for the Proof tier, the proof
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata evidence
    ) external returns (Status);
}
