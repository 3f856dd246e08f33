"""Each step of TensorVerifier.sol against its Python namesake, on random inputs and edge cases."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from web3.contract import Contract

from prover import einsum, linear, lookup
from prover.challenges import Challenges
from prover.errors import BadProgram
from prover.field import P, encode_scalar
from prover.program import axis
from prover.program import format as fmt
from prover.program.format import Kernel, Kind, PublicAxis, PublicView, Source, Span
from prover.program.layout import layout
from prover.proof import LookupEvaluations
from prover.sumcheck import final_claim
from prover.transcript import Transcript
from tests.evm import Chain, Reverted
from tests.programs import mlp, random_case

HARNESS = "tests/contracts/harness/VerifierHarness.sol"
EDGES = (0, 1, P - 1, P - 2)

pytestmark = pytest.mark.chain


@pytest.fixture(scope="module")
def harness(anvil: Chain) -> Contract:
    return anvil.deploy(HARNESS)


def element(rng: random.Random) -> int:
    return rng.choice(EDGES) if rng.random() < 0.2 else rng.randrange(P)


def point(rng: random.Random, bits: int) -> list[int]:
    return [element(rng) for _ in range(bits)]


def challenges(rng: random.Random, v: fmt.VerifierProgram | None = None) -> Challenges:
    rho, n, k, mu = (v.rho_length, v.n, v.k, v.mu) if v else (9, 8, 7, 3)
    return Challenges(
        element(rng), element(rng), point(rng, rho), element(rng), point(rng, n), point(rng, n),
        point(rng, mu), element(rng), point(rng, k),
    )  # fmt: skip


def as_tuple(drawn: Challenges) -> tuple[Any, ...]:
    """The fields in the order of the Solidity struct: as they are drawn."""
    return tuple(vars(drawn).values())


def record(kernel: Kernel) -> int:
    out = bytes([kernel.kind])
    for span in (kernel.p, kernel.y):
        out += bytes([span.source, span.first, span.bits])
    out += bytes(1) + kernel.const.to_bytes(4, "big") + kernel.shift.to_bytes(4, "big", signed=True)
    return int.from_bytes(out.ljust(32, b"\0"), "big")


def test_multilinear_weights(anvil: Chain, harness: Contract) -> None:
    rng, call = random.Random(1), harness.functions
    for bits in (0, 1, 2, 3, 4, 5, 8, 9):
        a, b = point(rng, bits), point(rng, bits)
        assert anvil.call(call.eq(a, b)) == axis.eq(a, b)
        assert anvil.call(call.eqTable(a)) == axis.eq_expand(a)
        for n in {0, 1, (1 << bits) - 1, 1 << bits, rng.randrange(1 << bits)}:
            if n <= 1 << bits:
                assert anvil.call(call.cut(a, n)) == axis.cut(a, n)
            if n < 1 << bits:
                assert anvil.call(call.eqConst(a, n)) == axis.eq_const(a, n)
                assert anvil.call(call.cutPair(a, b, n)) == axis.shifted(a, b, n, 0)


def test_inverse_powers_of_two(anvil: Chain, harness: Contract) -> None:
    for exponent in range(57):
        found = anvil.call(harness.functions.inversePowerOfTwo(exponent))
        assert found == pow(2, -exponent, P)


def span(rng: random.Random, most: int, bits: int | None = None) -> Span:
    source = rng.choice(list(Source))
    bits = rng.randint(0, most) if bits is None else bits
    return Span(source, rng.randint(0, (9, 8, 7)[source] - bits), bits)


@pytest.mark.parametrize("kind", list(Kind))
def test_kernels(anvil: Chain, harness: Contract, kind: Kind) -> None:
    rng = random.Random(kind)
    for _ in range(60):
        drawn = challenges(rng)
        p, y = span(rng, 6), span(rng, 6)
        const, shift = rng.randrange(1 << 32), rng.randint(-(1 << 31), (1 << 31) - 1)
        if kind in (Kind.CUT, Kind.SHIFT):
            const = rng.choice((0, 1, 1 << p.bits, rng.randint(0, 1 << p.bits)))
        if kind == Kind.SHIFT and rng.random() < 0.9:
            shift = rng.choice((0, 1, -1, 1 << y.bits, -(1 << y.bits), rng.randint(-70, 70)))
        if kind == Kind.EQ:
            y = span(rng, 6, p.bits)
        kernel = Kernel(kind, p, y, const, shift)
        arguments = (record(kernel), kernel.values, as_tuple(drawn))
        found = anvil.call(harness.functions.kernel(*arguments))
        assert found == axis.evaluate_record(kernel, drawn.points, drawn.gamma), kernel
        assert len(found) == kernel.values
        if kind in (Kind.EQ, Kind.INDEX):
            for bits, value in enumerate(found, 1):
                assert value == axis.evaluate(kernel.last(bits), drawn.points, drawn.gamma)


def test_shift_is_the_sum_that_it_stands_for(anvil: Chain, harness: Contract) -> None:
    rng = random.Random(5)
    for bits_p, bits_y in ((0, 0), (0, 2), (2, 0), (1, 3), (3, 1), (3, 3), (2, 4), (4, 2)):
        cuts = [(0, n) for n in range((1 << bits_p) + 1)]  # with as many bits: cells see their rows
        # boxes of a longer axis, whole or cut by one: all bits of d, with a carry and without
        ends = [(d, d + (1 << bits_y)) for d in range(1 << bits_p)]
        boxes = [(d, n - i) for d, n in ends if n <= 1 << bits_p for i in (0, 1)]
        others = [(d, rng.randint(0, 1 << bits_p)) for d in (*range(-9, 10), 1 << 30, -(1 << 31))]
        for d, n in (*cuts, *boxes, *others):
            drawn = challenges(rng)
            kernel = Kernel(
                Kind.SHIFT, Span(Source.RHO, 1, bits_p), Span(Source.Y, 2, bits_y), n, d
            )
            p = axis.eq_expand(drawn.rho[1 : 1 + bits_p])
            y = axis.eq_expand(drawn.tile[2 : 2 + bits_y])
            expected = sum(p[j + d] * w for j, w in enumerate(y) if 0 <= j + d < n) % P
            found = anvil.call(harness.functions.kernel(record(kernel), 1, as_tuple(drawn)))
            assert found == [expected], (bits_p, bits_y, d, n)


def test_public_views(anvil: Chain, harness: Contract) -> None:
    rng = random.Random(6)
    for _ in range(60):
        drawn = challenges(rng)
        axes, cells = [], 1
        for _ in range(rng.randint(1, 4)):
            place = span(rng, 5)
            length = rng.randint(1, 9 if cells < 20 else 2)
            shift = rng.choice((0, rng.randint(-12, 12), rng.randint(-(1 << 15), (1 << 15) - 1)))
            axes.append(PublicAxis(place, length, shift, rng.randint(0, 1 << place.bits)))
            cells *= length
        side, offset = rng.randrange(2), rng.randrange(40)
        sides = [rng.randbytes(offset + 2 * cells + rng.randrange(8)) for _ in range(2)]
        view = PublicView(side, offset, tuple(axes))
        first, second = view_records(view)
        found = anvil.call(harness.functions.publicView(first, second, as_tuple(drawn), *sides))
        assert found == axis.evaluate_public(view, drawn.points, sides), view


@pytest.mark.parametrize("bits", range(11))
def test_public_axes_at_their_edges(anvil: Chain, harness: Contract, bits: int) -> None:
    """Cells are read sixteen to a word: first and last words that are cut anywhere, cells before
    and after the point's, of rows that lie next to each other."""
    rng, size = random.Random(bits), 1 << bits
    drawn = replace(challenges(rng), rho=point(rng, 13))
    ends = {1, size - 1, size, 15, 16, 17, 31, 33, rng.randint(1, size)} - {0}
    shifts = {0, 1, -1, 15, -16, 17, size - 1, 1 - size, size, -size, rng.randint(-size, size)}
    for shift in sorted(shifts):
        for n in sorted(end for end in ends if end <= size):
            rows = rng.choice((1, 1, 3)) if bits < 9 else 1
            length = rng.choice([end for end in (*ends, n, n + max(shift, 0)) if end <= 1024])
            place = Span(Source.RHO, rng.randint(0, 13 - bits - 2), bits)
            axes = (PublicAxis(place, length, shift, n),)
            if rows > 1:
                outer = Span(Source.RHO, 11, 2)
                axes = (PublicAxis(outer, rows, rng.randint(-2, 2), rng.randint(0, 4)), *axes)
            offset = rng.randrange(40)
            data = rng.randbytes(offset + 2 * rows * length + rng.randrange(40))
            view = PublicView(0, offset, axes)
            first, second = view_records(view)
            found = anvil.call(
                harness.functions.publicView(first, second, as_tuple(drawn), data, b""), gas=10**8
            )
            assert found == axis.evaluate_public(view, drawn.points, [data, b""]), view


