// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {GuardedVerifier} from "../../contracts/assurance/GuardedVerifier.sol";
import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {CommitteeAssurance} from "../../contracts/committee/CommitteeAssurance.sol";
import {ICommitteeAssurance} from "../../contracts/interfaces/ICommitteeAssurance.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {DevelopmentBeacon} from "../../contracts/random/DevelopmentBeacon.sol";
import {Status} from "../../contracts/types/Status.sol";
import {CommitteeInvariants} from "./Committee.t.sol";
import {ParrotAssembly} from "./Parrots.sol";

/// @notice Which premise of a committee fails.
enum Weakness {
    Majority, // all members but actor 0 are of one party, and lie together
    Presence, // actor 0 is away whenever some requests summon it: neither grace suffices
    Secrecy // that party knows a day's seed while its list is open, and takes the seats that will be drawn
}

/// @notice An assembly with one weakness.
contract WeakAssembly is ParrotAssembly {
    uint256 internal constant MOST_SEATS = 30;
    uint256 internal constant ALL_SIGN = 0xfff;

    Weakness public immutable weakness;
    /// @notice Days whose committee was chosen.
    uint256 public steered;

    constructor(
        InferenceOracle oracle_,
        StakeVault vault_,
        CommitteeAssurance tier_,
        GuardedVerifier guard_,
        DevelopmentBeacon beacon_,
        bytes32 modelId_,
        CommitteeAssurance second_,
        Weakness weakness_
    ) ParrotAssembly(oracle_, vault_, tier_, guard_, beacon_, modelId_, second_) {
        weakness = weakness_;
    }

    /// @dev All of today's members who are of that party sign the same lie.
    function capture(uint256 which) external {
        if (weakness != Weakness.Presence && _jobs.length != 0) {
            _agree(_pick(which), ALL_SIGN, true);
        }
    }

    /// @dev Of up to four more seats the party takes as many as give it most places.
    function steer(uint256 who) external {
        uint256 count = tier.seatCount();
        if (weakness != Weakness.Secrecy || count > MOST_SEATS) return;
        uint256 epoch = (block.timestamp + CLOSED) / EPOCH + 1;
        uint256 best;
        uint256 most = _placesOf(epoch, 0);
        for (uint256 more = 1; more <= 4; ++more) {
            uint256 got = _placesOf(epoch, more);
            if (got > most) (best, most) = (more, got);
        }
        for (uint256 i; i < best; ++i) {
            _stake(1 + (who + i) % (ACTORS - 1), 1 ether);
            _enrol(1 + (who + i) % (ACTORS - 1), count + i);
        }
        if (best != 0) ++steered;
    }

    /// @notice Summons that actor 0 did not follow, a place each.
    function missed() external view returns (uint256 count) {
        for (uint256 i; i < _jobs.length; ++i) {
            bytes32 id = oracle.idOf(_jobs[i].request);
            (uint32 epoch,,,) = tier.summonsOf(id);
            if (epoch == 0 || _isHere(id)) continue;
            for (uint256 place; place < PLACES; ++place) {
                (uint256 who,) = _holder(membersOf[epoch], place);
                if (who == 0) ++count;
            }
        }
    }

    /// @notice Places of today's committee that are not actor 0's.
    function taken() external view returns (uint256 places) {
        bytes memory members = membersOf[block.timestamp / EPOCH];
        for (uint256 place; place < PLACES && members.length != 0; ++place) {
            (uint256 who,) = _holder(members, place);
            if (who != 0) ++places;
        }
    }

    function _isHere(bytes32 id) internal view override returns (bool) {
        return weakness != Weakness.Presence || uint256(id) % 3 != 0;
    }

    /// @dev Places that would not be actor 0's, with so many more seats at the list's end.
    function _placesOf(uint256 epoch, uint256 more) private view returns (uint256 places) {
        uint256 count = tier.seatCount();
        address[] memory list = new address[](count + more);
        for (uint256 seat; seat < count + more; ++seat) {
            list[seat] = actor(1);
            if (seat >= count) continue;
            ICommitteeAssurance.Seat memory held = tier.seatAt(seat);
            list[seat] = held.until == 0 || held.until > epoch ? held.owner : address(0);
        }
        uint64 round = beacon.roundAfter(epoch * EPOCH);
        // DevelopmentBeacon's value, which is no secret.
        bytes32 seed = keccak256(abi.encode("einproof development beacon", round));
        uint256 drawn;
        for (uint256 i; i < TRIES && drawn < PLACES; ++i) {
            uint256 seat = uint256(keccak256(abi.encode(seed, i))) % list.length;
            if (list[seat] == address(0)) continue;
            if (list[seat] != actor(0)) ++places;
            list[seat] = address(0);
            ++drawn;
        }
    }
}

