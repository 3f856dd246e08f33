// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {BlsCommitteeAssurance} from "../../contracts/committee/BlsCommitteeAssurance.sol";
import {BlsKeys} from "../../contracts/committee/BlsKeys.sol";
import {CommitteeAssurance} from "../../contracts/committee/CommitteeAssurance.sol";
import {IBlsKeys} from "../../contracts/interfaces/IBlsKeys.sol";
import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Chorus} from "./Chorus.sol";
import {CommitteeInvariants} from "./Committee.t.sol";
import {ParrotAssembly} from "./Parrots.sol";

/// @notice The same must hold where members sign as one.
contract BlsCommitteeInvariants is CommitteeInvariants {
    function _tierNonce() internal pure override returns (uint256) {
        return 8; // after the keys
    }

    function _tier(
        GuardedVerifier verifier,
        ModelRegistry registry,
        StakeVault vault_,
        DevelopmentBeacon beacon
    ) internal override returns (CommitteeAssurance) {
        return _made(verifier, registry, vault_, beacon, new BlsKeys());
    }

    /// @dev For the same keys.
    function _second(
        GuardedVerifier verifier,
        ModelRegistry registry,
        StakeVault vault_,
        DevelopmentBeacon beacon
    ) internal override returns (CommitteeAssurance) {
        IBlsKeys keys = BlsCommitteeAssurance(address(tier)).keys();
        return _made(verifier, registry, vault_, beacon, keys);
    }

    function _made(
        GuardedVerifier verifier,
        ModelRegistry registry,
        StakeVault vault_,
        DevelopmentBeacon beacon,
        IBlsKeys keys
    ) private returns (CommitteeAssurance) {
        BlsCommitteeAssurance made = new BlsCommitteeAssurance(
            oracle, verifier, registry, vault_, beacon, _rules(), keys
        );
        return CommitteeAssurance(address(made));
    }

    function _assembly(GuardedVerifier verifier, DevelopmentBeacon beacon, bytes32 modelId)
        internal
        override
        returns (ParrotAssembly)
    {
        return new Chorus(oracle, vault, tier, verifier, beacon, modelId, second);
    }
}
