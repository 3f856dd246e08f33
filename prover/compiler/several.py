"""Operators that make several tensors: each by itself, where it is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from prover.compiler import cells
from prover.compiler.errors import UnsupportedOp
from prover.compiler.measures import MOMENTS
from prover.compiler.trace import Node, Ref


def _extreme(part: Node, source: Node) -> Node:
    """values, indices = max or min along an axis."""
    least = "min" in source.target
    x, axis, keep = source.args
    if part.args[1] == 0 and not least:
        return part
    if part.args[1] == 0:
        return replace(part, target="aten.amin.default", args=(x, (axis,), keep))
    kind = "argmin" if least else "argmax"
    return replace(part, target=f"aten.{kind}.default", args=(x, axis, keep))


def _top(part: Node, source: Node) -> Node:
    """The greatest or least one."""
    x, count, axis, largest, _ = source.args
    if count != 1:
        raise UnsupportedOp(source.name, source.target, f"expected one, got {count}: no sorting")
    kind, own = ("max", "amax") if largest else ("min", "amin")
    if part.args[1] == 0:
        return replace(part, target=f"aten.{own}.default", args=(x, (axis,), True))
    return replace(part, target=f"aten.arg{kind}.default", args=(x, axis, True))


def _moments(part: Node, source: Node) -> Node:
    """var or std, and the mean."""
    if part.args[1] == 0:
        return replace(part, target=source.target.replace("_mean", ""), args=source.args)
    axes = None if source.target.endswith(".default") else source.args[1]
    return replace(part, target="aten.mean.dim", args=(source.args[0], axes, True, None))


def _adaptive(part: Node, source: Node) -> Node:
    """The greatest of each window; not where it stands."""
    if part.args[1] != 0:
        raise UnsupportedOp(source.name, source.target, "where the greatest of a window stands")
    pool = source.target.split(".")[1]
    return replace(part, target=f"einproof.{pool}", args=source.args)


def _bag(part: Node, source: Node) -> Node:
    """The sums, means or greatest of bags; `composite` takes it apart."""
    if part.args[1] != 0:
        raise UnsupportedOp(source.name, source.target, "where each row of a bag came from")
    return replace(part, target="einproof.embedding_bag", args=source.args)


def _state(part: Node, source: Node) -> Node:
    own = Ref(f"{source.name}_{cells.STATES[part.args[1]]}")
    return replace(part, target="aten.alias.default", args=(own,))


SEVERAL: dict[str, Callable[[Node, Node], Node]] = {
    cells.LSTM: _state,
    "aten.max.dim": _extreme,
    "aten.min.dim": _extreme,
    "aten.topk.default": _top,
    **{f"aten.{kind}_mean.{form}": _moments for kind in ("var", "std") for form in MOMENTS},
    "aten.embedding_bag.padding_idx": _bag,
    "aten.adaptive_max_pool1d.default": _adaptive,
    "aten.adaptive_max_pool2d.default": _adaptive,
}
