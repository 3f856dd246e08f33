"""Dishonest provers, and verifiers that leave something out.

A malicious prover is an `Attempt` that claims something false as well as it can. The tests show
that the verifier refuses it; and, where they can, that a verifier without the check in question
accepts it, so that the attack is real and the check is what stops it.

Cells that no honest prover can hold (halves, say, or negative numbers far out of int64) are written
as a sum: an honest witness, plus field elements times integer tensors (`Bent`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np

from prover import kernels as tiers
from prover import linear
from prover.challenges import Challenges
from prover.curve import Point, PointG2
from prover.errors import ProofError
from prover.field import P
from prover.kernels.interface import Kernels, Vec
from prover.program.format import Kernel, Kind, VerifierProgram
from prover.program.interpret import interpret
from prover.program.ir import (
    Affine,
    Contraction,
    Expr,
    Gather,
    Index,
    Linear,
    Program,
    Range,
    Relu,
    Requantize,
    Role,
    Table,
    Tensor,
    View,
)
from prover.program.layout import Layout
from prover.prove import Attempt, Masks, Witness
from prover.proving import contractions, tiles
from prover.proving.columns import Columns
from prover.proving.contractions import ContractionRounds
from prover.proving.randomness import Randomness
from prover.proving.tiles import Tile
from prover.srs import development_secret
from prover.statement import Statement, encode_public
from prover.transcript import Transcript
from prover.verify import VerifyingKey, verify
from tests.programs import Case, one, view
from tests.proving import ENTROPY, Setup, setup
from tests.soundness.meaning import Cells, Relation, objects, violated

K = 8  # of the cases here


def every_kind() -> Case:
    """Every role, gadget and kind of hint, in a few cells each."""
    rng = np.random.default_rng(5)
    table = tuple(int(v) for v in rng.integers(-8, 8, 16))
    tensors = (
        Tensor("x", (2,), Role.INPUT, -8, 7),
        Tensor("id", (2,), Role.INPUT, 0, 2),
        Tensor("s", (2, 2), Role.INPUT_COMMITTED, -128, 127),
        Tensor("w", (3, 2), Role.WEIGHT, -8, 7),
        Tensor("rows", (3, 2), Role.WEIGHT, -8, 7),
        Tensor("f", (16,), Role.TABLE, -8, 7, table),
        Tensor("g", (2, 2), Role.ACTIVATION, -8, 7),
        Tensor("l", (3,), Role.ACTIVATION, -4096, 4095),
        Tensor("q", (3,), Role.ACTIVATION, -128, 127),
        Tensor("h", (2,), Role.ACTIVATION, 0, 255),
        Tensor("t", (2,), Role.ACTIVATION, -8, 7),
        Tensor("c", (3,), Role.OUTPUT_COMMITTED, -128, 127),
        Tensor("y", (2,), Role.OUTPUT, -32768, 32767),
    )
    x, ident, s, w, rows, f, g, ell, q, h, t, c, y = range(len(tensors))
    product_wx = Contraction(one(w, 0, 1), one(x, 1))
    product_sx = Contraction(one(s, 0, 1), one(x, 1))
    first = View(g, (Index(0), Index(-1, 0)))  # column 0
    ops = (
        Range(s, 8),
        Gather(g, (2,), one(ident, 0), rows),
        Linear(ell, Expr((3, 2), 1, (product_wx,), Affine(((2, first),), 3))),
        Requantize(q, Expr((3,), 1, (), one(ell, 0)), 3, 8),
        Relu(h, Expr((2, 2), 1, (product_sx,)), 4, 8),
        Table(t, (2,), one(x, 0), f, -8),
        Requantize(c, Expr((3,), 1, (), Affine(((1, view(q, 0)), (-2, view(h, 0))))), 2, 8),
        Requantize(
            y,
            Expr((2, 3), 1, (Contraction(one(q, 1), one(h, 0)),), Affine(((5, view(t, 0)),))),
            2,
            8,
        ),
    )
    given = {
        "x": np.array([-3, 6]),
        "id": np.array([2, 0]),
        "s": rng.integers(-20, 21, (2, 2)),
        "w": rng.integers(-8, 8, (3, 2)),
        "rows": rng.integers(-8, 8, (3, 2)),
    }
    given["s"][0] = [-20, 40]  # one ReLU of each sign
    given["s"][1] = [30, -10]
    return Case(Program(4, tensors, ops), given)


@cache
def target() -> Setup:
    """What is attacked: every_kind(), honest."""
    return setup(every_kind(), K)


# -- verifying fast --------------------------------------------------------------------------------


def _msm(points: Sequence[Point], scalars: Sequence[int]) -> Point:
    kernels = tiers.get("scalar")
    terms = [(p, s) for p, s in zip(points, scalars, strict=True) if p is not None]
    loaded = kernels.load_points([p for p, _ in terms])
    return kernels.msm(loaded, kernels.from_ints([s for _, s in terms]))


def _product_is_one(pairs: Sequence[tuple[Point, PointG2]]) -> bool:
    (left, _), (right, _) = pairs
    return _msm([left, right], [1, development_secret()]) is None


@contextmanager
def known_secret() -> Iterator[None]:
    """The verifier's answer a hundred times sooner: points are summed by a compiled tier, and since s
    of the development SRS is known, e(A, [1]_2) e(B, [s]_2) = 1 just where A + s B = 0."""
    with patched(
        ("prover.pairing.product_is_one", _product_is_one),
        ("prover.verify.msm", _msm),
        ("prover.opening.msm", _msm),
    ):
        yield


def refusal(key: VerifyingKey, statement: Statement, proof: bytes) -> str | None:
    """The name of the error with which the verifier refuses; None if it accepts. Anything but a
    ProofError comes through: that would be a crash."""
    with known_secret():
        try:
            verify(key, statement, proof)
        except ProofError as error:
            return type(error).__name__
    return None


# -- witnesses -------------------------------------------------------------------------------------


@dataclass
class Claim:
    """What a prover holds and claims: honest values, changed; with a statement made to fit.

    bends: (field element, integer tensors by number), added to the values in all that is committed
    and summed.
    """

    made: Setup
    values: dict[str, np.ndarray]
    bends: list[tuple[int, dict[int, np.ndarray]]] = field(default_factory=list)
    layout: Layout | None = None
    key: VerifyingKey | None = None
    statement: Statement | None = None

    @staticmethod
    def honest(made: Setup) -> Claim:
        return Claim(made, {n: v.copy() for n, v in made.witness.values.items()})

    def number(self, name: str) -> int:
        return [t.name for t in self.made.layout.relations.tensors].index(name)

    def change(self, name: str, at: tuple[int, ...], delta: int) -> Claim:
        """A cell by an integer, or (where int64 does not hold it) by a field element."""
        if -(1 << 40) < delta < 1 << 40:
            self.values[name] = self.values[name].copy()
            self.values[name][at] += delta
        else:
            unit = np.zeros(self.values[name].shape, dtype=np.int64)
            unit[at] = 1
            self.bends.append((delta % P, {self.number(name): unit}))
        return self

    @property
    def cells(self) -> Cells:
        """All values as field elements."""
        relations = self.made.layout.relations
        found = objects({i: self.values[t.name] for i, t in enumerate(relations.tensors)})
        for delta, tensors in self.bends:
            for i, unit in tensors.items():
                found[i] = found[i] + delta * unit.astype(object)
        return found

    def broken(self) -> set[Relation]:
        """The relations that the claim violates."""
        return violated(self.made.layout.relations, self.cells)

    def fitted(self) -> tuple[Witness, Statement]:
        """Committed tensors committed anew, public ones written anew. Weights stay: their points are
        registered."""
        made, plan = self.made, self.layout or self.made.layout
        v, relations = plan.verifier, plan.relations
        values = {i: self.values[t.name] for i, t in enumerate(relations.tensors)}
        committed = []
        for first, count, role in (
            (v.input_tile, v.input_tiles, Role.INPUT_COMMITTED),
            (v.input_tile + v.input_tiles, v.output_tiles, Role.OUTPUT_COMMITTED),
        ):
            for cells in tiles.small_tiles(plan, first, count, values, role):
                blinder = made.witness.committed[len(committed)].blinder
                committed.append(Tile(cells, blinder))
        points = [tile.commit(made.kernels, made.srs, v.k) for tile in committed]
        sides = []
        for role, part in (
            (Role.INPUT, points[: v.input_tiles]),
            (Role.OUTPUT, points[v.input_tiles :]),
        ):
            cells = b"".join(
                encode_public(self.values[t.name].reshape(-1).tolist())
                for t in plan.program.tensors
                if t.role == role
            )
            sides.append(cells + b"".join(c.to_bytes(32, "big") for p in part for c in p))
        good = made.statement
        statement = self.statement or replace(good, input=sides[0], output=sides[1])
        return Witness(self.values, made.witness.fixed, committed), statement

    def prove(
        self,
        prover: type[Attempt] = Attempt,
        masks: Callable[[Masks], Masks] = lambda masks: masks,
        **more: Any,
    ) -> tuple[Statement, bytes]:
        """The statement, and the bytes that this prover makes for it."""
        made, plan = self.made, self.layout or self.made.layout
        witness, statement = self.fitted()
        random = Randomness(ENTROPY, statement.encode(), b"", 0)
        attempt = prover(
            made.kernels, made.srs, plan, witness, masks(Masks.draw(plan, random)),
            statement.transcript(),
        )  # fmt: skip
        for name, value in more.items():
            setattr(attempt, name, value)
        with ExitStack() as stack:
            for where, what, how in (
                ("prover.prove.columns.Columns", _Columns, self.bends),
                ("prover.prove.ContractionRounds", _Contractions, self.bends),
            ):
                stack.enter_context(patch(where, _with(what, how)))
            attempt._commit = _bending(attempt, self.bends)  # type: ignore[method-assign]
            return statement, attempt.run()

    def refused(self, prover: type[Attempt] = Attempt, **more: Any) -> str | None:
        statement, proof = self.prove(prover, **more)
        return refusal(self.key or self.made.key, statement, proof)


Bends = list[tuple[int, dict[int, np.ndarray]]]


def _with(kind: Callable[..., Any], bends: Bends) -> Callable[..., Any]:
    return lambda *arguments: kind(bends, *arguments)


def _unit(values: Mapping[int, np.ndarray], tensors: Mapping[int, np.ndarray]) -> dict[int, Any]:
    return {i: tensors.get(i, np.zeros_like(v)) for i, v in values.items()}


class _Columns(Columns):
    """Lookup columns of bent values; multiplicities as right as they can be."""

    def __init__(self, bends: Bends, layout: Layout, values: Mapping[int, np.ndarray]) -> None:
        super().__init__(layout, values)
        self.zero = Columns(layout, _unit(values, {}))
        self.bent = [(d, Columns(layout, _unit(values, t))) for d, t in bends]

    def multiplicities(self) -> np.ndarray:
        """Rows are counted by their index; one outside the table is left out."""
        v = self.layout.verifier
        counts = np.zeros(v.table_rows, dtype=np.int64)
        for i, lookup in enumerate(self.layout.relations.lookups):
            spec = self.layout.relations.tables[lookup.table]
            index = self.indices[i].astype(object)
            for delta, other in self.bent:
                index = index + delta * (other.indices[i] - self.zero.indices[i]).astype(object)
            for value in (index.reshape(-1) - spec.lo) % P:
                for table, box, row in self.layout.table_slots:
                    if table == lookup.table:
                        at = value - box.base[0]
                        if 0 <= at < 1 << box.size_bits:
                            counts[row + at] += 1
        counts[self.first_row[0]] += sum(end - start for _, start, end in self.layout.gaps)
        return counts

    def slices(self, kernels: Kernels, gamma: int, pads: list[int]) -> list[Vec]:
        found = super().slices(kernels, gamma, pads)
        if self.bent:
            zeros = [0] * len(pads)
            base = self.zero.slices(kernels, gamma, zeros)
            for delta, other in self.bent:
                bent = other.slices(kernels, gamma, zeros)
                for column, b, z in zip(found, bent, base, strict=True):
                    kernels.add_scaled(column, delta, kernels.sub(b, z))
        return found


class _Contractions(ContractionRounds):
    """X and Y of bent values; a dropped relation has coefficient zero."""

    dropped: set[int] = set()

    def __init__(
        self,
        bends: Bends,
        kernels: Kernels,
        n: int,
        relation: int,
        expr: Expr,
        contraction: Contraction,
        drawn: Challenges,
        values: Mapping[int, np.ndarray],
    ) -> None:
        super().__init__(kernels, n, relation, expr, contraction, drawn, values)
        bound = expr.batch(contraction) + expr.summed(contraction)
        frees = (expr.x_free(contraction), expr.y_free(contraction))
        for delta, tensors in bends:
            for i, (affine, free) in enumerate(
                zip((contraction.x, contraction.y), frees, strict=True)
            ):
                parts = [
                    contractions.bind(
                        kernels, expr, affine, bound, free, drawn.rho, _unit(values, t)
                    )
                    for t in (tensors, {})
                ]
                kernels.add_scaled(self.vectors[i], delta, kernels.sub(*parts))
        product = self.vectors[0]
        if len(self.vectors) == 3:
            product = kernels.mul(product, self.vectors[2])
        if relation in self.dropped:
            self.coef = 0
        factor = self.coef * pow(2, n - self.variables, P)
        self.claim = factor * kernels.inner(product, self.vectors[1]) % P


def _bending(attempt: Attempt, bends: Bends) -> Callable[..., Any]:
    """Commits stage 1 with the bent cells."""
    honest = attempt._commit

    def commit(label: str, made: list[Tile]) -> Any:
        if label == "stage 1":
            v, kernels = attempt.v, attempt.kernels
            for delta, tensors in bends:
                for i, unit in tensors.items():
                    if attempt.layout.relations.tensors[i].role != Role.ACTIVATION:
                        raise ValueError("only cells of stage 1 can be bent")
                    for block in attempt.layout.blocks[i]:
                        cells = np.zeros(1 << v.k, dtype=np.int64)
                        tiles.put(cells, block, unit)
                        run = kernels.scale(kernels.from_int64(cells), delta)
                        made[block.tile - v.stage1_tile].runs.append((0, run))
        return honest(label, made)

    return commit


def propagated(case: Case, name: str, at: tuple[int, ...], delta: int) -> dict[str, np.ndarray]:
    """All values where one gadget's output is wrong by delta in one cell, and all that follows from
    it is right: only that gadget's relations are violated, and only its own hints are honest."""
    from prover.program import gadgets

    program, values, named = case.program, {}, dict(case.values)
    for i, t in enumerate(program.tensors):
        if t.role in (Role.INPUT, Role.INPUT_COMMITTED, Role.WEIGHT, Role.TABLE):
            values[i] = named[t.name]
    for op in program.ops:
        for made, value in gadgets.run(program, op, values).items():
            named[made] = value
            if made == name:
                named[made] = value.copy()
                named[made][at] += delta
            if made in [t.name for t in program.tensors]:
                values[program.named(made)] = named[made]
    return named


