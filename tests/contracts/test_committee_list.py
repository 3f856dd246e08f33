"""Who is on a day's list of seats: it closes an hour before the day, so that nobody who may know
the seed of a draw can choose among committees. Against a model that keeps every seat's story."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.contracts.bench import DAY, ETHER, WRONG
from tests.contracts.council import FINE, HOUR, PLACES, RULES, SEAT, START, Council
from tests.contracts.desk import LOGITS
from tests.evm import reverts

TODAY = START // DAY
CLOSES = 23 * HOUR


def count(council: Council) -> int:
    return int(council.chain.call(council.council.functions.seatCount()))


def seats(members: bytes) -> list[int]:
    return [Council.seat(members, place) for place in range(PLACES)]


# --- the hour before midnight ---------------------------------------------------------------------


def enrolled(council: Council, seat: int) -> Callable[[], int]:
    new = count(council)
    council.chain.send(
        council.vault.functions.stake(), sender=council.chain.accounts[3], value=10 * ETHER
    )

    def act() -> int:
        council.tell("enrol", new, sender=council.chain.accounts[3])
        return int(council.seat_of(new)["since"])

    return act


def retired(council: Council, seat: int) -> Callable[[], int]:
    def act() -> int:
        council.tell("retire", seat, sender=council.seat_of(seat)["owner"])
        return int(council.seat_of(seat)["until"])

    return act


def fined(council: Council, members: bytes, seat: int) -> Callable[[], int]:
    """Summoned in the morning; who stayed away can be fined at any time after."""
    request = council.request()
    council.ask(request)
    council.summon(request)
    named = (council.request_id(request), members, seats(members).index(seat))

    def act() -> int:
        council.tell("fineAbsent", *named)
        assert council.seat_of(seat)["stake"] == SEAT - FINE
        return int(council.seat_of(seat)["until"])

    return act


@pytest.mark.parametrize("how", ["enrol", "retire", "fine"])
@pytest.mark.parametrize(
    ("second", "first"), [(CLOSES - 1, 1), (CLOSES, 2), (DAY - 1, 2), (DAY, 2), (DAY + 30, 2)]
)
def test_list_of_a_day_closes_an_hour_before_it(
    council: Council, members: bytes, how: str, second: int, first: int
) -> None:
    """Seed grinding: what is done to the list from then on changes nothing of that day's draw, and
    what was done a second before does."""
    snapshot = council.chain.snapshot()
    expected = council.begin(TODAY + 1)
    council.chain.restore(snapshot)
    seat = next(seat for seat in seats(members) if seat in seats(expected))
    act = (
        fined(council, members, seat)
        if how == "fine"
        else {"enrol": enrolled, "retire": retired}[how](council, seat)
    )
    council.chain.next_timestamp(TODAY * DAY + second)
    assert act() == TODAY + first
    drawn = council.begin(TODAY + 1)
    assert (drawn == expected) == (first == 2)
    if how != "enrol":
        assert (seat in seats(drawn)) == (first == 2)
        assert seat not in seats(council.begin(TODAY + 2))


@pytest.mark.parametrize("moments", [(), (30,), (CLOSES + 30,), (30, CLOSES + 30)])
def test_draw_is_of_the_seats_before_the_lists_that_were_open_since(
    council: Council, moments: tuple[int, ...]
) -> None:
    """A late draw: seats were added to the next list, to the one after it, to both, to neither."""
    owner, day = council.chain.accounts[3], TODAY + 1
    council.chain.send(council.vault.functions.stake(), sender=owner, value=10 * ETHER)
    roll = Roll.of(council)
    for moment in moments:
        council.chain.next_timestamp(day * DAY + moment)
        new = count(council)
        council.tell("enrol", new, sender=owner)
        assert council.seat_of(new)["since"] == day + (1 if moment < CLOSES else 2)
    council.chain.next_timestamp((day + 1) * DAY - 60)
    round = council.chain.call(council.beacon.functions.roundAfter(day * DAY))
    council.chain.send(council.beacon.functions.publish(round, b""))
    council.tell("draw")
    held = council.chain.call(council.council.functions.committeeOf(day))
    assert bytes(held) == keccak(roll.drawn(council, day))


def test_slash_acts_at_once_and_costs_a_captured_committee(
    council: Council, members: bytes
) -> None:
    """The one way left to choose among two committees once the seed is known: a quorum has its own
    lie refuted before the draw. Each of it pays, is off every list, and locks nothing any more."""
    request = council.request(deadline=(TODAY + 1) * DAY)
    council.ask(request)
    council.chain.next_timestamp((TODAY + 1) * DAY - HOUR)
    quorum = council.quorum(request, members, output=WRONG)
    council.agree(request, members, WRONG, quorum=quorum)
    council.chain.next_timestamp((TODAY + 1) * DAY + 10)
    council.chain.send(council.refuting(request, WRONG, quorum), gas=5_000_000)
    slashed = seats(members)[:5]
    for seat in slashed:
        held = council.seat_of(seat)
        assert held["until"] == TODAY + 1 and held["stake"] < SEAT
        assert council.account(held["owner"])["suspended"]
        with reverts("Suspended", held["owner"]):
            council.tell("enrol", count(council), sender=held["owner"])
    with reverts("TooFewSeats", PLACES, 4):
        council.begin(TODAY + 1)


# --- seats that are left, taken again, or forfeited -----------------------------------------------


def left(council: Council, seat: int) -> str:
    """Its owner gives it up, and has left it; the owner."""
    owner = str(council.seat_of(seat)["owner"])
    if not council.seat_of(seat)["until"]:
        council.tell("retire", seat, sender=owner)
    until = (council.seat_of(seat)["until"] + 8) * DAY
    council.chain.next_timestamp(max(until + 1, council.chain.now() + 1))
    council.tell("leave", seat, sender=owner)
    return owner


def test_fine_is_not_of_a_seat_that_its_owner_holds_anew(council: Council, members: bytes) -> None:
    """Else who summoned in one hour could have an owner pay for it in tenure after tenure, and take
    its seat off the list when it likes."""
    request = council.request()
    council.ask(request)
    council.summon(request)
    named = (council.request_id(request), members)
    seat = seats(members)[0]
    owner = left(council, seat)
    council.tell("enrol", seat, sender=owner)
    council.tell("fineAbsent", *named, 0)
    assert council.burned() == 0
    assert council.seat_of(seat)["stake"] == SEAT and council.seat_of(seat)["until"] == 0
    council.tell("fineAbsent", *named, 1)  # who is there still pays
    assert council.burned() == FINE


def test_fine_of_a_dissent_is_not_of_a_seat_that_its_owner_holds_anew(
    council: Council, members: bytes
) -> None:
    request = council.request(deadline=(TODAY + 20) * DAY)
    council.ask(request)
    council.agree(request, members)
    seat, member = seats(members)[6], Council.member(members, 6)
    named = (request.fields, council.payee, keccak(LOGITS), members, 6)
    council.tell("dissent", *named, sender=member)
    council.tell("enrol", seat, sender=left(council, seat))
    council.prove(request)
    assert council.burned() == 0
    assert council.seat_of(seat)["stake"] == SEAT and council.seat_of(seat)["until"] == 0


def test_seat_is_added_only_where_none_is_free(council: Council) -> None:
    """Whoever enrols and leaves, with the same ether again and again, adds one seat to those that
    are drawn from, and not one each time: no draw fails for seats that nobody holds."""
    owner, size = council.chain.accounts[3], count(council)
    council.tell("enrol", size, sender=owner)
    for _ in range(3):
        left(council, size)
        with reverts("SeatsFree", 1):
            council.tell("enrol", size + 1, sender=owner)
        council.tell("enrol", size, sender=owner)
    assert count(council) == size + 1
    council.chain.send(council.vault.functions.stake(), sender=owner, value=10 * ETHER)
    council.tell("enrol", size + 1, sender=owner)
    assert count(council) == size + 2


def test_draw_finds_one_seat_among_many(council: Council) -> None:
    """Whoever held 25 seats at once and gave them up makes draws dearer, and leaves no day without:
    the first takes 72 tries."""
    owner, rich = council.chain.accounts[3:5]
    alone = Council(council.chain, (1, 1, *RULES[2:]), [owner])
    alone.chain.send(alone.vault.functions.stake(), sender=rich, value=200 * ETHER)
    for seat in range(1, 26):
        alone.tell("enrol", seat, sender=rich)
        alone.tell("retire", seat, sender=rich)
    for day in range(2, 5):
        assert alone.seat(alone.begin(TODAY + day), 0) == 0


def forfeit(council: Council, owner: str) -> None:
    """As the audited tier of the same vault does; here the committee's own address says it."""
    tier = council.council.address
    council.chain.rpc("anvil_impersonateAccount", tier)
    council.chain.set_balance(tier, ETHER)
    council.chain.send(council.vault.functions.forfeit(owner), sender=tier)


