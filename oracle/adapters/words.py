"""What others encoded, read as Solidity reads it.

eth_abi refuses some of what contracts take: padding that is not zero, offsets that point back, or
into a head. Who hands in a lie chooses how it is encoded, so that nobody who reads it may be
stricter than the contract was. All raise ValueError for what no contract has taken either.
"""

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import call_data, selector
from oracle.domain.chain import Shown
from oracle.domain.committee import AGGREGATE, OPENING, QUORUM
from oracle.domain.request import Request

ANSWER = selector("answer")
WORD = 32
#: Slots of what `answer` takes behind the request and its input.
PAYEE, OUTPUT, EVIDENCE = 13, 14, 15


def shown_in(data: bytes, request: Request) -> Shown | None:
    """What a transaction to the oracle handed in for this request; None if nothing."""
    selected, head = data[:4], call_data("refund", request.fields)[4:]
    body = data[4:]
    if selected != ANSWER or body[: len(head)] != head:
        return None
    payee = to_checksum_address(_word(body, PAYEE * WORD)[-20:])
    return Shown(payee, _tail(body, 0, OUTPUT), _tail(body, 0, EVIDENCE))


def anew(words: bytes, many: bool) -> bytes:
    """A quorum's words, or those that many signed as one, as a member would have encoded them: who
    handed them in may have padded them until no refutation fits into a transaction."""
    at = _number(words, 0)
    members, trace = _tail(words, at, 0), _word(words, at + WORD)
    if many:
        masks = _number(words, at + 2 * WORD), _number(words, at + 3 * WORD)
        sums = _tail(words, at, 4), _tail(words, at, 5)
        return encode((AGGREGATE,), ((members, trace, *masks, *sums),))
    start = at + _number(words, at + 2 * WORD)
    size = 5 * WORD
    first = start + WORD
    ends = range(first + size, first + size * _number(words, start) + 1, size)
    openings = [decode((OPENING,), words[end - size : end])[0] for end in ends]
    return encode((QUORUM,), ((members, trace, openings),))


def _word(data: bytes, at: int) -> bytes:
    found = data[at : at + WORD]
    if len(found) < WORD:
        raise ValueError(f"expected {WORD} bytes at {at}, got {len(found)}")
    return found


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(_word(data, at), "big")


def _tail(data: bytes, head: int, slot: int) -> bytes:
    """The bytes that a slot of a head points at."""
    at = head + _number(data, head + slot * WORD)
    return data[at + WORD :][: _number(data, at)]