/// @notice With one premise broken, all else holds as before: a wrong claim is covered by those who signed it
///         as long as it may have to stand, seats pay for nothing else, and the honest member loses
///         nothing, or a fine for each place in which it was summoned and did not come.
abstract contract CommitteePremisesInvariants is CommitteeInvariants {
    function _weakness() internal pure virtual returns (Weakness);

    function _assembly(GuardedVerifier verifier, DevelopmentBeacon beacon, bytes32 modelId)
        internal
        override
        returns (ParrotAssembly)
    {
        return new WeakAssembly(oracle, vault, tier, verifier, beacon, modelId, second, _weakness());
    }

    function invariant_nobody_honest_loses() public view override {
        _same("broken", 0, assembly_.broken());
        IStakeVault.Account memory account = vault.accountOf(assembly_.actor(0));
        uint256 fines = assembly_.honestFines();
        _same("honest stake", assembly_.honestStake(), account.stake + fines);
        uint256 most = FINE * _weak().missed();
        if (fines > most) revert Broken("fines", most, fines);
        if (account.suspended) revert Broken("honest, slashed", 0, 1);
    }

    function _weak() internal view returns (WeakAssembly) {
        return WeakAssembly(address(assembly_));
    }
}

contract CapturedCommitteeInvariants is CommitteePremisesInvariants {
    /// @notice What the handlers are to do, they can: the captured committee's lie stands, and is final
    ///         where nobody refutes it; whoever does has its signers pay 2 C and more, C of it to the
    ///         requester.
    function test_a_captured_committee_pays_for_what_is_refuted() public {
        for (uint256 i; i < 2; ++i) {
            assembly_.ask(1e6, 8 days, 0, 0);
            _weak().capture(i);
        }
        _same("lies that stand", 2, assembly_.agreements());
        uint256 burned = vault.burned();
        assembly_.prove(0, 1, 0);
        _same("slashes", 1, assembly_.slashes());
        if (vault.burned() - burned < 1e6) revert Broken("burned", 1e6, vault.burned() - burned);
        assembly_.pass(4 hours + 4);
        assembly_.settle(1, 1);
        (Status status,,) = oracle.statusOf(oracle.idOf(assembly_.jobAt(1).request));
        _same("the other lie", uint256(Status.Final), uint256(status));
        invariant_nobody_honest_loses();
        invariant_vault_holds_what_it_owes_and_every_seat();
    }

    function _weakness() internal pure override returns (Weakness) {
        return Weakness.Majority;
    }
}

contract SilentMemberInvariants is CommitteePremisesInvariants {
    uint256 internal constant JOBS = 11;

    /// @notice What the handlers are to do, they can: who is summoned and does not come is fined once a place,
    ///         and for nothing else.
    function test_a_silent_member_is_fined_once_a_place() public {
        for (uint256 day; day < 9 && _weak().taken() == 3; ++day) {
            assembly_.pass(1 days); // until it sits in the committee
        }
        for (uint256 i; i < JOBS; ++i) {
            assembly_.ask(1e6, 8 days, 0, 0);
            assembly_.summon(1); // the request that was asked last
        }
        assembly_.pass(2 hours + 4);
        for (uint256 i; i < 2 * JOBS; ++i) {
            for (uint256 place; place < 3; ++place) {
                assembly_.fine(12 * i, place); // 12 * i % 11 is i: of all, twice
            }
        }
        uint256 missed = _weak().missed();
        if (missed == 0) revert Broken("missed", 1, 0);
        _same("fines", FINE * missed, assembly_.honestFines());
        invariant_nobody_honest_loses();
        invariant_vault_holds_what_it_owes_and_every_seat();
    }

    function _weakness() internal pure override returns (Weakness) {
        return Weakness.Presence;
    }
}

contract KnownSeedInvariants is CommitteePremisesInvariants {
    /// @notice What the handlers are to do, they can: who knows the seeds sits in every place within a few
    ///         days; and loses by what is refuted what any other captured committee does.
    function test_who_knows_seeds_chooses_committees() public {
        uint256 captured;
        for (uint256 day; day < 12; ++day) {
            _weak().steer(day);
            assembly_.pass(1 days);
            if (_weak().taken() == 3) ++captured;
        }
        if (_weak().steered() == 0 || captured < 6) revert Broken("captured", 6, captured);
        invariant_nobody_honest_loses();
        invariant_vault_holds_what_it_owes_and_every_seat();
    }

    function _weakness() internal pure override returns (Weakness) {
        return Weakness.Secrecy;
    }
}