def view_records(view: PublicView) -> tuple[int, int]:
    first = bytes([view.side, len(view.axes)]) + view.offset.to_bytes(4, "big")
    second = b""
    for part in view.axes:
        second += bytes([part.p.source << 6 | part.p.bits, part.p.first])
        second += part.length.to_bytes(2, "big") + part.shift.to_bytes(2, "big", signed=True)
        second += part.n.to_bytes(2, "big")
    words = (first.ljust(32, b"\0"), second.ljust(32, b"\0"))
    return int.from_bytes(words[0], "big"), int.from_bytes(words[1], "big")


@pytest.mark.parametrize("degree", [2, 3, 4, 5, 6])
def test_sumcheck_rounds(anvil: Chain, harness: Contract, degree: int) -> None:
    rng = random.Random(degree)
    for count in (0, 1, 2, 7):
        rounds = [point(rng, degree) for _ in range(count)]
        data = b"".join(encode_scalar(c) for sent in rounds for c in sent)
        transcript = Transcript(rng.randbytes(32))
        start, expected = transcript.state, []
        for sent in rounds:
            transcript.absorb_scalars("round", sent)
            expected.append(transcript.challenge("r"))
        state, drawn = anvil.call(harness.functions.draw(start, data, degree, count))
        assert (state, drawn) == (transcript.state, expected)
        claim, where = element(rng), point(rng, count)
        found = anvil.call(harness.functions.reduce(claim, data, degree, where))
        assert found == final_claim(claim, rounds, where)


