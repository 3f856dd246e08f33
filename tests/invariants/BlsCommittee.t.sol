// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {BlsCommitteeAssurance} from "../../contracts/committee/BlsCommitteeAssurance.sol";
import {BlsKeys} from "../../contracts/committee/BlsKeys.sol";
import {CommitteeAssurance} from "../../contracts/committee/CommitteeAssurance.sol";
import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Assembly} from "./Assembly.sol";
import {Chorus} from "./Chorus.sol";
import {CommitteeInvariants} from "./Committee.t.sol";

/// @notice The same must hold where members sign as one.
contract BlsCommitteeInvariants is CommitteeInvariants {
    function _tierNonce() internal pure override returns (uint256) {
        return 8; // after the keys
    }

    function _tier(GuardedVerifier verifier, ModelRegistry registry, DevelopmentBeacon beacon)
        internal
        override
        returns (CommitteeAssurance)
    {
        BlsKeys keys = new BlsKeys();
        BlsCommitteeAssurance made =
            new BlsCommitteeAssurance(oracle, verifier, registry, vault, beacon, _rules(), keys);
        return CommitteeAssurance(address(made));
    }

    function _assembly(GuardedVerifier verifier, DevelopmentBeacon beacon, bytes32 modelId)
        internal
        override
        returns (Assembly)
    {
        return new Chorus(oracle, vault, tier, verifier, beacon, modelId);
    }
}
