// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Request} from "../types/Request.sol";
import {IAssurance} from "./IAssurance.sol";
import {IStakedAssurance} from "./IStakedAssurance.sol";

/// @notice The optimistic tier: an operator's answer stands at once, vouched for by its stake, and is
///         final after a window in which anyone may demand a proof of it. docs/assurance.md has the
///         states, the clocks and who can lose what.
///
/// How to hand claims in (`InferenceOracle.answer`):
///
/// | standing | claim | evidence | what becomes of it |
/// | --- | --- | --- | --- |
/// | none | any | empty | Provisional: the payee's stake is locked (an operator's answer) |
/// | none | any | proof | Final |
/// | a claim | the same | empty | after its clock: Final, or Retracted if its proof did not come |
/// | a claim | the same | proof | Final, disputed or not |
/// | a claim | other output | payee (32), output hash (32) of what stands; proof | Final; slashed |
/// | none, once verifier or model is stopped | any | not empty | Retracted |
/// | a claim, likewise | the same | any | Retracted; stake free |
///
/// Only the payee, or the agent that it appointed in the vault, can lock the payee's stake.
///
/// The output 0x00, one byte, is of no model: it says that the input has no provable answer. Nobody
/// can demand a proof of that; a proof of any output refutes it; after the window the request is
/// given back.
interface IOptimisticAssurance is IAssurance, IStakedAssurance {
    /// @notice How the disputes of one claim ended; all of them share it.
    enum Outcome {
        None, // no dispute, or still open
        Upheld, // the claim was proved: the bonds are lost
        Overturned, // another output was proved: bonds return, the lock was slashed
        Lapsed, // no proof came in time: likewise
        Void // no verdict (the verifier was stopped, say): bonds return, nobody is slashed
    }

    /// @notice The disputes of one claim, together.
    /// @param proveBy last second of the operator's clock
    /// @param revealBy last second to open commitments, if Overturned
    /// @param winner 1 + index of the earliest commitment opened so far that matches; 0 for none
    /// @param reward gwei that wait for the winner
    /// @param outcome how it ended
    /// @param payee of the claim, if Upheld: who gets `cost` of the first bond
    /// @param cost wei
    /// @param proved keccak256 of the output that was proved, if Overturned
    struct Case {
        uint40 proveBy;
        uint40 revealBy;
        uint32 winner;
        uint64 reward;
        Outcome outcome;
        address payee;
        uint96 cost;
        bytes32 proved;
    }

    /// @notice One dispute.
    struct Challenge {
        address challenger;
        uint96 bond;
        bytes32 commitment;
    }

    /// @notice A proof of the standing claim is demanded, until `proveBy`.
    event Disputed(
        bytes32 indexed requestId,
        uint256 index,
        address indexed challenger,
        uint256 bond,
        bytes32 commitment,
        uint256 proveBy
    );
    event Decided(bytes32 indexed requestId, Outcome outcome);
    event Revealed(bytes32 indexed requestId, uint256 index);
    event Awarded(bytes32 indexed requestId, address indexed challenger, uint256 amount);
    event BondCollected(bytes32 indexed requestId, uint256 index, address to, uint256 amount);

    /// @notice Evidence against a standing claim begins with its payee and its output's hash.
    error WrongEvidence(uint256 min, uint256 got);
    /// @notice Committed outputs of this model are blinded: another output refutes nothing. Dispute.
    error OutputNotUnique(bytes32 modelId);
    /// @notice The output that stands was proved again, for another payee. Prove it for its own.
    error SameOutput(bytes32 outputHash);
    /// @notice The disputes of this claim ended otherwise, or have not ended.
    error WrongOutcome(Outcome got);
    /// @notice The salt does not open the commitment to what was proved.
    error WrongCommitment(bytes32 expected, bytes32 got);
    /// @notice Nothing to award or to collect here (any more).
    error NothingLeft(bytes32 requestId, uint256 index);

    /// @notice Demands a proof of the standing claim. Cannot be withdrawn; all disputes of one claim
    ///         share its clock and its outcome. Send `bond` at least; nothing is due if the operator
    ///         is suspended, whose claims can be disputed even after the window.
    /// @param request the fields as logged
    /// @param payee of the claim that stands
    /// @param outputHash keccak256 of its output
    /// @param commitment `commitmentOf` your own answer and a secret salt; any word for none
    function dispute(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        bytes32 commitment
    ) external payable returns (uint256 index);

    /// @notice After another output was proved: opens a commitment to that output; by anyone. The
    ///         earliest dispute that matches gets the reward.
    function reveal(bytes32 requestId, uint256 index, bytes32 salt) external;

    /// @notice Credits the reward to the winner (in the vault): once the time to reveal is over, or at
    ///         once if the first dispute matched; by anyone.
    function award(bytes32 requestId) external;

    /// @notice Pays a decided dispute's bond out; by anyone. To the challenger, or, of the first bond
    ///         that lost, the cost of the proof to the claim's payee; what is left stays here for ever.
    function collect(bytes32 requestId, uint256 index) external;

    /// @notice Ends the lock of a claim whose request the oracle refunded (7 days after its deadline);
    ///         by anyone. If it was disputed, its proof did not come in time.
    /// @param request the fields as logged
    /// @param payee of the claim that stood
    /// @param outputHash keccak256 of its output
    function close(Request calldata request, address payee, bytes32 outputHash) external;

    /// @notice keccak256(abi.encode(this contract, requestId, challenger, outputHash, salt)).
    function commitmentOf(bytes32 requestId, address challenger, bytes32 outputHash, bytes32 salt)
        external
        view
        returns (bytes32);

    function caseOf(bytes32 requestId) external view returns (Case memory);

    function challengeCount(bytes32 requestId) external view returns (uint256);

    function challengeAt(bytes32 requestId, uint256 index) external view returns (Challenge memory);
}