def sections() -> list[fmt.VerifierProgram]:
    cases = [mlp([6, 5, 3]), *(random_case(seed) for seed in range(6))]
    return [layout(case.program).verifier for case in cases]


def test_lookup_relation(anvil: Chain, harness: Contract) -> None:
    rng = random.Random(8)
    for v in sections():
        drawn = challenges(rng, v)
        at = LookupEvaluations(tuple(point(rng, v.slices)), *point(rng, 4))
        header = anvil.call(harness.functions.parse(fmt.serialize(v)))
        data = b"".join(map(encode_scalar, at.flat()))
        alpha_r = pow(drawn.alpha, v.relations, P)
        found = anvil.call(harness.functions.lookup(header, as_tuple(drawn), data, alpha_r))
        assert found == lookup.summand(v, drawn, at)


def test_values_factors_and_tile_weights(anvil: Chain, harness: Contract) -> None:
    rng, given = random.Random(9), sections()
    for v in (*given, *(replace(given[0], slices=slices) for slices in (2, 3, 4))):
        drawn = challenges(rng, v)
        sides = [rng.randbytes(v.input_bytes), rng.randbytes(v.output_bytes)]
        arguments = (fmt.serialize(v), as_tuple(drawn), *sides)
        values, factor, found = anvil.call(harness.functions.weights(*arguments), gas=10**9)
        expected = linear.values(v, drawn, sides)
        tiles = v.values - v.e_tile - 1  # sums that what else a tile weighs is added to
        assert [value % P for value in values[:tiles]] == expected[:tiles]
        assert len(expected) == v.values
        first = v.first_scale
        assert values[first : v.first_constant] == linear.scales(v, drawn)
        factors = einsum.contraction_factors(v, drawn, expected)
        assert factor == drawn.batch * einsum.side_factor(factors, drawn.side) % P
        weights, scalar = linear.tile_weights(v, drawn, expected)
        assert found == [scalar, *weights]


def test_headers_are_read_as_python_reads_them(anvil: Chain, harness: Contract) -> None:
    for v in sections():
        found = anvil.call(harness.functions.parse(fmt.serialize(v)))
        counts = (
            *(len(table) for table in (v.contractions, v.kernels, v.views)),
            v.first_view - v.first_kernel, len(v.constants) // 4, len(v.products) // 8,
            sum(map(len, v.sums)) // 8, len(v.sums),
        )  # fmt: skip
        assert found[:30] == (
            v.k, v.fixed_tiles, v.input_bytes, v.output_bytes, v.input_tiles, v.output_tiles,
            v.stage1_tiles, v.stage2_tiles, v.relations, *counts, v.n, v.mu, v.n_f, v.n_t,
            v.rho_length, v.c_max, v.rows, v.table_rows, v.slices, *v.mask1, *v.mask2,
        )  # fmt: skip


def outcome(anvil: Chain, harness: Contract, data: bytes) -> int:
    """The code with which the contract refuses a section, 0 if it does not."""
    try:
        anvil.call(harness.functions.parse(data))
    except Reverted as error:
        assert error.name == "BadProgram", error
        return int(error.arguments[0])
    return 0


def expected_outcome(data: bytes) -> int:
    try:
        fmt.parse(data)
    except BadProgram as error:
        return int(error.args[0])
    return 0


def test_bounds_are_those_of_python(anvil: Chain, harness: Contract) -> None:
    """Any byte of a section made anything: the same code, or both accept it."""
    rng, seen = random.Random(10), set()
    for v in sections()[:4]:
        whole = fmt.serialize(v)
        for _ in range(250):
            data = bytearray(whole)
            in_header = rng.random() < 0.4
            for _ in range(rng.choice((1, 1, 2))):
                at = rng.randrange(96 if in_header else len(data))
                data[at] = rng.choice(
                    (0, 1, data[at] ^ 1, data[at] + 1 & 255, 255, rng.randrange(256))
                )
            size = min(int.from_bytes(data[10:14], "big"), 1 << 16)  # as Model.section cuts it
            section = bytes(data[:size].ljust(size, b"\0"))
            expected = expected_outcome(section)
            seen.add(expected)
            assert outcome(anvil, harness, section) == expected
    assert seen == set(range(10))


