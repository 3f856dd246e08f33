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
/// A drawn claim is final by its proof only. No proof within the prove clock from that round on: the
/// consumer gets its coverage, the rest of the operator's whole stake is burned, at once or when its
/// other locks end, and none of its claims becomes final by silence any more. Once its window is over a
/// drawn claim costs that in whatever way it is lost: a dispute's clock that ends without a proof, or a
/// proof of another output, too; so then nothing is lost before the round is published.
///
/// An answer of coverage C needs a stake S of its payee with a >= C / (C + S / 3). At least a third of S
/// is beyond anyone's reach then, so no set of wrong answers pays, however many (docs/assurance.md).
interface IAuditedAssurance {
    /// @notice A drawn claim was not proved in time, or proved wrong; its operator's stake is forfeited.
    event AuditFailed(bytes32 indexed requestId, address indexed operator);

    /// @notice The rate of audits is too low or above 10,000.
    error WrongAuditRate(uint256 min, uint256 max, uint256 got);
    /// @notice The payee's stake is too small for this coverage at this rate.
    error StakeTooSmall(uint256 needed, uint256 got);
    /// @notice The round that decides is not made, or not published, yet (IRandomness.publish).
    error SeedUnknown(uint64 round);
    /// @notice The claim was drawn, and may be proved until then.
    error AuditOpen(uint256 until, uint256 timestamp);

    /// @notice The beacon.
    function randomness() external view returns (IRandomness);

    /// @notice The round that decides about a request's claim, whether it is published, whether the
    ///         claim is drawn, and the last second for its proof then.
    function auditOf(Request calldata request)
        external
        view
        returns (uint64 round, bool known, bool drawn, uint256 until);

    /// @notice The stake that an answer under these terms needs, in gwei: 3 C (10,000 / a - 1).
    function leastStake(bytes32 terms) external pure returns (uint256);
}
