// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Request} from "../types/Request.sol";
import {IRandomness} from "./IRandomness.sol";

/// @notice The optimistic tier with random audits, for models whose weights only the operator knows:
///         nobody else can tell a wrong answer, so claims are drawn, and those drawn must be proved.
///
/// The terms state the rate a, of 10,000 (types/Terms.sol); at least 200. Whether a claim is drawn is
/// fixed when it is made: by the beacon's first round a minute and the inclusion delay after its window,
/// so that nobody knows it before, who makes a block of the window's last second no more than others.
///
///     drawn  <=>  keccak256(abi.encode(value of the round, request id)) mod 10,000 < a
///
/// A drawn claim is final by its proof only. Until it is proved, none of its operator's claims here becomes
/// final by silence: anyone says that it was drawn (`freeze`). There is an hour and the inclusion delay to
/// say so: no claim is final by silence sooner after its round was published, and made. So a wrong claim
/// that was not drawn gains nothing if one of an earlier round, or of the same, was.
///
/// No proof of a drawn claim within the prove clock from then on: the consumer gets its coverage,
/// the rest of the operator's whole stake is burned, at once or when its other locks end, and none of its
/// claims becomes final by silence any more. Once its window is over a drawn claim costs that in whatever
/// way it is lost: a dispute's clock that ends without a proof, or a proof of another output, too; so then
/// nothing is lost before the round is published.
///
/// A beacon that halts holds everything back until it goes on. Only the oracle's week does not wait: who
/// cannot know by its end whether a claim was drawn proves it unasked, or meets the draw at `close`.
///
/// An answer of coverage C needs a stake S of its payee with a >= C / (C + S / 3). At least a third of S
/// is beyond anyone's reach then, so no set of wrong answers pays, however many (docs/assurance.md). Of the
/// tiers over one vault one is to be audited: what freezes in one does not in another.
interface IAuditedAssurance {
    /// @notice A drawn claim was not proved in time, or proved wrong; its operator's stake is forfeited.
    event AuditFailed(bytes32 indexed requestId, address indexed operator);

    /// @notice A claim was drawn, and is not proved: its operator's others wait.
    event Frozen(bytes32 indexed requestId, address indexed operator);

    /// @notice The rate of audits is too low or above 10,000.
    error WrongAuditRate(uint256 min, uint256 max, uint256 got);
    /// @notice The payee's stake is too small for this coverage at this rate.
    error StakeTooSmall(uint256 needed, uint256 got);
    /// @notice The round that decides is not made, or not published, yet (IRandomness.publish).
    error SeedUnknown(uint64 round);
    /// @notice Silence says nothing until then: the claim, if it was drawn, may be proved; if it was not,
    ///         another may have been.
    error AuditOpen(uint256 until, uint256 timestamp);

    /// @notice The operator has drawn claims to prove before its others become final by silence.
    error OperatorFrozen(address operator, uint256 drawn);
    /// @notice The claim was not drawn, or this was said before.
    error NothingToFreeze(bytes32 requestId);

    /// @notice Says that the claim that stands, of a payee and an output's hash, was drawn.
    /// @dev Reverts with SeedUnknown, NothingToFreeze, NothingToProve and what `dispute` says of another
    ///      claim.
    function freeze(Request calldata request, address payee, bytes32 outputHash) external;

    /// @notice How many drawn claims of a payee were said to be so, and are not proved.
    function drawnOf(address payee) external view returns (uint256);

    /// @notice Whether a request's claim is one of those.
    function isFrozen(bytes32 requestId) external view returns (bool);

    /// @notice The beacon.
    function randomness() external view returns (IRandomness);

    /// @notice The round that decides about a request's claim, whether it is published, whether the
    ///         claim is drawn, and until when silence says nothing: the last second for a drawn one's
    ///         proof; of one that is known not to be drawn, the last second to say that others were.
    ///         While the round is not published, that is as if it were published in time.
    function auditOf(Request calldata request)
        external
        view
        returns (uint64 round, bool known, bool drawn, uint256 until);

    /// @notice The stake that an answer under these terms needs, in gwei: 3 C (10,000 / a - 1).
    function leastStake(bytes32 terms) external pure returns (uint256);
}