def forward(v: fmt.VerifierProgram) -> dict[str, bytes]:
    """Products and sums that are not of values before them, or not what the header says."""

    def product(at: int, pair: fmt.Pair) -> bytes:
        return fmt.serialize(replace(v, products=(*v.products[:at], pair, *v.products[at + 1 :])))

    def summed(at: int, pair: fmt.Pair) -> bytes:
        first = (pair, *v.sums[at][1:])
        return fmt.serialize(replace(v, sums=(*v.sums[:at], first, *v.sums[at + 1 :])))

    def changed(at: int, change: int) -> bytes:
        data = bytearray(fmt.serialize(v))
        data[at : at + 2] = (int.from_bytes(data[at : at + 2], "big") + change).to_bytes(2, "big")
        return bytes(data)

    own = v.first_product + 3
    whole = fmt.serialize(v)
    open_end = bytearray(whole)
    open_end[-4] &= 0x7F
    more = (fmt.MAX_VALUES - v.values) // 8 * 8 + 8
    many = replace(v, products=((0, 0),) * (len(v.products) + more))
    return {
        "a product of itself": product(3, (own, 0)),
        "and on the right": product(3, (0, own)),
        "a product of one after it": product(3, (own + 1, 0)),
        "a product of a sum": product(3, (v.values - 1, 0)),
        "a sum of itself": summed(2, (v.first_sum + 2, 0)),
        "a sum of one after it": summed(2, (0, v.first_sum + 3)),
        "the last of itself": summed(len(v.sums) - 1, (0, v.values - 1)),
        "nothing that there is": summed(2, (0, v.values + 5)),
        "a sum that does not end": bytes(open_end),
        "a sum less in the header": changed(80, -1),
        "a sum more in the header": changed(80, 1),
        "more values than ids": fmt.serialize(many),
    }


def test_values_are_made_of_those_before_them(anvil: Chain, harness: Contract) -> None:
    v = layout(mlp([6, 5, 3]).program).verifier
    assert outcome(anvil, harness, fmt.serialize(v)) == 0
    for name, section in forward(v).items():
        assert expected_outcome(section) == 9, name
        assert outcome(anvil, harness, section) == 9, name


def test_fewer_sums_than_tiles_are_refused(anvil: Chain, harness: Contract) -> None:
    """Else a tile's weight would be read before the first value."""
    v = layout(mlp([6, 5, 3]).program).verifier
    joined = tuple(pair for pairs in v.sums[:-1] for pair in pairs)
    section = fmt.serialize(replace(v, sums=(joined, v.sums[-1])))
    assert expected_outcome(section) == outcome(anvil, harness, section) == 9


def test_contractions_read_kernels_only(anvil: Chain, harness: Contract) -> None:
    v = layout(mlp([6, 5, 3]).program).verifier
    for number, code in ((1, 8), (v.first_kernel - 1, 8), (v.first_kernel, 0), (v.first_view, 8)):
        first = replace(v.contractions[0], kernels=(0, number, 0))
        section = fmt.serialize(replace(v, contractions=(first, *v.contractions[1:])))
        assert expected_outcome(section) == outcome(anvil, harness, section) == code, number


def test_kernels_have_as_many_values_as_the_header_says(anvil: Chain, harness: Contract) -> None:
    v = layout(mlp([6, 5, 3]).program).verifier
    data = bytearray(fmt.serialize(v))
    data[83] += 1
    assert expected_outcome(bytes(data)) == outcome(anvil, harness, bytes(data)) == 6
    at = next(i for i, kernel in enumerate(v.kernels) if kernel.kind == Kind.EQ)
    uneven = replace(v.kernels[at], y=v.kernels[at].y.last(v.kernels[at].y.bits - 1))
    kernels = (*v.kernels[:at], uneven, *v.kernels[at + 1 :])
    section = fmt.serialize(replace(v, kernels=kernels))
    assert expected_outcome(section) == outcome(anvil, harness, section) == 6


@pytest.mark.parametrize("length", [0, 31, 32, 64, 127, 128])
def test_short_sections_are_refused(anvil: Chain, harness: Contract, length: int) -> None:
    whole = fmt.serialize(sections()[0])
    assert outcome(anvil, harness, whole[:length]) == (1 if length < 128 else 3)
    assert expected_outcome(whole[:length]) == (1 if length < 128 else 3)
