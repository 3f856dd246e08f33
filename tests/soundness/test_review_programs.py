"""Programs made from nothing, each field at one of its bounds as often as not: both verifiers read
them alike.

Mutations of a sound program (tests/differential) stay near what the layout writes. These are what
no layout does: kernels over any coordinates, views of four axes that miss their tensor, products
and sums of any values before them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from prover import verify as verifying
from prover.curve import GENERATOR, GENERATOR_G2, Affine, check_point, encode_point, multiply
from prover.errors import BadProgram
from prover.field import P, encode_scalar
from prover.program import format as fmt
from prover.program.format import Kernel, Kind, PublicAxis, PublicView, Source, Span
from prover.proof import decode
from prover.srs import development_id
from prover.statement import Statement
from prover.verify import VerifyingKey
from tests.evm import Chain, Reverted, artifact
from tests.onchain import Deployment
from tests.programs import mlp
from tests.proving import srs_of
from tests.tampering import fields

HARNESS = "tests/contracts/harness"
MAGNITUDES = (0, 1, 2, 1 << 15, 1 << 31, (1 << 32) - 1)
pytestmark = pytest.mark.chain


@cache
def points() -> tuple[Affine, ...]:
    return tuple(check_point(multiply(GENERATOR, 3 + 5 * i)) for i in range(12))


def near(rng: random.Random, most: int) -> int:
    """0 to most, the ends often."""
    most = max(most, 0)
    return min(most, max(0, rng.choice((0, 1, most - 1, most, rng.randint(0, most)))))


class Maker:
    """A section that `parse` takes."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.n = near(rng, 39) + 1
        self.k = rng.choice((6, 7, 8, 9, 11, 12, 13, 28))
        self.lengths = (near(rng, 64), self.n, self.k)
        self.n_f, self.n_t = near(rng, self.n), near(rng, self.n)

    def span(self, most: int = 255, source: int | None = None) -> Span:
        if source is None:
            source = self.rng.choice((0, 1, 1, 2, 2))
        length = self.lengths[source]
        bits = near(self.rng, min(length, most))
        kinds = (0, length - bits, near(self.rng, length - bits))
        first = self.rng.choice(kinds)
        if source == Source.R and self.rng.random() < 0.5 and length - self.n_f + bits <= length:
            first = length - self.n_f  # where lookup rows begin
        return Span(Source(source), first, bits)

    def kernel(self) -> Kernel:
        rng = self.rng
        kind = Kind(rng.choice((1, 1, 1, 1, 2, 3, 3, 4, 5)))
        p, y = self.span(), self.span()
        if kind == Kind.EQ:
            bits = min(p.bits, y.bits)
            p, y = rng.choice(((p.last(bits), y.last(bits)), (y.last(bits), p.last(bits))))
        most = min((1 << 32) - 1, 1 << p.bits) if kind in (Kind.CUT, Kind.SHIFT) else (1 << 32) - 1
        shift = rng.choice(
            (0, 1, -1, *(s * min(m, (1 << 31) - 1) for m in MAGNITUDES for s in (1, -1)))
        )
        if kind == Kind.SHIFT and rng.random() < 0.7:
            shift = rng.randint(-(1 << min(y.bits, 30)), 1 << min(p.bits, 30))
        return Kernel(kind, p, y, near(rng, most), shift)

    def view(self, sizes: Sequence[int]) -> PublicView:
        rng = self.rng
        side = rng.randrange(2)
        axes, cells = [], 1
        for _ in range(rng.randint(1, 4)):
            span = self.span(rng.choice((2, 4, 10)))
            length = near(rng, min(1024 // cells, sizes[side] // 2 // cells, 40) - 1) + 1
            shift = rng.choice((0, 0, 1, -1, length - 1, length, -length, 32767, -32768))
            axes.append(PublicAxis(span, length, shift, near(rng, 1 << span.bits)))
            cells *= length
        return PublicView(side, near(rng, sizes[side] - 2 * cells), tuple(axes))

    def program(self, fixed: int) -> fmt.VerifierProgram:
        rng = self.rng
        counts = [near(rng, 3) for _ in range(4)]
        sizes = (2 * near(rng, 200) + 2, 2 * near(rng, 200) + 3)
        contractions = rng.choice((1, 2, 3, 4, 7, 8))
        mu = contractions.bit_length()
        kernels = tuple(self.kernel() for _ in range(near(rng, 24)))
        views = tuple(self.view(sizes) for _ in range(near(rng, 4)))
        relations, slices, c_max = near(rng, 5) + 1, rng.randint(1, 4), near(rng, 6)
        tiles = fixed + counts[0] + counts[1] + counts[2] + 1 + counts[3] + 1 + 3
        first_kernel = 1 + 2 * sum(self.lengths) + fmt.heap_values(self.n_f, self.k)
        known = first_kernel + sum(kernel.values for kernel in kernels)

        def number() -> int:
            values = known - first_kernel
            return first_kernel + near(rng, values - 1) if values and rng.random() < 0.7 else 0

        def constant() -> int:
            return rng.choice((1, -1, 0, (1 << 63) - 1, -(1 << 63), rng.randrange(1 << 40)))

        records = tuple(
            fmt.ContractionRecord(
                near(rng, relations - 1), near(rng, self.n), (number(), number(), number())
            )
            for _ in range(contractions)
        )

        def mask(bits: int) -> tuple[int, int]:
            if bits > self.k:
                return 0, 0
            return near(rng, tiles - 1), near(rng, (1 << self.k - bits) - 1) << bits

        v = fmt.VerifierProgram(
            k=self.k, fixed_tiles=fixed,
            input_bytes=sizes[0] + 64 * counts[0], output_bytes=sizes[1] + 64 * counts[1],
            input_tiles=counts[0], output_tiles=counts[1],
            stage1_tiles=counts[2] + 1, stage2_tiles=counts[3] + 1,
            relations=relations, n=self.n, n_f=self.n_f, n_t=self.n_t, rho_length=self.lengths[0],
            c_max=c_max, rows=near(rng, min((1 << self.n_f) - 1, (1 << 32) - 1)),
            table_rows=near(rng, min((1 << self.n_t) - 1, (1 << 32) - 1)), slices=slices,
            mask1=mask(3 + (self.n - 1).bit_length()), mask2=mask(2 + (mu - 1).bit_length()),
            kernels=kernels, views=views, contractions=records,
            constants=tuple(constant() for _ in range(4 * near(rng, 2))), products=(), sums=(),
        )  # fmt: skip

        def pair(values: int) -> fmt.Pair:
            first, second = (
                rng.choice((near(rng, values - 1), rng.randrange(values))) for _ in "ab"
            )
            return rng.choice(((first, second), (values - 1, first)))

        count = 8 * near(rng, 3)
        v = replace(v, products=tuple(pair(v.first_product + i) for i in range(count)))
        sums = [near(rng, 3) + 1 for _ in range(v.e_tile + 1 + near(rng, 3))]
        sums[near(rng, len(sums) - 1)] += -sum(sums) % 8  # whole words
        lengths = enumerate(sums)
        parts = [tuple(pair(v.first_sum + i) for _ in range(length)) for i, length in lengths]
        return replace(v, sums=tuple(parts))


def noisy(rng: random.Random, v: fmt.VerifierProgram) -> bytes:
    """Its bytes, those that nobody reads at random."""
    data = bytearray(fmt.serialize(v))
    places = [(30, 32), (56, 64), (84, 128)]
    at = 4 * fmt.RECORD
    for size, unused in (
        *((32, ((7, 8), (16, 32))) for _ in v.kernels),
        *((64, ((6, 32), (32 + 8 * len(view.axes), 64))) for view in v.views),
        *((32, ((3, 4), (10, 32))) for _ in v.contractions),
    ):
        places += [(at + start, at + end) for start, end in unused]
        at += size
    for start, end in places:
        data[start:end] = rng.randbytes(end - start)
    return bytes(data)


def side(rng: random.Random, size: int, tiles: int) -> bytes:
    return rng.randbytes(size - 64 * tiles) + b"".join(
        encode_point(rng.choice(points())) for _ in range(tiles)
    )


def well_formed(rng: random.Random, v: fmt.VerifierProgram) -> bytes:
    def scalar() -> bytes:
        return encode_scalar(rng.choice((0, 1, P - 1, *(rng.randrange(P) for _ in range(9)))))

    found = fields(v)
    return b"".join(encode_point(rng.choice(points())) if f.is_point else scalar() for f in found)


@pytest.fixture(scope="module")
def echo(anvil: Chain) -> Deployment:
    """The verifier before an opening check that tells what it was asked."""
    registry = anvil.deploy("contracts/oracle/ModelRegistry.sol")
    mercury = anvil.deploy(f"{HARNESS}/EchoMercury.sol", development_id())
    addresses = (registry.address, mercury.address)
    verifier = anvil.deploy("contracts/verifier/TensorVerifier.sol", *addresses)
    artifact(f"{HARNESS}/EchoMercury.sol")
    return Deployment(anvil, registry, mercury, verifier)


def asked(key: VerifyingKey, statement: Statement, proof: bytes) -> tuple[Any, ...]:
    """What the Python verifier asks of the opening."""
    found: list[tuple[Any, ...]] = []

    def record(s_g2: Any, commitment: Any, point: Any, value: int, data: bytes, state: Any) -> None:
        found.append((state.state, *(commitment or (0, 0)), value, tuple(point), data))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "verify_opening", record)
        verifying.verify(key, statement, proof)
    return found[0]


def compare(echo: Deployment, rng: random.Random) -> bool:
    """Whether a program made from nothing was one; if so, both verifiers ask the same of it."""
    maker = Maker(rng)
    fixed = near(rng, 3)
    v = maker.program(fixed)
    try:
        section = noisy(rng, v)
        parsed = fmt.parse(section)
    except (BadProgram, OverflowError):
        return False
    assert parsed == v
    fixed_points = tuple(rng.choice(points()) for _ in range(fixed))
    model_id = echo.register(section, fixed_points, development_id())
    sides = (side(rng, v.input_bytes, v.input_tiles), side(rng, v.output_bytes, v.output_tiles))
    statement = Statement(rng.randbytes(32), model_id, development_id(), *sides)
    proof = well_formed(rng, v)
    assert decode(proof, v).encode() == proof
    key = VerifyingKey(model_id, v, fixed_points, development_id(), GENERATOR_G2)
    expected = asked(key, statement, proof)
    with pytest.raises(Reverted) as caught:
        echo.verify(statement, proof)
    assert (caught.value.name, caught.value.arguments) == ("Asked", expected)
    return True


@pytest.mark.parametrize("seed", range(5))
def test_both_read_any_program_alike(echo: Deployment, seed: int) -> None:
    rng = random.Random(seed)
    assert sum(compare(echo, rng) for _ in range(20)) > 6


@pytest.mark.parametrize("widths", [[256, 1], [1024, 1]])
def test_few_rows_beside_a_long_contraction(anvil: Chain, widths: list[int]) -> None:
    """The rows are the last n_f of n coordinates: 32 bytes each, so that 8 before them and more
    overflow a byte."""
    deployment = Deployment.make(anvil, srs_of(None, 12))
    made = deployment.setup(mlp(widths, limb=4))
    v = made.layout.verifier
    rows = range(v.first_heap, v.first_heap + fmt.HEAP * fmt.heaps(v.n_f))
    read = {number for pair in v.products for number in pair}
    assert v.n - v.n_f >= 6 and read & set(rows)
    proof = made.prove()
    made.verify(proof)
    deployment.verify(made.statement, proof)
