// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {CommitteeAssurance} from "../../contracts/committee/CommitteeAssurance.sol";
import {ICommitteeAssurance} from "../../contracts/interfaces/ICommitteeAssurance.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Status} from "../../contracts/types/Status.sol";
import {EchoVerifier} from "../contracts/harness/EchoVerifier.sol";
import {Assembly} from "./Assembly.sol";
import {registerModel} from "./Models.sol";
import {ParrotAssembly} from "./Parrots.sol";
import {VM} from "./Vm.sol";

/// @notice What must hold whatever a committee's members and its users do.
contract CommitteeInvariants {
    uint256 internal constant START = 1_750_000_000;
    uint256 internal constant END = START + 2_000 days;
    uint48 internal constant SEAT = 1e9;
    uint48 internal constant FINE = 1e7;

    StakeVault internal vault;
    CommitteeAssurance internal tier;
    /// @dev The same under another version of the verifier, with a vault of its own.
    CommitteeAssurance internal second;
    InferenceOracle internal oracle;
    ParrotAssembly internal assembly_;

    error Broken(string what, uint256 expected, uint256 got);

    function setUp() public {
        VM.warp(START);
        ModelRegistry registry = new ModelRegistry();
        bytes32 modelId = registerModel(registry, 0);
        GuardedVerifier verifier = new GuardedVerifier(
            new EchoVerifier("srs"), registry, keccak256(abi.encode(modelId, "input", "false"))
        );
        oracle = new InferenceOracle();
        DevelopmentBeacon beacon = new DevelopmentBeacon();
        address[] memory tiers = new address[](1);
        tiers[0] = VM.computeCreateAddress(address(this), _tierNonce());
        vault = new StakeVault(tiers);
        tier = _tier(verifier, registry, vault, beacon);
        tiers[0] = VM.computeCreateAddress(address(this), VM.getNonce(address(this)) + 2);
        GuardedVerifier other = new GuardedVerifier(verifier.inner(), registry, verifier.canary());
        second = _second(other, registry, new StakeVault(tiers), beacon);
        assembly_ = _assembly(verifier, beacon, modelId);
    }

    /// @dev How many contracts this one makes before the tier.
    function _tierNonce() internal pure virtual returns (uint256) {
        return 7;
    }

    function _tier(
        GuardedVerifier verifier,
        ModelRegistry registry,
        StakeVault vault_,
        DevelopmentBeacon beacon
    ) internal virtual returns (CommitteeAssurance) {
        return new CommitteeAssurance(oracle, verifier, registry, vault_, beacon, _rules());
    }

    function _second(
        GuardedVerifier verifier,
        ModelRegistry registry,
        StakeVault vault_,
        DevelopmentBeacon beacon
    ) internal virtual returns (CommitteeAssurance) {
        return _tier(verifier, registry, vault_, beacon);
    }

    function _assembly(GuardedVerifier verifier, DevelopmentBeacon beacon, bytes32 modelId)
        internal
        virtual
        returns (ParrotAssembly)
    {
        return new ParrotAssembly(oracle, vault, tier, verifier, beacon, modelId, second);
    }

    function _rules() internal pure returns (ICommitteeAssurance.Rules memory) {
        return ICommitteeAssurance.Rules({
            seats: 3, quorum: 2, seatStake: SEAT, fine: FINE, window: 4 hours, grace: 1 hours
        });
    }

    /// @dev forge reads this: it calls the assembly only.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(assembly_);
    }

    /// @notice What the handlers are to do, they can: agree on a lie, and have it slashed.
    function test_members_agree_and_are_slashed() public {
        assembly_.ask(1e6, 1 days, 1, 0xfff);
        _same("agreements", 1, assembly_.agreements());
        assembly_.prove(0, 1, 0);
        _same("slashes", 1, assembly_.slashes());
        _same("broken", 0, assembly_.broken());
    }

    /// @notice Words are said again where nothing else stands in their way: about the request itself the
    ///         same members' words agree.
    function test_words_said_again_count_for_nothing() public {
        _open(2);
        for (uint8 kind; kind < 6; ++kind) {
            assembly_.replayWords(0, 1, 1, kind);
        }
        assembly_.crossOver(0);
        _same("replays", 7, assembly_.replays());
        _same("broken", 0, assembly_.broken());
        assembly_.agree(0, 0xfff, false);
        _same("agreements", 1, assembly_.agreements());
    }

    /// @notice The same of what is revealed on-chain: it is the request's, the day's and the member's own.
    function test_what_was_revealed_counts_for_nothing_elsewhere() public {
        _open(2);
        assembly_.summon(0);
        for (uint256 place; place < 3; ++place) {
            assembly_.commit(0, place, false);
        }
        assembly_.summon(1);
        for (uint256 i; i < 9; ++i) {
            assembly_.copy(1, i / 3, i % 3);
        }
        assembly_.pass(1 hours + 2);
        for (uint256 place; place < 3; ++place) {
            assembly_.reveal(0, place, false);
            assembly_.openCopy(1, place, false);
        }
        uint256 opened = assembly_.replays();
        if (opened == 0) revert Broken("copies opened", 1, 0);
        assembly_.replayReveals(1, 0, 1);
        _same("of another request", opened + 1, assembly_.replays());
        assembly_.pass(1 days);
        assembly_.replayReveals(0, 0, 1);
        _same("of another day", opened + 2, assembly_.replays());
        _same("broken", 0, assembly_.broken());
        assembly_.agree(0, 0xfff, false);
        _same("agreements", 1, assembly_.agreements());
    }

    /// @dev Requests that nobody has answered, on the second day of both tiers' committees.
    function _open(uint256 count) internal {
        assembly_.pass(1 days);
        for (uint256 i; i < count; ++i) {
            assembly_.ask(1e6, 8 days, 0, 0);
        }
    }

    /// @notice The vault holds stakes, credits and what was burned, to the wei; what is locked of an owner
    ///         is what is left of its seats.
    function invariant_vault_holds_what_it_owes_and_every_seat() public view {
        uint256 owed = vault.burned() + vault.credit(address(tier));
        uint256 count = tier.seatCount();
        for (uint256 a; a < assembly_.actorCount(); ++a) {
            address owner = assembly_.actor(a);
            IStakeVault.Account memory account = vault.accountOf(owner);
            owed += account.stake + vault.credit(owner);
            if (account.locked > account.stake) {
                revert Broken("locked above stake", account.stake, account.locked);
            }
            uint256 locked;
            for (uint256 seat; seat < count; ++seat) {
                ICommitteeAssurance.Seat memory held = tier.seatAt(seat);
                if (held.owner == owner) locked += held.stake;
            }
            _same("seats", locked, account.locked);
        }
        _same("vault", owed * 1 gwei + assembly_.forced(), address(vault).balance);
    }

    /// @notice Of each bond every part is once somebody's: theirs who revealed, or the requester's again;
    ///         the tier holds just what nobody has taken yet.
    function invariant_bonds_are_theirs_who_spoke_or_go_back() public view {
        (uint256 paid, uint256 waiting) = assembly_.bonds();
        uint256 owed;
        uint256 taken;
        for (uint256 a; a < assembly_.actorCount(); ++a) {
            address owner = assembly_.actor(a);
            taken += assembly_.takenBy(owner);
            owed += tier.credit(owner);
            _same("earned", assembly_.earned(owner), assembly_.takenBy(owner) + tier.credit(owner));
        }
        _same("bonds", paid, waiting + owed + taken);
        _same("tier", waiting + owed + assembly_.forced(), address(tier).balance);
    }

    /// @notice What is reserved is the sum over the claims of this day and the three before, and no more
    ///         than fines leave of a seat. Fines leave so much of every seat that was not slashed.
    function invariant_reserves_are_the_claims_of_four_days() public view {
        uint256 epoch = block.timestamp / 1 days;
        uint256 sum;
        for (uint256 i; i < assembly_.jobCount(); ++i) {
            Assembly.Job memory job = assembly_.jobAt(i);
            if (job.since != 0 && job.since / 1 days + 4 > epoch) sum += job.share;
        }
        _same("reserved", sum, tier.reserved());
        uint256 most = SEAT - 8 * FINE;
        if (sum > most) revert Broken("reserved", most, sum);
        for (uint256 seat; seat < tier.seatCount(); ++seat) {
            ICommitteeAssurance.Seat memory held = tier.seatAt(seat);
            if (held.owner == address(0) || vault.isSuspended(held.owner)) continue;
            if (held.stake < most) revert Broken("fined", most, held.stake);
        }
    }

    /// @notice A valid proof before finality wins, wrong claims are covered while they may have to stand,
    ///         slashes divide exactly, nobody's word is made up; the honest member lost nothing.
    function invariant_nobody_honest_loses() public view virtual {
        _same("broken", 0, assembly_.broken());
        IStakeVault.Account memory account = vault.accountOf(assembly_.actor(0));
        _same("honest stake", assembly_.honestStake(), account.stake);
        if (account.suspended) revert Broken("honest, slashed", 0, 1);
    }

    /// @notice Whatever state the assembly was left in, anyone can end every request, and all who hold seats
    ///         can have what is left of them.
    function afterInvariant() public {
        VM.warp(END);
        for (uint256 i; i < assembly_.jobCount(); ++i) {
            Assembly.Job memory job = assembly_.jobAt(i);
            (Status status,,) = oracle.statusOf(_id(i));
            if (status < Status.Final) oracle.refund(job.request);
            (,,, uint8 silent) = tier.summonsOf(_id(i));
            if (silent != 0) tier.reclaim(job.request);
        }
        for (uint256 a; a < assembly_.actorCount(); ++a) {
            address owner = assembly_.actor(a);
            if (tier.credit(owner) == 0) continue;
            VM.prank(owner);
            tier.withdraw(owner);
        }
        _same("no bond left", assembly_.forced(), address(tier).balance);
        for (uint256 seat; seat < tier.seatCount(); ++seat) {
            ICommitteeAssurance.Seat memory held = tier.seatAt(seat);
            if (held.owner == address(0) || held.until != 0) continue;
            VM.prank(held.owner);
            tier.retire(seat);
        }
        VM.warp(END + 10 days);
        for (uint256 seat; seat < tier.seatCount(); ++seat) {
            ICommitteeAssurance.Seat memory held = tier.seatAt(seat);
            if (held.owner == address(0)) continue;
            VM.prank(held.owner);
            tier.leave(seat);
        }
        for (uint256 a; a < assembly_.actorCount(); ++a) {
            address owner = assembly_.actor(a);
            uint256 held = vault.accountOf(owner).stake;
            VM.prank(owner);
            vault.queueWithdrawal(held);
        }
        VM.warp(END + 24 days);
        for (uint256 a; a < assembly_.actorCount(); ++a) {
            address owner = assembly_.actor(a);
            uint256 held = vault.accountOf(owner).stake;
            if (held == 0) continue;
            VM.prank(owner);
            _same("stake left", held, vault.leave(owner));
        }
    }

    function _id(uint256 i) private view returns (bytes32) {
        return oracle.idOf(assembly_.jobAt(i).request);
    }

    function _same(string memory what, uint256 expected, uint256 got) internal pure {
        if (expected != got) revert Broken(what, expected, got);
    }
}