def test_seat_of_who_forfeited_its_stake_is_retired_by_anyone(council: Council) -> None:
    """It has nothing to lose any more: what its seats free is burned."""
    owner = council.chain.accounts[3]
    with reverts("OnlyOwner", owner, council.stranger):
        council.tell("retire", 0)
    forfeit(council, owner)
    council.tell("retire", 0)
    assert council.seat_of(0)["until"] == TODAY + 1
    with reverts("SeatTaken", 0):
        council.tell("retire", 0)
    with reverts("OnlyOwner", council.chain.accounts[5], council.stranger):
        council.tell("retire", 2)
    for day in range(1, 5):
        assert 0 not in seats(council.begin(TODAY + day))


def test_retire_and_leave_of_no_seat_are_refused(council: Council) -> None:
    for name in ("retire", "leave"):
        with reverts("NoSuchSeat", count(council)):
            council.tell(name, count(council))


# --- against a model ------------------------------------------------------------------------------


@dataclass
class Roll:
    """Seats as a reader of the rules keeps them: to which day's list each was first added, and who
    holds it from which day on until which."""

    pushed: list[int] = field(default_factory=list)
    held: dict[int, tuple[str, int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, council: Council) -> Roll:
        """All that were added before the first day."""
        found = [council.seat_of(seat) for seat in range(count(council))]
        return cls(
            [TODAY] * len(found),
            {seat: (held["owner"], TODAY, 0) for seat, held in enumerate(found)},
        )

    @staticmethod
    def open_at(moment: int) -> int:
        """The first day that begins more than an hour later."""
        return next(
            day for day in range(moment // DAY, moment // DAY + 3) if day * DAY > moment + HOUR
        )

    def listed(self, seat: int, day: int) -> bool:
        if seat not in self.held:
            return False
        _, since, until = self.held[seat]
        return since <= day and (until == 0 or day < until)

    def drawn(self, council: Council, day: int) -> bytes:
        round = council.chain.call(council.beacon.functions.roundAfter(day * DAY))
        seed = bytes(council.chain.call(council.beacon.functions.valueOf(round)))
        size = sum(since <= day for since in self.pushed)
        members, taken, i = b"", set[int](), 0
        while len(taken) < PLACES:
            word = keccak(encode(["bytes32", "uint256"], [seed, i]))
            seat, i = int.from_bytes(word, "big") % size, i + 1
            if self.listed(seat, day) and seat not in taken:
                taken.add(seat)
                members += seat.to_bytes(4, "big") + bytes.fromhex(self.held[seat][0][2:])
        return members


@pytest.mark.parametrize("dice", range(3))
def test_draws_are_those_of_the_model(council: Council, dice: int) -> None:
    """Weeks of seats that come, retire, leave and are taken again, mostly around an hour before
    midnight and around the draw; every draw is that of the list that was closed then."""
    chance, chain, roll = random.Random(dice), council.chain, Roll.of(council)
    owners = chain.accounts[3:10]
    for owner in owners:
        chain.send(council.vault.functions.stake(), sender=owner, value=500 * ETHER)
    day, acts = TODAY, dict.fromkeys(("enrol", "again", "retire", "leave"), 0)
    for _ in range(14):
        day += chance.choice((1, 1, 1, 2, 5))
        before = [chance.randrange(-2 * HOUR, 0) for _ in range(4)]
        edges = {-HOUR - 1, -HOUR, -1, 0}
        moments = sorted(
            {*chance.sample(sorted(edges), 2), *before, *chance.sample(range(1, 50), 3)}
        )
        for moment in (day * DAY + moment for moment in moments):
            if moment <= chain.now():
                continue
            chain.next_timestamp(moment)
            act = step(council, roll, chance, owners, moment)
            if act:
                acts[act] += 1
        assert council.begin(day) == roll.drawn(council, day), f"day {day - TODAY}"
    assert all(acts.values()), acts


def step(
    council: Council, roll: Roll, chance: random.Random, owners: list[str], moment: int
) -> str:
    """Somebody does something to a seat, in the contract and in the model."""
    opens, owner = Roll.open_at(moment), chance.choice(owners)
    free = [seat for seat in range(len(roll.pushed)) if seat not in roll.held]
    gone = [s for s, (_, _, until) in roll.held.items() if until and moment > (until + 8) * DAY]
    staying = [seat for seat, (_, _, until) in roll.held.items() if until == 0]
    if gone and chance.random() < 0.5:
        seat = chance.choice(gone)
        council.tell("leave", seat, sender=roll.held.pop(seat)[0])
        return "leave"
    if len(staying) > PLACES + 3 and chance.random() < 0.6:
        seat = chance.choice(staying)
        name, since, _ = roll.held[seat]
        council.tell("retire", seat, sender=name)
        roll.held[seat] = (name, since, opens)
        return "retire"
    seat = chance.choice(free) if free else len(roll.pushed)
    council.tell("enrol", seat, sender=owner)
    roll.held[seat] = (owner, opens, 0)
    if free:
        return "again"
    roll.pushed.append(opens)
    return "enrol"
