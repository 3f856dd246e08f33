"""Dishonest provers, and verifiers that leave something out.

A malicious prover is an `Attempt` that claims something false as well as it can. The tests show
that the verifier refuses it; and, where they can, that a verifier without the check in question
accepts it, so that the attack is real and the check is what stops it.

Cells that no honest prover can hold (halves, say, or negative numbers far out of int64) are written
as a sum: an honest witness, plus field elements times integer tensors (`Bent`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import numpy as np

from prover.challenges import Challenges
from prover.curve import encode_point
from prover.field import P
from prover.kernels.interface import Kernels, Vec
from prover.program.evaluate import affine_values, view_values
from prover.program.ir import (
    STATEMENT,
    Affine,
    Contraction,
    Expr,
    Role,
)
from prover.program.layout import Layout
from prover.program.lookups import GAP
from prover.prove import Attempt, Masks, Witness
from prover.proving import contractions, tiles
from prover.proving.columns import Columns, Looked, fold_rows
from prover.proving.contractions import ContractionRounds
from prover.proving.randomness import Randomness
from prover.proving.tiles import Tile
from prover.statement import Statement, encode_public
from prover.verify import VerifyingKey
from tests.programs import Case
from tests.proving import ENTROPY, Setup
from tests.soundness.meaning import Cells, Relation, objects, violated
from tests.soundness.small import refusal

LIMB = re.compile(r".*\.u\d+|u\d+")


# -- witnesses -------------------------------------------------------------------------------------


@dataclass
class Claim:
    """What a prover holds and claims: honest values, changed; with a statement made to fit.

    bends: (field element, integer tensors by number), added to the values in all that is committed
    and summed. layout, key: of the verifier at which the claim is aimed, if not the true one.
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

    def put(self, name: str, at: tuple[int, ...], value: Any) -> Claim:
        """Cells set to integers."""
        self.values[name] = self.values[name].copy()
        self.values[name][at] = value
        return self

    def refit(self) -> Claim:
        """The limbs of every value that is proved to lie in a range, as its value now asks."""
        relations = self.made.layout.relations
        tensors = relations.tensors
        values = {i: self.values[t.name] for i, t in enumerate(tensors)}
        for lookup in relations.lookups:
            upper = [
                v.tensor for _, v in lookup.index.terms if LIMB.fullmatch(tensors[v.tensor].name)
            ]
            if upper and len(lookup.index.terms) > len(upper):
                kept = tuple(t for t in lookup.index.terms if t[1].tensor not in upper)
                axes = range(len(lookup.axes))
                value = affine_values(Affine(kept, lookup.index.const), lookup.axes, axes, values)
                for tensor in upper:
                    shift = relations.limb * int(tensors[tensor].name.rpartition("u")[2])
                    limb = value >> shift & (1 << relations.limb) - 1
                    self.values[tensors[tensor].name] = values[tensor] = limb
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
        """Committed tensors committed anew, public ones written anew. Weights stay: their points
        are registered."""
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
        _bend(plan, made.kernels, self.bends, committed, v.input_tile, STATEMENT)
        points = [tile.commit(made.kernels, made.srs, v.k) for tile in committed]
        if self.statement is not None:
            return Witness(self.values, made.witness.fixed, committed), self.statement
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
            sides.append(cells + b"".join(map(encode_point, part)))
        statement = replace(made.statement, input=sides[0], output=sides[1])
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


class Wrapped:
    def __init__(self, kernels: Any, **changed: Any) -> None:
        self._kernels, self._changed = kernels, changed

    def __getattr__(self, name: str) -> Any:
        return self._changed.get(name) or getattr(self._kernels, name)


Bends = list[tuple[int, dict[int, np.ndarray]]]


def _with(kind: Callable[..., Any], bends: Bends) -> Callable[..., Any]:
    return lambda *arguments: kind(bends, *arguments)


def _unit(values: Mapping[int, np.ndarray], tensors: Mapping[int, np.ndarray]) -> dict[int, Any]:
    return {i: tensors.get(i, np.zeros_like(v)) for i, v in values.items()}


