// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Pinned} from "../assurance/Pinned.sol";
import {IBlsCommitteeAssurance} from "../interfaces/IBlsCommitteeAssurance.sol";
import {IBlsKeys} from "../interfaces/IBlsKeys.sol";
import {ICommitteeAssurance} from "../interfaces/ICommitteeAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IRandomness} from "../interfaces/IRandomness.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {Council} from "./Council.sol";
import {Openings} from "./Openings.sol";
import {Seats} from "./Seats.sol";

/// @title m of n staked members agree under one aggregated signature; the rules are in
///        IBlsCommitteeAssurance.
contract BlsCommitteeAssurance is Council, IBlsCommitteeAssurance {
    bytes32 internal constant AGREE = keccak256(
        "Agree(bytes32 requestId,uint256 epoch,address payee,bytes32 output,bytes32 traceRoot)"
    );

    /// @inheritdoc IBlsCommitteeAssurance
    IBlsKeys public immutable keys;
    /// @inheritdoc IBlsCommitteeAssurance
    mapping(uint256 epoch => bytes32) public totalOf;

    constructor(
        IInferenceOracle oracle_,
        ITensorVerifier verifier_,
        IModelRegistry registry_,
        IStakeVault vault_,
        IRandomness randomness_,
        ICommitteeAssurance.Rules memory rules_,
        IBlsKeys keys_
    ) Seats(vault_, randomness_, rules_) Openings(oracle_) Pinned(verifier_, registry_) {
        keys = keys_;
    }

    /// @inheritdoc ICommitteeAssurance
    function enrol(uint256 seat) public override(Seats, ICommitteeAssurance) {
        if (!keys.hasKey(msg.sender)) revert NoKey(msg.sender);
        super.enrol(seat);
    }

    /// @inheritdoc ICommitteeAssurance
    function draw() public override(Seats, ICommitteeAssurance) returns (bytes memory members) {
        members = super.draw();
        bytes memory total = keys.sum(_owners(members, _everyone()));

        totalOf[_epoch()] = keccak256(total);

        emit KeysPinned(_epoch(), total);
    }

    /// @inheritdoc IBlsCommitteeAssurance
    function messageOf(
        bytes32 requestId,
        uint256 epoch,
        address payee,
        bytes32 outputHash,
        bytes32 traceRoot
    ) public view returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(AGREE, requestId, epoch, payee, outputHash, traceRoot)
        );
        return keccak256(abi.encodePacked(hex"1901", _domain, structHash));
    }

    /// @dev A place is signed for, or revealed on-chain, or absent: one bit, so nobody counts twice.
    function _checkQuorum(
        bytes32 requestId,
        uint256 epoch,
        address payee,
        bytes32 outputHash,
        bytes memory quorum
    ) internal view override returns (bytes memory members, uint256 places) {
        Aggregate memory said = abi.decode(quorum, (Aggregate));
        members = said.members;
        _checkMembers(epoch, members);
        uint256 signers = _everyone() & ~said.absent;
        if (said.absent | signers != _everyone()) revert WrongPlace(said.absent);
        if (said.spoken & ~said.absent != 0) revert WrongPlace(said.spoken);
        places = signers | said.spoken;
        if (_count(places) < _quorum) revert NoQuorum(_quorum, _count(places));
        bytes32 claimed = keccak256(abi.encode(payee, outputHash, said.traceRoot));
        for (uint256 place; said.spoken >> place != 0; ++place) {
            if (said.spoken >> place & 1 == 0) continue;
            _checkRevealed(requestId, epoch, place, claimed);
        }
        if (signers == 0) return (members, places);
        bytes32 total = keccak256(said.total);
        if (total != totalOf[epoch]) revert WrongTotal(epoch, totalOf[epoch], total);
        bytes32 message = messageOf(requestId, epoch, payee, outputHash, said.traceRoot);
        bool held = keys.signed(
            said.total, _owners(members, said.absent), abi.encodePacked(message), said.signature
        );
        if (!held) revert WrongAggregate(said.absent);
    }

    /// @dev Who holds these places, ascending.
    function _owners(bytes memory members, uint256 places)
        private
        view
        returns (address[] memory owners)
    {
        owners = new address[](_count(places));
        uint256 filled;
        for (uint256 place; places >> place != 0; ++place) {
            if (places >> place & 1 != 0) (, owners[filled++]) = _member(members, place);
        }
    }

    function _everyone() private view returns (uint256) {
        return (1 << _places) - 1;
    }
}
