"""The laws of the transcript: what it hashes, what it refuses, what it tells apart."""

import pytest
from Crypto.Hash import keccak as pycryptodome

from prover.curve import GENERATOR, encode_point
from prover.errors import PointAtInfinity, WrongLength
from prover.field import P
from prover.transcript import Transcript


def keccak(data: bytes) -> bytes:
    return pycryptodome.new(digest_bits=256, data=data).digest()


def test_absorb_hashes_state_and_data() -> None:
    transcript = Transcript(bytes(range(32)))
    transcript.absorb_bytes("data", b"\x07" * 64)
    assert transcript.state == keccak(bytes(range(32)) + b"\x07" * 64)


def test_a_challenge_hashes_one_byte_and_reduces_the_new_state() -> None:
    transcript = Transcript()
    challenge = transcript.challenge("c")
    assert transcript.state == keccak(bytes(32) + b"\x01")
    assert challenge == int.from_bytes(transcript.state, "big") % P
    assert transcript.challenges("c", 2) != [challenge, challenge]


FROZEN = 3979832778640396672699983618865241136174405588162946223551195346069632263079  # by pysha3


def test_frozen_chain() -> None:
    transcript = Transcript()
    transcript.absorb_scalar("a", 5)
    transcript.absorb_point("b", GENERATOR)
    transcript.absorb_scalars("c", [-1, P + 2])
    assert transcript.challenge("d") == FROZEN


def test_scalars_and_points_are_words_of_32_bytes() -> None:
    one, other = Transcript(), Transcript()
    one.absorb_scalar("a", 3)
    one.absorb_point("b", GENERATOR)
    other.absorb_bytes("a", (3).to_bytes(32, "big"))
    other.absorb_bytes("b", encode_point(GENERATOR))
    assert one.state == other.state


def test_scalars_together_are_one_message() -> None:
    together, apart, joined = Transcript(), Transcript(), Transcript()
    together.absorb_scalars("ab", [1, 2])
    apart.absorb_scalar("a", 1)
    apart.absorb_scalar("b", 2)
    joined.absorb_bytes("ab", (1).to_bytes(32, "big") + (2).to_bytes(32, "big"))
    assert together.state == joined.state != apart.state


def test_order_and_kind_matter_and_labels_do_not() -> None:
    states = []
    for steps in ((1, 2), (2, 1), (1,), (2,)):
        transcript = Transcript()
        for step in steps:
            transcript.absorb_scalar("", step)
        states.append(transcript.state)
    assert len(set(states)) == len(states)
    labelled, squeezed, absorbed = Transcript(), Transcript(), Transcript()
    labelled.absorb_scalar("another label", 1)
    assert labelled.state == states[2]
    squeezed.challenge("")
    absorbed.absorb_scalar("", 1)
    assert squeezed.state != absorbed.state


@pytest.mark.parametrize(("length", "expected"), [(0, 32), (1, 32), (31, 32), (33, 64)])
def test_only_whole_words_are_absorbed(length: int, expected: int) -> None:
    transcript = Transcript()
    with pytest.raises(WrongLength) as caught:
        transcript.absorb_bytes("data", bytes(length))
    assert caught.value.args == (expected, length)
    assert transcript.state == bytes(32)


def test_refuses_infinity_and_another_state_size() -> None:
    with pytest.raises(PointAtInfinity):
        Transcript().absorb_point("point", None)
    with pytest.raises(WrongLength):
        Transcript(bytes(31))


def test_the_log_has_every_step_in_order() -> None:
    log: list[tuple[str, str]] = []
    transcript = Transcript(log=log)
    transcript.absorb_scalar("first", 1)
    transcript.challenges("second", 2)
    transcript.absorb_point("third", GENERATOR)
    assert log == [
        ("absorb", "first"),
        ("challenge", "second"),
        ("challenge", "second"),
        ("absorb", "third"),
    ]
