"""A program cut into segments: programs of their own that, one after another, compute the same.

    cuts(program)       where it can be cut: what crosses there fits a statement
    divide(program, n)  about n segments of about equal size
    cut(program, at)    those between given cuts

What one segment writes is, byte for byte, what the next one reads: the tensors that are made, or
given, before the cut and read after it, in the program's order. They are public and exact, so the
hash of those bytes names the state of a run (docs/adr/0007-bisection.md). A tensor of more cells
than a statement takes crosses in several, cut along its longest axis.

A stack is unrolled first (unroll.py): a layer is a place to cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from prover.errors import EinproofError
from prover.program import gadgets
from prover.program.bounds import INT16
from prover.program.ir import (
    Affine,
    Expr,
    Floor,
    Index,
    Linear,
    Op,
    Program,
    Role,
    Table,
    Tensor,
    View,
)
from prover.program.rewrite import out_of, rewritten
from prover.program.validate import PUBLIC_CELLS, validate

#: Cells that cross a cut at most: the oracle takes 24,000 bytes of input or output.
STATE_CELLS = 12_000


class NotDivisible(EinproofError):
    """A program that cannot be cut so."""


def cuts(program: Program) -> list[int]:
    """Numbers of gadgets before which the program can be cut; none within a stack."""
    _check(program)
    return [at for at in range(1, len(program.ops)) if _crosses(program, at)]


def divide(program: Program, count: int) -> tuple[Program, ...]:
    """Up to `count` valid segments, each making about as many cells; raises NotDivisible where not
    even two are found."""
    _check(program)
    made = [0, *accumulate(program.tensors[out_of(op)].size for op in program.ops)]
    places, chosen = cuts(program), [0]
    if not places:
        raise NotDivisible(_uncut(program))
    for i in range(1, count):
        wanted = made[-1] * i / count
        left = [at for at in places if at > chosen[-1]]
        left.sort(key=lambda at: abs(made[at] - wanted))
        near = next((at for at in left if _stands(program, chosen[-1], at)), None)
        chosen += [] if near is None else [near]
    while len(chosen) > 1 and not _stands(program, chosen[-1], len(program.ops)):
        chosen.pop()
    return cut(program, chosen[1:])


def cut(program: Program, at: Sequence[int]) -> tuple[Program, ...]:
    """The segments between cuts, in order; raises NotDivisible, or InvalidProgram for a segment
    that is no program by itself (one without a lookup, say)."""
    _check(program)
    known = set(cuts(program))
    if not at or list(at) != sorted(set(at)) or not known.issuperset(at):
        raise NotDivisible(f"expected cuts in order, of {sorted(known)}, got {list(at)}")
    ends = [0, *at, len(program.ops)]
    made = tuple(_segment(program, a, b) for a, b in pairwise(ends))
    for segment in made:
        validate(segment)
    return made


def live(program: Program, at: int) -> list[int]:
    """The tensors that cross a cut before gadget `at`; before gadget 0, all inputs."""
    if at == 0:
        return program.with_role(Role.INPUT)
    given = set(program.with_role(Role.INPUT)) | {out_of(op) for op in program.ops[:at]}
    read = {tensor for op in program.ops[at:] for tensor in gadgets.reads(op)}
    return sorted(given & read)


def _crosses(program: Program, at: int) -> bool:
    tensors = [program.tensors[i] for i in live(program, at)]
    finished = any(program.tensors[out_of(op)].role == Role.OUTPUT for op in program.ops[:at])
    fits = all(INT16[0] <= t.lo and t.hi <= INT16[1] and _pieces(t) for t in tensors)
    whole = not _proved_later(program, at)
    return whole and fits and not finished and 0 < sum(t.size for t in tensors) <= STATE_CELLS


def _proved_later(program: Program, at: int) -> bool:
    """Whether a Floor would lose the tables that prove it."""
    floors = {op.out for op in program.ops[:at] if isinstance(op, Floor)}
    return any(isinstance(op, Table) and gadgets.reads(op) & floors for op in program.ops[at:])


def _uncut(program: Program) -> str:
    """Why there is no place to cut."""
    crossing = [live(program, at) for at in range(1, len(program.ops))]
    cells = [sum(program.tensors[i].size for i in tensors) for tensors in crossing]
    least = f"{min(cells)} cells cross at least" if cells else "it is one gadget"
    return f"expected a place where at most {STATE_CELLS} cells, all int16, cross: {least}"


def _stands(program: Program, start: int, stop: int) -> bool:
    """Whether these gadgets have what a proof needs: a lookup, and a contraction."""
    relations = gadgets.expand(_segment(program, start, stop))
    return bool(relations.lookups) and any(e.expr.contractions for e in relations.einsums)


def _check(program: Program) -> None:
    if program.stacks:
        raise NotDivisible("expected a program without stacks: unroll it first")
    committed = program.with_role(Role.INPUT_COMMITTED, Role.OUTPUT_COMMITTED)
    if committed:
        names = ", ".join(program.tensors[i].name for i in committed)
        raise NotDivisible(f"expected public inputs and outputs, got committed {names}")


# -- one segment -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """`length` of a tensor's cells along `axis`, from `start` on: one statement tensor."""

    axis: int
    start: int
    length: int


