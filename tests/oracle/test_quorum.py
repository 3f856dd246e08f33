"""Quorums of a committee of many: whose shares are added up, and whose are left out."""

import pytest
from eth_abi.abi import decode
from eth_hash.auto import keccak

from oracle.domain.committee import AGGREGATE, AGREED, Committee, Opened, Word, message
from oracle.fakes import IDENTITY
from oracle.services.quorum import Quorums
from tests.oracle.chamber import COUNCIL, MEMBERS, FakeCouncil
from tests.oracle.world import run

KEYS = "0x" + "b1" * 20
REQUEST = FakeCouncil().ask_council()
#: Four places, three must agree; the last two are one owner's.
OWNERS = [*MEMBERS, MEMBERS[2]]
COMMITTEE = Committee(
    7, b"".join(n.to_bytes(4, "big") + bytes.fromhex(o[2:]) for n, o in enumerate(OWNERS)), 3
)
OURS = Opened(MEMBERS[0], b"right", keccak(b"trace"), keccak(b"salt"))


class Sums:
    """Signatures are numbers: a member's, times the message's; keys are the members' addresses."""

    def __init__(self, keys=KEYS):
        self.at, self.asked = keys, 0

    async def keys(self, tier):
        return self.at

    def sign(self, message):
        return made(MEMBERS[0], message)

    async def holds(self, keys, owner, message, signature):
        self.asked += 1
        return signature == made(owner, message)

    async def total(self, keys, owners):
        return ",".join(owners).encode()

    def together(self, signatures):
        return sum(int.from_bytes(each, "big") for each in signatures).to_bytes(128, "big")


def made(owner, message):
    return keccak(owner.encode() + message).rjust(128, b"\0")


def word(owner, share, opened=OURS):
    return Word(REQUEST.id, 7, owner, bytes(32), bytes(65), opened, share)


SAID = message(IDENTITY.chain_id, COUNCIL.assurance, REQUEST.id, 7, OURS)
GOOD = [word(owner, made(owner, SAID)) for owner in MEMBERS]


def agreed(words, aggregation=None):
    quorums = Quorums(IDENTITY, aggregation or Sums())
    return run(quorums.signed(COUNCIL, REQUEST, COMMITTEE, OURS, words))


def read(evidence):
    assert evidence[:1] == AGREED
    return decode((AGGREGATE,), evidence[1:])[0]


def test_an_owner_of_two_places_is_added_twice():
    members, trace, absent, spoken, total, signature = read(agreed(GOOD))
    assert (members, trace, absent, spoken) == (COMMITTEE.members, OURS.trace, 0, 0)
    assert total == ",".join(OWNERS).encode()
    assert signature == Sums().together([made(owner, SAID) for owner in OWNERS])


@pytest.mark.parametrize("how", ["bad share", "no share", "another answer", "not opened", "away"])
def test_who_does_not_sign_what_we_computed_is_left_out(how):
    other = Opened(MEMBERS[0], b"wrong", OURS.trace, OURS.salt)
    second = {
        "bad share": [word(MEMBERS[1], made(MEMBERS[0], SAID))],
        "no share": [word(MEMBERS[1], b"")],
        "another answer": [word(MEMBERS[1], made(MEMBERS[1], SAID), other)],
        "not opened": [word(MEMBERS[1], made(MEMBERS[1], SAID), None)],
        "away": [],
    }[how]
    _, _, absent, _, _, signature = read(agreed([GOOD[0], *second, GOOD[2]]))
    assert absent == 1 << 1
    assert signature == Sums().together([made(owner, SAID) for owner in (OWNERS[0], *OWNERS[2:])])


def test_fewer_than_a_quorum_say_nothing():
    assert agreed(GOOD[:2]) == b""
    assert agreed([GOOD[2]]) == b""


def test_a_share_is_asked_about_once():
    sums = Sums()
    quorums = Quorums(IDENTITY, sums)
    for _ in range(3):
        run(quorums.signed(COUNCIL, REQUEST, COMMITTEE, OURS, GOOD))
    assert sums.asked == len(GOOD)


def test_what_was_revealed_on_chain_needs_no_signature():
    quorums = Quorums(IDENTITY, Sums())
    revealed = {0: OURS.claim, 1: keccak(b"other"), 2: OURS.claim, 3: OURS.claim}
    _, _, absent, spoken, total, signature = read(
        run(quorums.spoken(COUNCIL, COMMITTEE, OURS, revealed))
    )
    assert (absent, spoken, total, signature) == (0b1111, 0b1101, b"", b"")
    del revealed[3]
    assert run(quorums.spoken(COUNCIL, COMMITTEE, OURS, revealed)) == b""


def test_members_that_sign_one_by_one_show_no_share():
    assert run(Quorums(IDENTITY, Sums("")).share(COUNCIL, REQUEST, 7, OURS)) == b""
    assert run(Quorums(IDENTITY, Sums()).share(COUNCIL, REQUEST, 7, OURS)) == made(MEMBERS[0], SAID)
