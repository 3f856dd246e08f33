"""Words and calldata encoded as no honest member would, and as Solidity takes them all the same."""

from dataclasses import replace

import pytest
from eth_abi.abi import encode

from oracle.adapters.abi import call_data
from oracle.adapters.words import anew, shown_in
from oracle.domain.committee import AGGREGATE, QUORUM, Committee, Opened, Word
from oracle.fakes import OPERATOR, FakeChain

OPENINGS = [(1, 27, b"s" * 32, b"r" * 32, b"t" * 32), (4, 0, bytes(32), bytes(32), bytes(32))]
ONE_BY_ONE = encode((QUORUM,), ((b"m" * 40, b"\7" * 32, OPENINGS),))
AS_ONE = encode((AGGREGATE,), ((b"m" * 40, b"\7" * 32, 5, 2, b"t" * 256, b"s" * 128),))


def word(number):
    return number.to_bytes(32, "big")


def moved(encoded, slots):
    """What these slots point at is copied behind, and pointed at there."""
    body = encoded[32:]
    for slot in slots:
        at = int.from_bytes(body[32 * slot :][:32], "big")
        body = body[: 32 * slot] + word(len(body)) + body[32 * slot + 32 :] + body[at:]
    return word(32) + body


@pytest.mark.parametrize(("words", "many"), [(ONE_BY_ONE, False), (AS_ONE, True)])
def test_words_are_encoded_as_a_member_would_have(words, many):
    dirty = words.replace(b"m" * 40 + bytes(24), b"m" * 40 + b"\xff" * 24)
    assert dirty != words
    behind = word(64) + bytes(32) + words[32:]
    for padded in (words, words + bytes(100_000), dirty, moved(words, [0, 2][: 2 - many]), behind):
        assert anew(padded, many) == words


@pytest.mark.parametrize("many", [False, True])
def test_what_no_contract_takes_is_an_error(many):
    for bad in (b"", word(32), word(1 << 200), ONE_BY_ONE[:100]):
        with pytest.raises(ValueError, match="expected 32 bytes"):
            anew(bad, many)


def calldata(request, evidence=b"evidence"):
    return call_data("answer", request.fields, request.input, OPERATOR, b"out", evidence)


def test_calldata_is_read_however_it_is_encoded_and_of_its_request_only():
    chain = FakeChain()
    request, other = chain.ask(), chain.ask()
    plain = calldata(request)
    found = shown_in(plain, request)
    assert (found.payee.lower(), found.output, found.evidence) == (OPERATOR, b"out", b"evidence")
    assert plain.endswith(b"evidence" + bytes(24))
    assert shown_in(plain[:-24] + b"\xff" * 24, request) == found
    assert shown_in(plain + bytes(50_000), request) == found
    assert shown_in(plain, other) is None
    assert shown_in(plain, replace(request, deadline=request.deadline + 1)) is None
    assert shown_in(b"", request) is None
    assert shown_in(b"\0" + plain[1:], request) is None


def test_an_output_may_lie_in_the_requests_own_words():
    chain = FakeChain()
    request = chain.ask(callback_gas=4)
    plain = calldata(request)
    odd = plain[: 4 + 14 * 32] + word(9 * 32) + plain[4 + 15 * 32 :]
    assert shown_in(odd, request).output == word(request.deadline)[:4]


def test_a_word_that_cannot_be_encoded_is_unsound():
    committee = Committee(1, bytes(4) + bytes.fromhex(OPERATOR[2:]), 1)
    (member,) = committee.owners
    said = Opened(member, b"out", bytes(32), bytes(32))
    good = Word(bytes(32), 1, member, said.commitment(member), bytes(65), said)

    def sound(word):
        return word.sound(committee, 31337, OPERATOR, lambda *_: member)

    assert sound(good)
    for field, wrong in (
        ("epoch", -1),
        ("epoch", "1"),
        ("request_id", bytes(33)),
        ("commitment", bytes(33)),
        ("opened", replace(said, payee="nobody")),
        ("opened", replace(said, salt=bytes(33))),
        ("signature", bytes(64)),
    ):
        assert not sound(replace(good, **{field: wrong}))
