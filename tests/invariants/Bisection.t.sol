// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BisectionAssurance} from "../../contracts/assurance/BisectionAssurance.sol";
import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {IBisectionAssurance} from "../../contracts/interfaces/IBisectionAssurance.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {IStakedAssurance} from "../../contracts/interfaces/IStakedAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";
import {Status} from "../../contracts/types/Status.sol";
import {EchoVerifier} from "../contracts/harness/EchoVerifier.sol";
import {Bailiff} from "./Bailiff.sol";
import {registerModel} from "./Models.sol";
import {VM} from "./Vm.sol";

/// @notice A bisection tier over four segments, and everyone around it.
abstract contract BisectionSetting {
    uint256 internal constant START = 1_750_000_000;
    uint256 internal constant END = START + 2_000 days;
    uint256 internal constant SPANS = 8;
    /// @dev Gwei that everyone puts in.
    uint256 internal constant STAKE = 20e9;

    StakeVault internal vault;
    BisectionAssurance internal tier;
    InferenceOracle internal oracle;
    Bailiff internal bailiff;

    error Broken(string what, uint256 expected, uint256 got);

    function setUp() public virtual {
        VM.warp(START);
        ModelRegistry registry = new ModelRegistry();
        bytes32[] memory segments = new bytes32[](4);
        for (uint256 i; i < segments.length; ++i) {
            segments[i] = registerModel(registry, i);
        }
        GuardedVerifier verifier = new GuardedVerifier(
            new EchoVerifier("srs"), registry, keccak256(abi.encode(segments[0], "input", "false"))
        );
        oracle = new InferenceOracle();
        address[] memory tiers = new address[](1);
        tiers[0] = VM.computeCreateAddress(address(this), 6);
        vault = new StakeVault(tiers);
        tier = new BisectionAssurance(oracle, verifier, registry, vault, _parameters(), 2);
        bailiff = _bailiff(verifier, tier.compose(segments));
    }

    function _bailiff(GuardedVerifier verifier, bytes32 modelId)
        internal
        virtual
        returns (Bailiff)
    {
        return new Bailiff(oracle, vault, tier, verifier, modelId);
    }

    /// @notice Anyone can end every claim once W_max is over; then all bonds that return, all stakes and
    ///         all credits can be had. After a stop no stake is lost to what is still open.
    function afterInvariant() public virtual {
        VM.warp(END);
        uint256 stakes = _stakes();
        for (uint256 i; i < bailiff.jobCount(); ++i) {
            Bailiff.Job memory job = bailiff.jobAt(i);
            (Status status,,) = oracle.statusOf(bailiff.idOf(i));
            if (status < Status.Final) oracle.refund(job.request);
            if (bailiff.isLocked(i)) {
                (uint256 from, uint256 to) = bailiff.overdue(i);
                tier.close(job.request, job.payee, bailiff.outputHash(i), from, to);
            }
            if (bailiff.isLocked(i)) revert Broken("still locked", 0, i);
            for (uint256 span; span < SPANS; ++span) {
                bailiff.collect(i, span);
            }
        }
        _same("bonds left", bailiff.kept(), address(tier).balance);
        if (bailiff.isAllStopped()) _same("stakes after a stop", stakes, _stakes());
        _leave();
        _same("vault, empty", vault.burned() * 1 gwei, address(vault).balance);
    }

    /// @dev Everyone takes its stake and its credit.
    function _leave() private {
        for (uint256 a; a < bailiff.actorCount(); ++a) {
            address owner = bailiff.actor(a);
            uint256 held = vault.accountOf(owner).stake;
            VM.prank(owner);
            vault.queueWithdrawal(held);
        }
        VM.warp(END + 14 days);
        for (uint256 a; a < bailiff.actorCount(); ++a) {
            address owner = bailiff.actor(a);
            uint256 held = vault.accountOf(owner).stake;
            uint256 credit = vault.credit(owner);
            if (held != 0) {
                VM.prank(owner);
                _same("stake left", held, vault.leave(owner));
            }
            if (credit != 0) _same("credit left", credit, vault.withdrawFor(owner));
        }
    }

    function _stakes() private view returns (uint256 sum) {
        for (uint256 a; a < bailiff.actorCount(); ++a) {
            sum += vault.accountOf(bailiff.actor(a)).stake;
        }
    }

    function _parameters() private pure returns (IStakedAssurance.Parameters memory) {
        return IStakedAssurance.Parameters({
            window: 4 hours,
            largeWindow: 24 hours,
            largeCoverage: 5e8,
            inclusionDelay: 0,
            challengerCost: 1e6,
            verifyGas: 1_000_000,
            gasPriceCap: 1 gwei,
            provingPrice: 1 gwei
        });
    }

    function _same(string memory what, uint256 expected, uint256 got) internal pure {
        if (expected != got) revert Broken(what, expected, got);
    }
}

