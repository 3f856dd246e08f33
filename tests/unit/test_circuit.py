"""The verifier's products and sums are the layout's terms: docs/protocol/layout.md#circuit."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from prover import linear
from prover.challenges import Challenges
from prover.field import P
from prover.program import format as fmt
from prover.program.axis import evaluate, evaluate_public
from prover.program.circuit import Term, compiled
from prover.program.format import SCALAR_SIDE, Kernel, Kind, Source, Span, VerifierProgram
from prover.program.layout import LayoutError, _check_written, layout
from tests.programs import mlp, random_case

CASES = [mlp([6, 5, 3]), mlp([3, 2, 2], limb=4), *(random_case(seed) for seed in range(8))]


def challenges(rng: random.Random, v: VerifierProgram) -> Challenges:
    def point(count: int) -> list[int]:
        return [rng.randrange(P) for _ in range(count)]

    gamma, beta, alpha, batch = point(4)
    rho, tau, r, side, tile = map(point, (v.rho_length, v.n, v.n, v.mu, v.k))
    return Challenges(gamma, beta, rho, alpha, tau, r, side, batch, tile)


def weights(v: VerifierProgram, drawn: Challenges, sides: list[bytes]) -> list[int]:
    """The scalar side's sum, then the tiles'."""
    return linear.values(v, drawn, sides)[-v.e_tile - 1 :]


def meant(
    v: VerifierProgram, terms: tuple[Term, ...], drawn: Challenges, sides: list[bytes]
) -> list[int]:
    """Likewise, term by term, each kernel by its own definition."""
    scale, found = linear.scales(v, drawn), [0] * (v.e_tile + 1)
    for term in terms:
        value = scale[term.scale] * term.coef
        for kernel in term.kernels:
            value = value * evaluate(kernel, drawn.points, drawn.gamma) % P
        for view in term.views:
            value = value * evaluate_public(view, drawn.points, sides) % P
        at = 0 if term.tile == SCALAR_SIDE else term.tile + 1
        found[at] = (found[at] + value) % P
    return found


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_sums_are_the_terms(case: object) -> None:
    rng = random.Random(1)
    plan = layout(case.program)  # type: ignore[attr-defined]
    v = plan.verifier
    for _ in range(3):
        drawn = challenges(rng, v)
        sides = [rng.randbytes(v.input_bytes), rng.randbytes(v.output_bytes)]
        assert weights(v, drawn, sides) == meant(v, plan.terms, drawn, sides)


def header() -> VerifierProgram:
    """One of two contractions, with room for any kernel."""
    return replace(layout(mlp([6, 5, 3]).program).verifier, rho_length=9, n=11, n_f=9, k=10)


def random_kernel(rng: random.Random, v: VerifierProgram) -> Kernel:
    def span() -> Span:
        source = rng.choice(list(Source))
        length = (v.rho_length, v.n, v.k)[source]
        bits = rng.randint(0, min(length, 6))
        return Span(source, rng.randint(0, length - bits), bits)

    kind, p, y = rng.choice(list(Kind)), span(), span()
    const = rng.randint(0, 1 << p.bits) if kind in (Kind.CUT, Kind.SHIFT) else rng.randrange(64)
    return Kernel(kind, p, y, const, rng.randint(-5, 5))


def test_any_terms_are_compiled() -> None:
    """Kernels that no layout emits, factors twice, terms that cancel, tiles without any."""
    rng, v = random.Random(2), header()
    batch: list[list[Kernel]] = [[] for _ in v.contractions]
    for count in (0, 1, 2, 5, 40, 40, 40):
        kernels = [random_kernel(rng, v) for _ in range(6)]
        terms = [
            Term(
                rng.choice((SCALAR_SIDE, rng.randrange(v.e_tile))),
                rng.randrange(v.scales),
                rng.choice((1, -1, 7, 1 << 40)),
                tuple(rng.choice(kernels) for _ in range(rng.randint(0, 6))),
                (),
            )
            for _ in range(count)
        ]
        terms += [replace(term, coef=-term.coef) for term in terms[:3]]
        made = compiled(v, terms, batch)
        assert fmt.parse(fmt.serialize(made)) == made
        drawn = challenges(rng, made)
        sides = [bytes(v.input_bytes), bytes(v.output_bytes)]
        assert weights(made, drawn, sides) == meant(made, tuple(terms), drawn, sides)


def test_what_terms_share_is_computed_once() -> None:
    v = header()
    batch: list[list[Kernel]] = [[] for _ in v.contractions]
    common = tuple(Kernel(Kind.CUT, Span(Source.RHO, 0, 6), const=c) for c in range(1, 7))
    terms = [Term(0, scale, 1, common, ()) for scale in range(6)]
    made = compiled(v, terms, batch)
    used = len(made.products) + sum(map(len, made.sums))
    # five products of the six; one of each scale; the tiles' sums; what fills up words
    assert used <= 5 + 6 + (v.e_tile + 2) + 14
    assert len(made.kernels) == 6


def test_kernels_that_end_alike_share_a_record() -> None:
    v = header()
    kernels = [
        Kernel(Kind.EQ, Span(Source.R, 9 - bits, bits), Span(Source.Y, 8 - bits, bits))
        for bits in (3, 5, 1)
    ]
    kernels += [Kernel(Kind.INDEX, Span(Source.R, 9 - bits, bits), shift=bits) for bits in (2, 4)]
    terms = [Term(0, 0, 1, (kernel,), ()) for kernel in kernels]
    made = compiled(v, terms, [[] for _ in v.contractions])
    assert [(kernel.kind, kernel.values) for kernel in made.kernels] == [
        (Kind.EQ, 5),
        (Kind.INDEX, 4),
    ]


def test_a_coefficient_that_does_not_fit_is_refused() -> None:
    """Two of half the greatest magnitude are one monomial."""
    plan = layout(mlp([6, 5, 3]).program)
    terms = [Term(0, 0, 1 << 62, (), ())] * 2
    made = compiled(plan.verifier, terms, [[] for _ in plan.verifier.contractions])
    with pytest.raises(LayoutError, match="fit"):
        _check_written(made)
