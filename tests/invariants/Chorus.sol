// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {BlsCommitteeAssurance} from "../../contracts/committee/BlsCommitteeAssurance.sol";
import {CommitteeAssurance} from "../../contracts/committee/CommitteeAssurance.sol";
import {IBlsCommitteeAssurance} from "../../contracts/interfaces/IBlsCommitteeAssurance.sol";
import {IBlsKeys} from "../../contracts/interfaces/IBlsKeys.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {Bls12381} from "../../contracts/random/Bls12381.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Request} from "../../contracts/types/Request.sol";
import {ParrotAssembly} from "./Parrots.sol";
import {VM} from "./Vm.sol";

/// @notice An assembly whose members sign as one. Nothing is abstracted: keys and signatures are made
///         here, by the precompiled contracts that multiply points (EIP-2537).
contract Chorus is ParrotAssembly {
    bytes internal constant POSSESSION = "EINPROOF_POSSESSION_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    bytes internal constant TAG = "EINPROOF_QUORUM_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    address internal constant G1_MSM = address(0x0c);
    address internal constant G2_MSM = address(0x0e);
    /// @dev The groups' order.
    uint256 internal constant ORDER =
        0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    error NoPoint(address precompile);

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        CommitteeAssurance tier_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        bytes32 modelId_,
        CommitteeAssurance second_
    ) ParrotAssembly(oracle_, vault_, tier_, guard_, beacon_, modelId_, second_) {}

    function _admit(uint256 who) internal override {
        bytes memory key = _times(G2_MSM, Bls12381.MINUS_G2, ORDER - _key(who));
        bytes memory word = _keys().possessionOf(actor(who), key);
        bytes memory proof = _times(G1_MSM, Bls12381.hashToG1(word, POSSESSION), _key(who));
        IBlsKeys keys = _keys();
        VM.prank(actor(who));
        keys.register(key, proof);
    }

    /// @dev One signature: that of the sum of all secrets.
    function _quorum(
        CommitteeAssurance at,
        Request memory request,
        uint256 epoch,
        bytes memory members,
        bytes memory output,
        uint256[3] memory places
    ) internal view override returns (bytes memory) {
        address[] memory owners = new address[](PLACES);
        uint256 secrets;
        for (uint256 place; place < PLACES; ++place) {
            uint256 who;
            (who, owners[place]) = _holder(members, place);
            if (places[1] >> place & 1 != 0) who = 1;
            if ((places[0] | places[1]) >> place & 1 != 0) {
                secrets = addmod(secrets, _key(who), ORDER);
            }
        }
        bytes32 message =
            _bls(at).messageOf(oracle.idOf(request), epoch, actor(0), keccak256(output), TRACE);
        bytes memory hashed = Bls12381.hashToG1(abi.encodePacked(message), TAG);
        return abi.encode(
            IBlsCommitteeAssurance.Aggregate({
                members: members,
                traceRoot: TRACE,
                absent: (1 << PLACES) - 1 & ~(places[0] | places[1]),
                spoken: places[2],
                total: _keys().sum(owners),
                signature: _times(G1_MSM, hashed, secrets)
            })
        );
    }

    function _times(address precompile, bytes memory point, uint256 factor)
        private
        view
        returns (bytes memory)
    {
        (bool success, bytes memory found) =
            precompile.staticcall(bytes.concat(point, bytes32(factor)));
        if (!success || found.length != point.length) revert NoPoint(precompile);
        return found;
    }

    function _bls(CommitteeAssurance at) private pure returns (BlsCommitteeAssurance) {
        return BlsCommitteeAssurance(address(at));
    }

    function _keys() private view returns (IBlsKeys) {
        return _bls(tier).keys();
    }
}