def _pieces(tensor: Tensor) -> list[Piece]:
    """The fewest that each fit a statement; none if not even single slices do."""
    axis = max(range(len(tensor.shape)), key=lambda a: tensor.shape[a])
    longest = tensor.shape[axis]
    most = PUBLIC_CELLS * longest // tensor.size
    if most == 0:
        return []
    starts = range(0, longest, min(most, longest))
    return [Piece(axis, a, min(most, longest - a)) for a in starts]


class _Builder:
    """Tensors and gadgets of a segment; tensors of the whole program by their numbers there."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.number: dict[int, int] = {}

    def add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def read(self, i: int) -> None:
        """A tensor that crosses into the segment, from its pieces: a copy among the activations."""
        whole, terms = self.program.tensors[i], []
        for name, tensor, piece in _statement(whole, "in"):
            part = self.add(replace(tensor, name=name, role=Role.INPUT))
            terms.append((1, _shifted(part, whole, piece.axis, -piece.start)))
        self.number[i] = self.add(replace(whole, role=Role.ACTIVATION))
        self.ops.append(_copy(self.number[i], whole.shape, terms))

    def write(self, i: int) -> None:
        """A tensor that crosses out of the segment, in pieces."""
        whole = self.program.tensors[i]
        for name, tensor, piece in _statement(whole, "out"):
            part = self.add(replace(tensor, name=name, role=Role.OUTPUT))
            view = _shifted(self.number[i], whole, piece.axis, piece.start)
            self.ops.append(_copy(part, tensor.shape, [(1, view)]))

    def keep(self, i: int) -> None:
        if i not in self.number:
            self.number[i] = self.add(self.program.tensors[i])

    def compute(self, op: Op) -> None:
        for i in sorted(gadgets.reads(op) | {out_of(op)}):
            self.keep(i)
        self.ops.append(_renumbered(op, self.number))


def _segment(program: Program, start: int, stop: int) -> Program:
    """Gadgets start to stop - 1, between what crosses before and after them."""
    made = _Builder(program)
    for i in live(program, start):
        if start == 0:
            made.keep(i)
        else:
            made.read(i)
    if stop == len(program.ops):  # a statement's outputs are in the order of their numbers
        for i in program.with_role(Role.OUTPUT):
            made.keep(i)
    for op in program.ops[start:stop]:
        made.compute(op)
    if stop < len(program.ops):
        for i in live(program, stop):
            made.write(i)
    return Program(program.limb, tuple(made.tensors), tuple(made.ops))


def _statement(whole: Tensor, side: str) -> Iterator[tuple[str, Tensor, Piece]]:
    pieces = _pieces(whole)
    for n, piece in enumerate(pieces):
        shape = tuple(piece.length if a == piece.axis else x for a, x in enumerate(whole.shape))
        name = f"{whole.name}.{side}" if len(pieces) == 1 else f"{whole.name}.{side}{n}"
        yield name, replace(whole, shape=shape), piece


def _shifted(tensor: int, like: Tensor, axis: int, offset: int) -> View:
    indices = (Index(a, offset if a == axis else 0) for a in range(len(like.shape)))
    return View(tensor, tuple(indices))


def _copy(out: int, shape: tuple[int, ...], terms: Iterable[tuple[int, View]]) -> Linear:
    return Linear(out, Expr(shape, len(shape), (), Affine(tuple(terms))))


def _renumbered(op: Op, number: Mapping[int, int]) -> Op:
    """The same gadget, its tensors by other numbers."""

    def view(v: View) -> View:
        return replace(v, tensor=number[v.tensor])

    moved = rewritten(op, (), 0, view)
    names = ("out", "tensor", "table", "source")
    changed = {name: number[getattr(op, name)] for name in names if hasattr(op, name)}
    return replace(moved, **changed)  # type: ignore[arg-type]
