"""What all gadgets share: an output, views; and the same gadget over other axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from prover.program.ir import Affine, Contraction, Expr, Index, Op, Range, View


def out_of(op: Op) -> int:
    """The tensor that a gadget makes, or checks."""
    return op.tensor if isinstance(op, Range) else op.out


def views(op: Op) -> Iterator[View]:
    """Every view of a gadget."""
    for field in fields(op):
        part = getattr(op, field.name)
        affines = [part] if isinstance(part, Affine) else []
        if isinstance(part, Expr):
            affines = [part.linear, *(a for c in part.contractions for a in (c.x, c.y))]
        yield from (view for a in affines for _, view in a.terms)


def rewritten(op: Op, axes: tuple[int, ...], cut: int, view: Callable[[View], View]) -> Op:
    """The gadget with `axes` in place of the first `cut` of its own, all free, and each view as
    the function has it."""

    def affine(a: Affine) -> Affine:
        return Affine(tuple((coef, view(v)) for coef, v in a.terms), a.const)

    changed: dict[str, object] = {}
    for field in fields(op):
        part = getattr(op, field.name)
        if isinstance(part, Affine):
            changed[field.name] = affine(part)
        elif isinstance(part, Expr):
            products = tuple(Contraction(affine(c.x), affine(c.y)) for c in part.contractions)
            free = part.free + len(axes) - cut
            changed[field.name] = Expr(axes + part.axes[cut:], free, products, affine(part.linear))
        elif field.name == "axes":
            changed[field.name] = axes + part[cut:]
    return replace(op, **changed)  # type: ignore[arg-type]


def at_layer(op: Op, layer: int) -> Op:
    """One layer of a stack's gadget: what axis 0 sees there, with an axis 0 of length 1."""

    def view(v: View) -> View:
        index = (Index(i.axis, i.offset + layer) if i.axis == 0 else i for i in v.index)
        return View(v.tensor, tuple(index))

    return rewritten(op, (1,), 1, view)