class Folded:
    """The lookup columns by their definition: tag + gamma index + gamma^2 value + ..., whatever the
    values; nothing need be a row of T."""

    def __init__(self, layout: Layout, values: Mapping[int, np.ndarray]) -> None:
        self.layout, self.values = layout, values
        self.indices = [
            affine_values(lookup.index, lookup.axes, range(len(lookup.axes)), values)
            for lookup in layout.relations.lookups
        ]

    def slices(self, kernels: Kernels, gamma: int, pads: list[int]) -> list[Vec]:
        v = self.layout.verifier
        found = [kernels.zeros(1 << v.n_f) for _ in range(v.slices)]
        for slot in self.layout.slots:
            lookup = self.layout.relations.lookups[slot.lookup]
            inside = tuple(
                slice(b, b + (1 << s)) for b, s in zip(slot.box.base, slot.box.bits, strict=True)
            )
            index = np.ascontiguousarray(self.indices[slot.lookup][inside].reshape(-1))
            part = found[slot.slice][slot.row : slot.row + len(index)]
            kernels.add_scaled(part, 1, tiles.constant(kernels, lookup.table + 1, len(index)))
            kernels.add_scaled(part, gamma, kernels.from_int64(index))
            if lookup.values is not None:
                width = self.layout.relations.tables[lookup.table].width
                axes = range(len(lookup.values.index))
                cells = view_values(lookup.values, (*lookup.axes, width), axes, self.values)
                rows = cells.reshape(*lookup.axes, width)[inside].reshape(-1, width)
                kernels.add_scaled(part, 1, fold_rows(kernels, rows, gamma))
        for s, start, end in self.layout.gaps:
            part = found[s][start:end]
            kernels.add_scaled(part, 1, tiles.constant(kernels, GAP, end - start))
        for column, pad in zip(found, pads, strict=True):
            column[v.rows : v.rows + 1] = kernels.from_ints([pad])
        return found


class _Columns(Columns):
    """Lookup columns of bent values; multiplicities as right as they can be."""

    def __init__(self, bends: Bends, layout: Layout, values: Mapping[int, np.ndarray]) -> None:
        self.layout, self.values = layout, values
        self.true, self.zero = Folded(layout, values), Folded(layout, _unit(values, {}))
        self.bent = [(d, Folded(layout, _unit(values, t))) for d, t in bends]

    def multiplicities(self) -> np.ndarray:
        """Rows are counted by their index; one outside the table is left out."""
        v = self.layout.verifier
        counts = np.zeros(v.table_rows, dtype=np.int64)
        for i, lookup in enumerate(self.layout.relations.lookups):
            spec = self.layout.relations.tables[lookup.table]
            index = self.true.indices[i].astype(object)
            for delta, other in self.bent:
                index = index + delta * (other.indices[i] - self.zero.indices[i]).astype(object)
            for value in (index.reshape(-1) - spec.lo) % P:
                if value < spec.rows:
                    counts[self.layout.table_firsts[lookup.table] + value] += 1
        counts[self.layout.table_firsts[0]] += sum(
            end - start for _, start, end in self.layout.gaps
        )
        return counts

    def slices(self, kernels: Kernels, gamma: int, pads: list[int]) -> list[Vec]:
        found = self.true.slices(kernels, gamma, pads)
        if self.bent:
            zeros = [0] * len(pads)
            base = self.zero.slices(kernels, gamma, zeros)
            for delta, other in self.bent:
                bent = other.slices(kernels, gamma, zeros)
                for column, b, z in zip(found, bent, base, strict=True):
                    kernels.add_scaled(column, delta, kernels.sub(b, z))
        return found

    def table(self, kernels: Kernels, gamma: int, pad: int) -> Vec:
        self.gamma = gamma
        return super().table(kernels, gamma, pad)

    def looked_up(self, kernels: Kernels, table: Vec, pads: list[int]) -> Looked:
        """Every cell a value of its own, after which come the pads, and zero."""
        v, columns = self.layout.verifier, self.slices(kernels, self.gamma, pads)
        known = kernels.concat([column[: v.rows] for column in columns])
        rows = np.full((v.slices, 1 << v.n_f), len(known) + v.slices, dtype=np.int32)
        rows[:, : v.rows] = np.arange(len(known)).reshape(v.slices, v.rows)
        rows[:, v.rows] = len(known) + np.arange(v.slices)
        return Looked(kernels.concat([known, kernels.from_ints([*pads, 0])]), rows)


class _Contractions(ContractionRounds):
    """X and Y of bent values; a dropped relation has coefficient zero."""

    dropped: frozenset[int] = frozenset()

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


def _bend(
    plan: Layout,
    kernels: Kernels,
    bends: Bends,
    made: list[Tile],
    first: int,
    roles: Sequence[Role],
) -> None:
    """Puts the bent cells of tensors of some roles into their tiles."""
    for delta, tensors in bends:
        for i, unit in tensors.items():
            if plan.relations.tensors[i].role in roles:
                for block in plan.blocks[i]:
                    cells = np.zeros(1 << plan.k, dtype=np.int64)
                    tiles.put(cells, block, unit)
                    run = kernels.scale(kernels.from_int64(cells), delta)
                    made[block.tile - first].runs.append((0, run))


def _bending(attempt: Attempt, bends: Bends) -> Callable[..., Any]:
    """Commits stage 1 with the bent cells."""
    honest, first = attempt._commit, attempt.v.stage1_tile

    def commit(label: str, made: list[Tile]) -> Any:
        if label == "stage 1":
            _bend(attempt.layout, attempt.kernels, bends, made, first, (Role.ACTIVATION,))
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
