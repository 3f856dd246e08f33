// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {IAssurance} from "./IAssurance.sol";
import {IInferenceOracle} from "./IInferenceOracle.sol";

/// @notice Several tiers vouch for one claim: what a request that names this contract gets, all of them say.
///
/// Parts are ordinary tiers, made with this contract as their oracle. Each sees the request as if it
/// alone had been named (`requestFor`): with its own address, pin and terms, under the same id and the
/// same contexts. So one proof does for every part, and a signature, a seat's word or a
/// dispute, which name their tier, act on one part.
///
/// Terms. The request states what all parts share: coverage and proving time (types/Terms.sol).
/// Hours and rate of audits are fixed for each part when the combination is made. Each part's stake is
/// its own: it locks, covers and slashes what its rules say, whatever the others do.
///
/// How to hand claims in (`InferenceOracle.answer`). Evidence is empty (for every part), or begins with
/// a byte: 0, then abi.encode(bytes[]), each part's evidence in order; or 1 + a part's index, then
/// that part's evidence. What a part takes as evidence is its own rule.
///
/// | standing | evidence for | what the parts say | what becomes of the claim |
/// | --- | --- | --- | --- |
/// | none | all | all Provisional | Provisional |
/// | none | all | all Final (each by a proof) | Final |
/// | a claim | all | all Final: its clock over, or a proof | Final |
/// | any | all | all Retracted | Retracted |
/// | any | one part | Retracted | Retracted; what stands is concluded in the others |
/// | any | | anything else | refused |
///
/// So a claim is final when its last clock is over, not before, and all locks are open until then.
///
/// When one part gives a claim back (a proof did not come, a key was revoked, its verifier was
/// stopped), the payment goes back, and nothing more is promised to the requester. For each other part
/// the claim still stands, by that part's own clocks: it can be disputed, proved, drawn, refuted and
/// settled there (`conclude`), so that nobody ends a lock by letting another part fail, and nobody
/// loses one for want of a way to prove. Seven days after the deadline all parts see the request as
/// refunded, as they would at the oracle, and what is open ends by their own `close`.
interface ICombinedAssurance is IAssurance {
    /// @notice A tier that this contract puts together with others.
    /// @param tier its contract; its oracle is the combination
    /// @param terms the bits of its terms that the combination fixes: hours and audits
    struct Part {
        address tier;
        bytes32 terms;
    }

    /// @notice A part gave back the claim that stood for all.
    event Failed(bytes32 indexed requestId, address indexed part);
    /// @notice A claim that another part had given back ended in this one, too.
    event Concluded(bytes32 indexed requestId, address indexed part, Status verdict);

    /// @notice Two to four parts make a combination.
    error WrongCount(uint256 min, uint256 max, uint256 got);
    /// @notice A part is named twice, is a combination, answers to another oracle, or fixes bits that a
    ///         request states.
    error WrongPart(Part got);
    /// @notice Only the combination's oracle may ask.
    error OnlyOracle(address expected, address got);
    /// @notice No part is at this index, or has this address.
    error NoSuchPart(uint256 count, uint256 got);
    error NotAPart(address got);
    /// @notice The request names another tier.
    error WrongTier(address expected, address got);
    /// @notice Evidence for each part, in order: so many.
    error WrongEvidence(uint256 expected, uint256 got);
    /// @notice Evidence on a claim that stands has something for at least one part.
    error NoEvidence();
    /// @notice The parts do not say the same. Hand in what each asks for, or name the one that fails.
    error Disagreement(address part, Status expected, Status got);
    /// @notice That is no verdict here.
    error WrongVerdict(address part, Status got);
    /// @notice The input bytes do not hash to the request's inputHash.
    error WrongInput(bytes32 expected, bytes32 got);
    /// @notice In this part nothing is left to conclude, or the request is where its oracle decides.
    error NothingToConclude(bytes32 requestId, address part);

    /// @notice Ends in one part a claim that another part gave back; by anyone, up to seven days after the
    ///         deadline. As `InferenceOracle.answer`, but that the payment is settled already: the
    ///         part judges, and its lock ends as it says.
    /// @param request the fields as logged
    /// @param part its index
    /// @param input the input as logged
    /// @param payee of this claim
    /// @param output of this claim: what stood, or one that refutes it
    /// @param evidence what the part asks for
    function conclude(
        Request calldata request,
        uint256 part,
        bytes calldata input,
        address payee,
        bytes calldata output,
        bytes calldata evidence
    ) external returns (Status verdict);

    // --- views ------------------------------------------------------------------------------------

    function oracle() external view returns (IInferenceOracle);

    /// @notice How many parts there are.
    function count() external view returns (uint256);

    function partAt(uint256 index) external view returns (Part memory);

    /// @notice A request to this contract as its part sees it: for the part's own functions.
    function requestFor(Request calldata request, uint256 part)
        external
        view
        returns (Request memory);

    /// @notice Where a request stands for one part: as at the oracle, but that a claim which others gave
    ///         back is Provisional until it is concluded here, and then Retracted; Refunded seven
    ///         days after the deadline.
    function claimFor(bytes32 requestId, uint256 part)
        external
        view
        returns (Status status, bytes32 digest, uint256 since);

    // --- what parts ask their oracle --------------------------------------------------------------

    /// @notice The id of the request that a part sees: the whole one's.
    function idOf(Request calldata request) external view returns (bytes32 requestId);

    /// @notice Likewise, the word that a proof must be bound to.
    function contextOf(Request calldata request, address payee) external view returns (bytes32);

    /// @notice `claimFor` the part that asks; to others what the oracle says.
    function claimOf(bytes32 requestId)
        external
        view
        returns (Status status, bytes32 digest, uint256 since);
}
