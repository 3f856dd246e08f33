"""A program with its stacks written out: every layer's gadgets by themselves, with their own part
of the weights. It computes the same integers, and can be cut between layers (segments.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from prover.program.evaluate import Ints
from prover.program.ir import (
    FIXED,
    Affine,
    Contraction,
    Expr,
    Index,
    Op,
    Program,
    Role,
    Tensor,
    View,
)
from prover.program.rewrite import at_layer, out_of
from prover.program.segments import NotDivisible
from prover.program.validate import validate

LAYER = "@"  # between the name of a tensor and the number of its layer


def unroll(program: Program) -> Program:
    """The same program without stacks; layer l of tensor t is called t@l. Raises NotDivisible."""
    if not program.stacks:
        return program
    made = _Unrolled(program)
    at = 0
    for stack in program.stacks:
        made.plain(program.ops[at : stack.first])
        at = stack.first + stack.count
        made.stack(program.ops[stack.first : at], stack.length)
    made.plain(program.ops[at:])
    unrolled = Program(program.limb, tuple(made.tensors), tuple(made.ops))
    validate(unrolled)
    return unrolled


def layer_weights(program: Program, weights: Mapping[str, Ints]) -> dict[str, Ints]:
    """The weights of an unrolled program, or of a segment of one, from those of the whole."""
    found: dict[str, Ints] = {}
    for i in program.with_role(Role.WEIGHT):
        name = program.tensors[i].name
        whole, _, layer = name.rpartition(LAYER)
        cells = weights[name] if name in weights else weights[whole][int(layer) : int(layer) + 1]
        found[name] = cells
    return found


class _Unrolled:
    """Tensors and gadgets so far. `layers`: what a layered tensor became, by layer."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.number: dict[int, int] = {}
        self.layers: dict[int, dict[int, int]] = {}
        self.inside = False  # of a stack, whose axis 0 is one layer
        self.stacked = {
            out_of(op)
            for stack in program.stacks
            for op in program.ops[stack.first : stack.first + stack.count]
        }
        for i in program.with_role(Role.INPUT, Role.INPUT_COMMITTED):
            self.whole(i)

    def whole(self, i: int) -> int:
        if i in self.stacked:
            raise NotDivisible(f"{self.program.tensors[i].name}: all its layers are read at once")
        if i not in self.number:
            self.tensors.append(self.program.tensors[i])
            self.number[i] = len(self.tensors) - 1
        return self.number[i]

    def layer(self, i: int, layer: int) -> int:
        """Tensor i at one layer, an axis 0 of length 1."""
        own = self.layers.setdefault(i, {})
        if layer not in own:
            t = self.program.tensors[i]
            if t.role not in (Role.WEIGHT, Role.ACTIVATION):
                raise NotDivisible(f"{t.name}: expected a weight or an activation by layer")
            name, shape = f"{t.name}{LAYER}{layer}", (1, *t.shape[1:])
            self.tensors.append(replace(t, name=name, shape=shape))
            own[layer] = len(self.tensors) - 1
        return own[layer]

    def plain(self, ops: tuple[Op, ...]) -> None:
        for op in ops:
            self.ops.append(self.moved(op, self.whole(out_of(op))))

    def stack(self, ops: tuple[Op, ...], length: int) -> None:
        self.inside = True
        for layer in range(length):
            for op in ops:
                self.ops.append(self.moved(at_layer(op, layer), self.layer(out_of(op), layer)))
        self.inside = False

    def moved(self, op: Op, out: int) -> Op:
        changed: dict[str, object] = {}
        for field in fields(op):
            part = getattr(op, field.name)
            if field.name in ("out", "tensor"):
                changed[field.name] = out
            elif field.name in ("table", "source"):
                changed[field.name] = self.whole(part)
            elif isinstance(part, Affine):
                changed[field.name] = self.affine(part)
            elif isinstance(part, Expr):
                changed[field.name] = self.expr(part)
        return replace(op, **changed)  # type: ignore[arg-type]

    def expr(self, e: Expr) -> Expr:
        products = []
        for c in e.contractions:
            x, y = self.affine(c.x), self.affine(c.y)
            if not (x.terms or x.const) or not (y.terms or y.const):
                continue  # before the first layer there is nothing
            if not x.terms:
                x, y = y, x
            products.append(Contraction(x, y))
        return replace(e, contractions=tuple(products), linear=self.affine(e.linear))

    def affine(self, a: Affine) -> Affine:
        return Affine(tuple((c, view) for c, v in a.terms for view in self.views(v)), a.const)

    def views(self, v: View) -> list[View]:
        """What a view reads, layer by layer; nothing beyond the first and the last."""
        t = self.program.tensors[v.tensor]
        first, rest = v.index[:1], v.index[1:]
        if v.tensor in self.stacked:
            ((axis, offset),) = ((i.axis, i.offset) for i in first)
            if axis == FIXED:
                return [View(self.layer(v.tensor, offset), (Index(FIXED, 0), *rest))]
            if self.inside and axis == 0:
                return self.one(v, offset)
            return [
                View(self.layer(v.tensor, n), (Index(axis, offset - n), *rest))
                for n in range(t.shape[0])
            ]
        if self.inside and t.role == Role.WEIGHT and first and first[0].axis == 0:
            return self.one(v, first[0].offset)
        return [replace(v, tensor=self.whole(v.tensor))]

    def one(self, v: View, layer: int) -> list[View]:
        if not 0 <= layer < self.program.tensors[v.tensor].shape[0]:
            return []
        return [View(self.layer(v.tensor, layer), (Index(0, 0), *v.index[1:]))]
