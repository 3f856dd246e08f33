"""Random and mutated bytes: typed errors only, in bounded time, and nothing false accepted."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prover.curve import encode_point
from prover.errors import BadProgram, EinproofError, ProofError
from prover.field import P
from prover.program.axis import evaluate, evaluate_public
from prover.program.encode import MalformedProgram, decode, encode
from prover.program.format import (
    Kernel,
    Kind,
    PublicAxis,
    PublicView,
    Source,
    Span,
    VerifierProgram,
    parse,
    serialize,
)
from prover.program.layout import layout
from prover.program.validate import validate
from prover.statement import Statement
from prover.verify import VerifyingKey
from tests.programs import mlp, random_case
from tests.proving import CONTEXT, MODEL_ID
from tests.soundness.small import K, every_kind, refusal, target
from tests.tampering import OTHER, random_proof

PROGRAMS = [every_kind().program, mlp([3, 2, 2], limb=4).program]
PROGRAMS += [random_case(seed).program for seed in range(4)]
SECONDS = 120.0  # of any one step, on a slow and busy machine; the usual is far below
FUZZ = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@contextmanager
def quickly() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < SECONDS


@cache
def sections() -> list[bytes]:
    return [serialize(layout(p, K if i == 0 else None).verifier) for i, p in enumerate(PROGRAMS)]


@cache
def sources() -> list[bytes]:
    return [encode(p) for p in PROGRAMS]


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes], head: int) -> bytes:
    """A few bytes changed, `head` of them twice as often; sometimes cut, doubled or spliced."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 4))):
        most = draw(st.sampled_from((head, len(data)))) - 1
        at = draw(st.integers(0, max(0, min(most, len(data) - 1))))
        data[at] = draw(st.sampled_from((0, 1, 2, 3, 5, 40, 64, 127, 128, 255, data[at] ^ 1)))
    kind = draw(st.integers(0, 11))
    at = draw(st.integers(0, len(data)))
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        return bytes(data[:at] + data)
    if kind == 2:
        other = draw(st.sampled_from(originals))
        return bytes(data[:at]) + other[at:]
    return bytes(data)


# -- verifier sections -----------------------------------------------------------------------------


def verdict(v: VerifierProgram, seed: int) -> str | None:
    """On random well-formed bytes of a proof, under points that prove nothing."""
    rng = random.Random(seed)
    sides = [
        rng.randbytes(size - 64 * tiles) + encode_point(OTHER) * tiles
        for size, tiles in ((v.input_bytes, v.input_tiles), (v.output_bytes, v.output_tiles))
    ]
    key = VerifyingKey(MODEL_ID, v, (OTHER,) * v.fixed_tiles, target().srs.id, target().srs.s_g2)
    statement = Statement(CONTEXT, MODEL_ID, target().srs.id, *sides)
    return refusal(key, statement, random_proof(rng, v))


@FUZZ
@given(st.data())
def test_mutated_sections(data: st.DataObject) -> None:
    """Refused by `parse`, or a verifier that refuses random proofs with its own error."""
    section = data.draw(mutated(sections(), 128))
    with quickly():
        try:
            v = parse(section)
        except BadProgram as error:
            assert error.args[0] in range(1, 10)
            return
    if v.tiles < 100 and max(v.input_bytes, v.output_bytes) < 1 << 20:
        with quickly():
            assert verdict(v, len(section)) is not None


@FUZZ
@given(st.binary(max_size=600))
def test_random_sections(data: bytes) -> None:
    for section in (data, b"EINP\x00\x01" + data, sections()[0][:128] + data):
        with quickly(), suppress(BadProgram):
            parse(section)


@FUZZ
@given(st.data())
def test_parse_reads_what_serialize_writes(data: st.DataObject) -> None:
    """What is parsed is written back as it was, but for bytes that nobody reads."""
    section = data.draw(mutated(sections(), 128))
    try:
        v = parse(section)
    except BadProgram:
        return
    assert parse(serialize(v)) == v
    assert len(serialize(v)) <= len(section)


@pytest.mark.parametrize("at", range(128))
def test_every_byte_of_the_header(at: int) -> None:
    original = sections()[0]
    for value in (0, 1, 7, 255, original[at] ^ 0x80, (original[at] + 1) % 256):
        section = original[:at] + bytes([value]) + original[at + 1 :]
        with quickly():
            try:
                v = parse(section)
            except BadProgram:
                continue
        assert serialize(v)[at] in (value, 0)


EXTREME = [
    Kernel(kind, Span(Source.R, 0, p), Span(Source.Y, 0, y), const, shift)
    for kind in Kind
    for p, y in ((0, 0), (40, 28), (0, 28), (40, 0), (1, 28), (40, 1))
    for const in (0, 1, (1 << p) - 1, 1 << p, (1 << 32) - 1)
    for shift in (0, 1, -1, (1 << 31) - 1, -(1 << 31))
    if kind not in (Kind.CUT, Kind.SHIFT) or const <= 1 << p
]


