// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Pinned} from "../assurance/Pinned.sol";
import {ICommitteeAssurance} from "../interfaces/ICommitteeAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IRandomness} from "../interfaces/IRandomness.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {Council} from "./Council.sol";
import {Openings} from "./Openings.sol";
import {Seats} from "./Seats.sol";

/// @title m of n staked members agree, each under a signature of its own; the rules are in
///        ICommitteeAssurance.
contract CommitteeAssurance is Council {
    constructor(
        IInferenceOracle oracle_,
        ITensorVerifier verifier_,
        IModelRegistry registry_,
        IStakeVault vault_,
        IRandomness randomness_,
        ICommitteeAssurance.Rules memory rules_
    ) Seats(vault_, randomness_, rules_) Openings(oracle_) Pinned(verifier_, registry_) {}

    /// @dev Places ascend, so that nobody counts twice.
    function _checkQuorum(
        bytes32 requestId,
        uint256 epoch,
        address payee,
        bytes32 outputHash,
        bytes memory quorum_
    ) internal view override returns (bytes memory members, uint256 places) {
        Quorum memory quorum = abi.decode(quorum_, (Quorum));
        members = quorum.members;
        _checkMembers(epoch, members);
        uint256 count = quorum.openings.length;
        if (count < _quorum) revert NoQuorum(_quorum, count);
        bytes32 claimed = keccak256(abi.encode(payee, outputHash, quorum.traceRoot));
        for (uint256 i; i < count; ++i) {
            Opening memory opening = quorum.openings[i];
            if (places >> opening.place != 0) revert WrongPlace(opening.place);
            (, address member) = _member(members, opening.place);
            places |= 1 << opening.place;
            if (opening.v == 0) {
                _checkRevealed(requestId, epoch, opening.place, claimed);
                continue;
            }
            bytes32 commitment =
                keccak256(abi.encode(payee, outputHash, quorum.traceRoot, opening.salt, member));
            // The zero address, who is nobody's member, for what is no signature.
            address signer =
                ecrecover(digestOf(requestId, epoch, commitment), opening.v, opening.r, opening.s);
            if (signer != member) revert WrongSignature(opening.place, member, signer);
        }
    }
}
