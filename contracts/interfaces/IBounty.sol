// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Request} from "../types/Request.sol";
import {IBisectionAssurance} from "./IBisectionAssurance.sol";

/// @notice The way up the ladder for whoever would have a proof, whatever tier vouches: an offer to
///         whoever proves a pending request. It decides nothing: a claim that nobody proves goes its
///         way, and what was offered returns. (To demand a proof, with a bond, is a dispute.)
///
/// | the request names | what earns the offer |
/// | --- | --- |
/// | a tier that one proof ends | a proof made the claim final (`IInferenceOracle.wasProved`) |
/// | `compositions` | the claim is final, and each of its segments was proved |
///
/// The payee of the final claim gets it. Every proof is bound to that payee, so it is the payee's
/// whoever sends it, by whatever way: nobody gains by sending another's proof first, nor can keep the
/// offer so. How a proof came to be made, demanded or not, before the offer or after, does not matter;
/// of a composition all but one, and silence for the rest, earns nothing. An offer is only as good as
/// the tier that its request names; where all clocks are over, silence may end a claim before its proof
/// arrives, and what a payee that takes no ether earned waits until it does.
interface IBounty {
    event Offered(bytes32 indexed requestId, address indexed giver, uint256 amount);
    event Earned(bytes32 indexed requestId, address indexed payee, uint256 amount);
    event Returned(bytes32 indexed requestId, address indexed giver, uint256 amount);

    /// @notice The request is settled, or was never made; or a tier is judging it in this very call.
    error NotPending(bytes32 requestId);
    /// @notice The request is not settled yet.
    error Pending(bytes32 requestId);
    /// @notice No claim became final by a proof.
    error NotProved(bytes32 requestId);
    /// @notice Another claim became final.
    error WrongClaim(bytes32 expected, bytes32 got);
    error NothingLeft(bytes32 requestId, address account);
    error TransferFailed(address to, uint256 amount);

    /// @notice Adds msg.value to what the proof of a pending request earns.
    function offer(Request calldata request) external payable;

    /// @notice Pays all that was offered to the payee of the claim that a proof made final; by anyone, at
    ///         any time from then on.
    function earn(Request calldata request, address payee, bytes calldata output) external;

    /// @notice Returns what an account offered for a request that was settled otherwise; by anyone.
    function reclaim(Request calldata request, address giver) external;

    /// @notice The bisection tier over whose compositions offers can be earned.
    function compositions() external view returns (IBisectionAssurance);

    /// @notice What the proof of a request earns.
    function offered(bytes32 requestId) external view returns (uint256);

    /// @notice What of it an account gave.
    function givenBy(bytes32 requestId, address giver) external view returns (uint256);
}
