// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Request} from "../types/Request.sol";
import {IBisectionAssurance} from "./IBisectionAssurance.sol";

/// @notice The way up the ladder for whoever would have a proof, whatever tier vouches: an offer to
///         whoever proves a pending request. It decides nothing: a claim that nobody proves goes its
///         way, and what was offered returns. (To demand a proof, with a bond, is a dispute.)
///
/// | the request names | what earns the offer | who gets it |
/// | --- | --- | --- |
/// | a tier that one proof ends | that proof, handed in here (`prove`) | the payee that it is bound to |
/// | `compositions` | the claim is final, and each of its segments was proved (`earn`) | likewise |
///
/// A composition is proved segment by segment, at its tier (`IBisectionAssurance.prove`), by anyone;
/// every such proof is bound to the claim's payee, so it is that payee's whoever sends it. How many of
/// them were demanded, and when they came, before the offer or after, does not matter; all but one,
/// and silence for the rest, earns nothing. An offer is only as good as the tier that its request names.
interface IBounty {
    event Offered(bytes32 indexed requestId, address indexed giver, uint256 amount);
    event Earned(bytes32 indexed requestId, address indexed payee, uint256 amount);
    event Returned(bytes32 indexed requestId, address indexed giver, uint256 amount);

    /// @notice The request is settled, or was never made; or a tier is judging it in this very call.
    error NotPending(bytes32 requestId);
    /// @notice The request is not settled yet.
    error Pending(bytes32 requestId);
    /// @notice Without evidence nothing is proved.
    error NoEvidence();
    /// @notice The evidence did not make the claim final.
    error NotFinal(bytes32 requestId);
    /// @notice No claim of a composition became final with every segment proved.
    error NotProved(bytes32 requestId);
    error NothingLeft(bytes32 requestId, address account);
    error TransferFailed(address to, uint256 amount);

    /// @notice Adds msg.value to what the proof of a pending request earns.
    function offer(Request calldata request) external payable;

    /// @notice Hands a proof in (`InferenceOracle.answer`, same arguments). If it makes the claim final
    ///         in this transaction, its payee gets all that was offered.
    function prove(
        Request calldata request,
        bytes calldata input,
        address payee,
        bytes calldata output,
        bytes calldata evidence
    ) external;

    /// @notice Pays what was offered for a composition's answer to the payee of its claim, once that is
    ///         final and was proved segment by segment; by anyone.
    function earn(Request calldata request) external;

    /// @notice Returns what an account offered for a request that was settled otherwise; by anyone.
    function reclaim(Request calldata request, address giver) external;

    /// @notice The bisection tier over whose compositions offers can be earned.
    function compositions() external view returns (IBisectionAssurance);

    /// @notice What the proof of a request earns.
    function offered(bytes32 requestId) external view returns (uint256);

    /// @notice What of it an account gave.
    function givenBy(bytes32 requestId, address giver) external view returns (uint256);
}