def test_extreme_kernels_are_elements_in_microseconds() -> None:
    """The largest constants, shifts and spans that `parse` lets through, at any points."""
    rng = random.Random(1)
    start = time.monotonic()
    for values in ([0], [1], [0, 1, P - 1], list(range(2, P, P // 50))):
        points = tuple([rng.choice(values) for _ in range(n)] for n in (64, 40, 28))
        for kernel in EXTREME:
            evaluate(kernel, points, rng.choice(values))  # type: ignore[arg-type]
    count = 4 * len(EXTREME)
    assert (time.monotonic() - start) / count < 0.05


def test_kernels_mean_their_sums() -> None:
    """Small ones of every kind, constant and shift, against the sums of format.md#kernels."""
    rng = random.Random(2)
    points = tuple([rng.randrange(P) for _ in range(3)] for _ in range(3))
    gamma = rng.randrange(P)

    def eq(point: list[int], x: int) -> int:
        result = 1
        for i, r in enumerate(reversed(point)):
            result = result * (r if x >> i & 1 else 1 - r) % P
        return result

    for p_bits in range(4):
        for y_bits in range(4):
            spans = Span(Source.RHO, 0, p_bits), Span(Source.Y, 0, y_bits)
            p, y = points[0][:p_bits], points[2][:y_bits]
            ys = range(1 << y_bits)
            for const in range((1 << p_bits) + 1):
                cut = sum(eq(p, x) for x in range(const)) % P
                assert evaluate(Kernel(Kind.CUT, *spans, const), points, gamma) == cut  # type: ignore[arg-type]
                for shift in range(-9, 10):
                    walk = sum(eq(p, c + shift) * eq(y, c) for c in ys if 0 <= c + shift < const)
                    kernel = Kernel(Kind.SHIFT, *spans, const, shift)
                    assert evaluate(kernel, points, gamma) == walk % P  # type: ignore[arg-type]
            common = min(p_bits, y_bits)
            for const in range(1 << max(p_bits, y_bits) - common):
                pairs = range(1 << common)
                if p_bits >= y_bits:
                    equal = sum(eq(p, const << common | x) * eq(y, x) for x in pairs)
                else:
                    equal = sum(eq(p, x) * eq(y, const << common | x) for x in pairs)
                assert evaluate(Kernel(Kind.EQ, *spans, const), points, gamma) == equal % P  # type: ignore[arg-type]
            power = sum(pow(gamma, 5 + c, P) * eq(y, c) for c in ys) % P
            assert evaluate(Kernel(Kind.POWER, *spans, 5), points, gamma) == power  # type: ignore[arg-type]
            index = (sum(x * eq(p, x) for x in range(1 << p_bits)) - 7) % P
            assert evaluate(Kernel(Kind.INDEX, *spans, 0, -7), points, gamma) == index  # type: ignore[arg-type]


def test_extreme_public_views() -> None:
    """As many cells as there may be, along one axis and four, seen from all sides."""
    data = bytes(range(256)) * 8
    points = tuple([3] * n for n in (64, 40, 28))
    for lengths in ((1024,), (1, 1, 1, 1024), (32, 32), (4, 8, 4, 8), (1, 1, 1, 1)):
        for shift in (0, 5, -5, (1 << 15) - 1, -(1 << 15)):
            for bits in (0, 10):
                axes = tuple(
                    PublicAxis(Span(Source.RHO, 0, bits), length, shift, 1 << bits)
                    for length in lengths
                )
                with quickly():
                    evaluate_public(PublicView(0, 0, axes), points, (data, b""))  # type: ignore[arg-type]


# -- source sections -------------------------------------------------------------------------------


@settings(FUZZ, max_examples=500)
@given(st.data())
def test_mutated_sources(data: st.DataObject) -> None:
    """Decoded only if canonical; then valid and laid out, or refused with its own error."""
    source = data.draw(mutated(sources(), 1 << 30))
    with quickly():
        try:
            program = decode(source)
        except MalformedProgram:
            return
        assert encode(program) == source
        try:
            validate(program)
            section = serialize(layout(program, data.draw(st.sampled_from((6, 8, 12)))).verifier)
        except EinproofError:
            return
        assert serialize(parse(section)) == section


@FUZZ
@given(st.binary(max_size=400))
def test_random_sources(data: bytes) -> None:
    for source in (data, sources()[0][:7] + data, sources()[0][:60] + data):
        with quickly(), suppress(MalformedProgram):
            assert encode(decode(source)) == source


def test_fields_that_do_not_fit_are_refused_when_written() -> None:
    program = PROGRAMS[0]
    tensor = program.tensors[0]
    for bad in (
        replace(program, limb=256),
        replace(program, tensors=(replace(tensor, name="n" * 256), *program.tensors[1:])),
        replace(program, tensors=(replace(tensor, name="é"), *program.tensors[1:])),
        replace(program, tensors=(replace(tensor, lo=-(1 << 63) - 1), *program.tensors[1:])),
        replace(program, tensors=(replace(tensor, shape=(1 << 32,)), *program.tensors[1:])),
        replace(program, ops=(replace(program.ops[0], bits=256), *program.ops[1:])),
    ):
        with pytest.raises(MalformedProgram):
            encode(bad)


# -- proofs ----------------------------------------------------------------------------------------


@cache
def honest() -> bytes:
    return target().prove()


@FUZZ
@given(st.data())
def test_mutated_proofs(data: st.DataObject) -> None:
    proof = data.draw(mutated([honest()], 640))
    with quickly():
        error = refusal(target().key, target().statement, proof)
    assert (error is None) == (proof == honest())


@FUZZ
@given(st.binary(max_size=300), st.integers(0, 1 << 30))
def test_random_proofs(data: bytes, seed: int) -> None:
    length = target().key.program.proof_bytes
    padded = (data * (length // max(len(data), 1) + 1))[:length].ljust(length, b"\0")
    made = random_proof(random.Random(seed), target().key.program)
    for proof in (data, padded, made):
        assert refusal(target().key, target().statement, proof) is not None


@FUZZ
@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=40))
def test_random_statements(left: bytes, right: bytes, word: bytes) -> None:
    good = target().statement
    for statement in (
        replace(good, input=left, output=right),
        replace(good, input=left + good.input[len(left) :]),
        replace(good, context=word),
        replace(good, model_id=word),
        replace(good, srs_id=word),
    ):
        error = refusal(target().key, statement, honest())
        assert (error is None) == (statement == good)
    assert issubclass(ProofError, EinproofError)
