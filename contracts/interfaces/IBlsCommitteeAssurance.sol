// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IBlsKeys} from "./IBlsKeys.sol";
import {ICommitteeAssurance} from "./ICommitteeAssurance.sol";

/// @notice The committee tier for some 25 members and more: those who agree sign one message, and their
///         signatures are one. All else is as in ICommitteeAssurance.
///
/// Commitments are exchanged off-chain exactly as there, each under its member's own signature
/// (EIP-712 Commit), before anybody opens. Who opens its commitment shows, beside salt and answer, its
/// BLS signature of the claim (`messageOf`). Whoever collects adds up the signatures of those who had
/// committed; a signature alone says nothing about who computed, so none is shown before a quorum
/// has committed.
///
/// Where evidence of ICommitteeAssurance has a Quorum, it has an Aggregate here. Only who has a key in
/// `keys` can take a seat; a key is for ever, and the draw pins the sum of its members'.
interface IBlsCommitteeAssurance is ICommitteeAssurance {
    /// @notice What a quorum says of one claim.
    /// @param members the epoch's committee, as `Drawn` said: seat (4) and owner (20), for each place
    /// @param traceRoot what they committed to beside the output
    /// @param absent places whose members did not sign, a bit each
    /// @param spoken of the absent, those who revealed this claim on-chain
    /// @param total of all members' keys, as `KeysPinned` said; looked at if anybody signed
    /// @param signature of all who are not absent, added up, an owner of two places twice
    struct Aggregate {
        bytes members;
        bytes32 traceRoot;
        uint256 absent;
        uint256 spoken;
        bytes total;
        bytes signature;
    }

    /// @notice The sum of the keys of a day's committee, of an owner of two places twice.
    event KeysPinned(uint256 indexed epoch, bytes total);

    /// @notice Who has no key can take no seat.
    error NoKey(address owner);
    /// @notice Not the sum of that epoch's keys.
    error WrongTotal(uint256 epoch, bytes32 expected, bytes32 got);
    /// @notice The signature is not that of all who are not absent.
    error WrongAggregate(uint256 absent);

    /// @notice What members sign with their BLS keys: one word (EIP-712
    ///         Agree(bytes32 requestId,uint256 epoch,address payee,bytes32 output,bytes32 traceRoot)).
    function messageOf(
        bytes32 requestId,
        uint256 epoch,
        address payee,
        bytes32 outputHash,
        bytes32 traceRoot
    ) external view returns (bytes32);

    /// @notice keccak256 of the sum of an epoch's keys; zero if nobody was drawn.
    function totalOf(uint256 epoch) external view returns (bytes32);

    function keys() external view returns (IBlsKeys);
}