# -- verifiers that leave something out ------------------------------------------------------------


def without_relation(v: VerifierProgram, j: int) -> VerifierProgram:
    """A verifier section that forgets einsum j: its left side has no terms, its contractions a
    kernel that is zero."""
    zero, views = len(v.kernels) + 1, len(v.kernels)
    shifted = [
        replace(t, kernels=tuple(k + 1 if k > views else k for k in t.kernels))
        for t in v.terms
        if t.scale != j
    ]
    records = [
        replace(c, kernels=(zero, *c.kernels[:2])) if c.relation == j else c for c in v.contractions
    ]
    assert all(c.kernels[2] == 0 for c in v.contractions)
    return replace(
        v,
        kernels=(*v.kernels, Kernel(Kind.CUT)),
        terms=tuple(shifted),
        contractions=tuple(records),
    )


@contextmanager
def patched(*changes: tuple[str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for where, what in changes:
            stack.enter_context(patch(where, what))
        yield


@contextmanager
def without_identities(
    rows: bool = False, table: bool = False, total: bool = False
) -> Iterator[None]:
    """Prover and verifier leave out some of the lookup's three identities."""
    from prover.lookup import batching

    def fewer(program: VerifierProgram, alpha: int) -> tuple[int, ...]:
        factors = batching(program, alpha)
        return tuple(
            0 if left_out else f for f, left_out in zip(factors, (rows, table, total), strict=True)
        )

    with patched(("prover.lookup.batching", fewer), ("prover.proving.columns.batching", fewer)):
        yield


@contextmanager
def without_claims(*numbers: int) -> Iterator[None]:
    """Prover and verifier leave out linear claims whose left side is made of terms alone."""
    scales, claimed = linear.scales, linear.claimed_value

    def fewer(program: VerifierProgram, drawn: Challenges) -> list[int]:
        found = scales(program, drawn)
        width = program.c_max + 1
        for c in numbers:
            if c < linear.HELPER:
                at = program.relations + (c - linear.SLICE) * width
                found[at : at + width] = [0] * width
            elif c == linear.TABLE:
                found[program.scale_tables : program.scale_tables + width] = [0] * width
            else:
                found[program.scale_helpers + c - linear.HELPER] = 0
        return found

    def value(program: VerifierProgram, drawn: Challenges, values: dict[int, int]) -> int:
        return claimed(program, drawn, {c: v for c, v in values.items() if c not in numbers})

    with patched(("prover.linear.scales", fewer), ("prover.linear.claimed_value", value)):
        yield


def transcript_of(statement: Statement) -> Transcript:
    return statement.transcript()


def honest_values() -> dict[str, np.ndarray]:
    case = every_kind()
    return interpret(case.program, case.given)