/// @notice What must hold of the bisection tier, whatever the players do.
contract BisectionInvariants is BisectionSetting {
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(bailiff);
    }

    /// @notice The vault holds stakes, credits and what was burned, to the wei; every lock is backed.
    function invariant_vault_holds_what_it_owes_and_backs_every_lock() public view {
        uint256 owed = vault.burned() + vault.credit(address(tier));
        for (uint256 a; a < bailiff.actorCount(); ++a) {
            address owner = bailiff.actor(a);
            IStakeVault.Account memory account = vault.accountOf(owner);
            owed += account.stake + vault.credit(owner);
            if (account.locked > account.stake) {
                revert Broken("locked above stake", account.stake, account.locked);
            }
            uint256 locked;
            for (uint256 i; i < bailiff.jobCount(); ++i) {
                if (bailiff.jobAt(i).payee == owner && bailiff.isLocked(i)) {
                    locked += bailiff.lockOf(i);
                }
            }
            _same("sum of locks", locked, account.locked);
        }
        _same("vault", owed * 1 gwei, address(vault).balance);
    }

    /// @notice The tier holds every bond that was not collected; spans owed are counted right.
    function invariant_tier_holds_the_bonds_and_counts_what_is_owed() public view {
        uint256 held;
        for (uint256 i; i < bailiff.jobCount(); ++i) {
            (uint256 bonds, uint256 owed, uint256 proved) = bailiff.tally(i);
            held += bonds;
            IBisectionAssurance.Game memory game = tier.gameOf(bailiff.idOf(i));
            _same("owed", owed, game.owed);
            _same("proved", proved, game.proved);
        }
        _same("tier", held + bailiff.kept(), address(tier).balance);
    }

    /// @notice A stake pays for its own claims that lapsed, and for nothing else.
    function invariant_a_stake_pays_for_its_own_claims() public view {
        for (uint256 a; a < bailiff.actorCount(); ++a) {
            address owner = bailiff.actor(a);
            uint256 cost;
            for (uint256 i; i < bailiff.jobCount(); ++i) {
                bool lapsed =
                    tier.gameOf(bailiff.idOf(i)).outcome == IBisectionAssurance.Outcome.Lapsed;
                if (lapsed && bailiff.jobAt(i).payee == owner) cost += bailiff.lockOf(i);
            }
            _same("own stake", STAKE, vault.accountOf(owner).stake + cost);
        }
    }

    /// @notice Proofs are handed in for what they do not prove where nothing else stands in their way: those of
    ///         this claim's segments make it final.
    function test_proofs_of_other_segments_count_for_nothing() public {
        for (uint256 i; i < 2; ++i) {
            bailiff.ask(0, 1e6, 60, 0, 4); // right, without a halt
            for (uint256 span; span < 3; ++span) {
                bailiff.publish(i, span, 1);
            }
        }
        for (uint256 segment; segment < 4; ++segment) {
            bailiff.replay(0, 1, segment, 2); // of the other claim
            bailiff.replay(0, 0, segment, 256); // for another payee
            bailiff.replay(0, 0, segment, segment == 3 ? 2 * 768 : 768); // of another segment
        }
        _same("replays", 12, bailiff.replays());
        for (uint256 segment; segment < 4; ++segment) {
            bailiff.prove(0, segment);
        }
        bailiff.settle(0, 0, 1);
        (Status status,,) = oracle.statusOf(bailiff.idOf(0));
        _same("status", uint256(Status.Final), uint256(status));
        _same("broken", 0, bailiff.broken());
    }

    /// @notice Nobody honest was slashed; what is false and was pursued is never final; a slash
    ///         divides one lock exactly.
    function invariant_honest_operator_keeps_its_stake() public view virtual {
        _same("broken", 0, bailiff.broken());
        if (vault.accountOf(bailiff.actor(0)).suspended) revert Broken("honest, slashed", 0, 1);
    }
}
