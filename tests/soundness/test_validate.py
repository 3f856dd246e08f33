"""Programs that must not be relied on are refused by `validate`, or by the layout."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prover.errors import BadProgram
from prover.field import inverse
from prover.program import format as fmt
from prover.program.ir import (
    Affine,
    Argmax,
    Contraction,
    Divide,
    Expr,
    Floor,
    Gather,
    Index,
    Linear,
    Max,
    Op,
    Program,
    Range,
    Relu,
    Requantize,
    Role,
    Rsqrt,
    Table,
    Tensor,
    View,
)
from prover.program.layout import LayoutError, layout
from prover.program.validate import InvalidProgram, validate
from tests.programs import Case, one, view
from tests.proving import setup
from tests.soundness.malice import Claim
from tests.soundness.small import K, every_kind
from tests.stacks import blocks

GOOD = every_kind().program
NUMBER = {t.name: i for i, t in enumerate(GOOD.tensors)}


def with_tensor(which: str, **changed: Any) -> Program:
    tensors = list(GOOD.tensors)
    tensors[NUMBER[which]] = replace(tensors[NUMBER[which]], **changed)
    return replace(GOOD, tensors=tuple(tensors))


def with_op(kind: type[Op], which: int = 0, **changed: Any) -> Program:
    ops = list(GOOD.ops)
    at = [i for i, op in enumerate(ops) if type(op) is kind][which]
    ops[at] = replace(ops[at], **changed)
    return replace(GOOD, ops=tuple(ops))


def with_expr(kind: type[Op], which: int = 0, **changed: Any) -> Program:
    op = [op for op in GOOD.ops if type(op) is kind][which]
    return with_op(kind, which, expr=replace(op.expr, **changed))


def without(kind: type[Op], which: int = 0) -> Program:
    drop = [op for op in GOOD.ops if type(op) is kind][which]
    return replace(GOOD, ops=tuple(op for op in GOOD.ops if op is not drop))


def plus(*ops: Op, tensors: tuple[Tensor, ...] = ()) -> Program:
    return replace(GOOD, tensors=GOOD.tensors + tensors, ops=GOOD.ops + ops)


W, L, Q, S, H, X, G, Y = (NUMBER[n] for n in ("w", "l", "q", "s", "h", "x", "g", "y"))
NEW = len(GOOD.tensors)
CELLS = Tensor("new", (3,), Role.ACTIVATION, -128, 127)


COLUMN = Affine(((1, View(G, (Index(0), Index(-1, 0)))),))  # of g, which depends on weights


def product(left: int, right: int) -> Linear:
    return Linear(NEW, Expr((3,), 1, (Contraction(one(left, 0), one(right, 0)),)))


def shifted(tensor: int, by: int) -> Affine:
    return Affine(((1, View(tensor, (Index(0, by),))),))


(FLOOR,) = (op for op in GOOD.ops if isinstance(op, Floor))
FREE = Affine((*FLOOR.x.terms, (1, View(G, (Index(0), Index(-1, 0))))), FLOOR.x.const)
U = Affine(((1, view(NUMBER["u"], 0)),))


def digit(index: Affine) -> Program:
    """The table that is to say that u is an integer, read at another index."""
    return with_op(Table, 3, index=index)


BAD: dict[str, tuple[Program, str]] = {
    # digits: both tables, and nothing that they rest on
    "a floor with a remainder out of range": (without(Table, 2), "no table of 4 rows"),
    "a floor whose remainder has another table": (with_op(Table, 2, lo=1), "no table of 4 rows"),
    "a floor whose remainder has more rows": (
        with_op(Table, 2, table=NUMBER["high"]),
        "no table of 4 rows",
    ),
    "a floor whose remainder is another": (with_op(Floor, 0, shift=1), "no table of 2 rows"),
    "a floor that is a fraction": (without(Table, 3), "no table proves that it is an integer"),
    "twice a floor": (digit(Affine(((2, view(NUMBER["u"], 0)),))), "proves that it is an integer"),
    "a floor less itself": (
        digit(Affine((*U.terms, (-1, view(NUMBER["u"], 0))))),
        "proves that it is an integer",
    ),
    "a floor less what is made of it": (
        digit(Affine((*U.terms, (-1, view(NUMBER["rest"], 0))))),
        "proves that it is an integer",
    ),
    "a floor and a weight": (
        digit(Affine((*U.terms, (1, View(NUMBER["w"], (Index(-1, 0), Index(0))))))),
        "proves that it is an integer",
    ),
    "the floor of a weight": (with_op(Floor, 0, x=FREE), "depends on weights"),
    "a floor by nothing": (with_op(Floor, 0, shift=0), "shift 0"),
    "a floor by too much": (with_op(Floor, 0, shift=17), "shift 17"),
    # every tensor is made once, by a gadget, from what is there
    "never made": (without(Table), "never made|read before"),
    "a free hint": (replace(GOOD, tensors=(*GOOD.tensors, CELLS)), "never made: new"),
    "made twice": (plus(Linear(Q, Expr((3,), 1, (), one(L, 0)))), "q: made twice"),
    "an input that is made": (
        plus(Linear(X, Expr((2,), 1, (), one(NUMBER["t"], 0)))),
        "x: made twice, or given",
    ),
    "a weight that is made": (
        plus(Gather(NUMBER["rows"], (3,), one(Q, 0), NUMBER["w"])),
        "rows: made twice, or given",
    ),
    "read before it is made": (replace(GOOD, ops=GOOD.ops[::-1]), "read before"),
    "made from itself": (with_expr(Requantize, 0, linear=one(Q, 0)), "read before"),
    "an output of nothing": (with_op(Requantize, 0, out=NEW), "unknown tensor"),
    "a view of nothing": (with_op(Table, 0, index=one(NEW, 0)), "read before"),
    "a range of nothing": (plus(Range(NEW, 8)), "unknown tensor"),
    # names: those of hints are derived from them
    "two of one name": (with_tensor("t", name="g"), "two tensors of one name"),
    "the name of a hint": (with_tensor("t", name="q.r"), "name of a hint"),
    "the name of a limb": (with_tensor("t", name="m.d.u1"), "name of a hint"),
    "no name": (with_tensor("t", name=""), "name"),
    "an unprintable name": (with_tensor("t", name="t\n"), "name"),
    # bounds: no integer wraps
    "sums that wrap": (
        with_expr(Requantize, 0, linear=Affine(((1 << 60, view(L, 0)),))),
        "reaches",
    ),
    "a constant that wraps": (with_expr(Requantize, 0, linear=Affine((), 1 << 62)), "reaches"),
    "products that wrap": (
        with_expr(
            Requantize, 3,
            contractions=(Contraction(Affine(((1 << 46, view(Q, 1)),)), one(H, 0)),),
        ),
        "an expression reaches",
    ),
    "a quotient with no room": (with_op(Requantize, 0, shift=40, bits=32), "no room to round"),
    "tensor bounds that wrap": (with_tensor("w", lo=-(1 << 62)), "bounds"),
    "bounds the wrong way round": (with_tensor("w", lo=5, hi=4), "bounds"),
    # weights are field elements until a range is proved
    "two weights multiplied": (plus(product(L, L), tensors=(CELLS,)), "depend on weights"),
    "a weight by a gathered weight": (
        plus(
            Linear(NEW, Expr((2,), 1, (Contraction(one(L, 0), COLUMN),))),
            tensors=(replace(CELLS, shape=(2,)),),
        ),
        "depend on weights",
    ),
    "a maximum of weights": (with_op(Max, 0, x=one(G, 0, 1)), "depends on weights"),
    "an argmax of weights": (with_op(Argmax, 0, x=one(G, 0, 1)), "depends on weights"),
    "division by a weight": (with_op(Divide, 0, denominator=COLUMN), "depends on weights"),
    "the root of a weight": (with_op(Rsqrt, 0, x=COLUMN), "depends on weights"),
    # ranges
    "a committed input unranged": (without(Range), "s: a committed input must be range-checked"),
    "a range of an activation": (plus(Range(Q, 8)), "range is for committed inputs"),
    "a range of no bits": (with_op(Range, 0, bits=0), "bits"),
    "ranges of part of a limb": (with_op(Requantize, 0, bits=10), "whole limbs"),
    "too small a range": (with_op(Relu, 0, bits=4), "whole limbs"),
    "too large a range": (with_op(Requantize, 0, bits=36), "whole limbs"),
    "a negative-width shift": (with_op(Requantize, 0, shift=41), "shift 41"),
    "a remainder of part of a limb": (with_op(Divide, 0, rest_bits=10), "whole limbs"),
    "a remainder that wraps": (with_op(Divide, 0, rest_bits=52), "whole limbs"),
    "division with no room": (
        with_op(Divide, 0, numerator=Affine((((1 << 59) - 1, view(NUMBER["t"], 0)),))),
        "no room",
    ),
    "a root with no room": (with_op(Rsqrt, 0, bits=32), "no room"),
    "a root of too many bits": (with_op(Rsqrt, 0, shift=31), "no room"),
    "a limb of five bits": (replace(GOOD, limb=5), "limb"),
    "a limb of none": (replace(GOOD, limb=0), "limb"),
    # lookups are not shifted, cut or longer than their table
    "a shifted lookup": (with_op(Table, 0, index=shifted(X, 1)), "must not be shifted"),
    "a lookup cut short": (with_op(Table, 0, index=one(Q, 0)), "must not be shifted or cut"),
    "a shifted choice": (
        with_op(Max, 0, x=Affine(((1, View(S, (Index(0, 1), Index(1)))),))),
        "must not be shifted",
    ),
    "other axes than the output's": (with_op(Table, 0, axes=(3,)), "a lookup over"),
    "choices over other axes": (with_op(Max, 0, axes=(3, 2)), "a lookup over"),
    "a choice of one axis": (with_op(Argmax, 0, axes=(2,)), "expected axes"),
    "a table of the wrong length": (with_tensor("f", values=(1, 2, 3)), "expected 28 table values"),
    "a table beyond its bounds": (with_tensor("f", values=(99,) * 28), "table values in"),
    "a table that is a weight": (with_op(Table, 0, table=NUMBER["w"]), "not a table"),
    "a table beyond 32 bits": (with_op(Table, 0, lo=(1 << 31) - 15), "not within 32 bits"),
    "a table from below 32 bits": (with_op(Table, 0, lo=-(1 << 31)), "not within 32 bits"),
    "values of a weight": (with_tensor("w", values=(1,) * 6), "values are for tables"),
    "gathering from a public tensor": (
        plus(
            Gather(NEW, (3,), one(Q, 0), NEW + 1),
            tensors=(
                replace(CELLS, shape=(3, 2)),
                Tensor("public", (4, 2), Role.INPUT, -8, 7),
            ),
        ),
        "committed rows",
    ),
    "gathering rows of another width": (with_tensor("g", shape=(2, 3)), "rows of 2"),
    "gathering from a vector": (
        plus(Gather(NEW, (3,), one(Q, 0), L), tensors=(replace(CELLS, shape=(3, 3)),)),
        "rows and columns",
    ),
    "a table of two axes": (with_tensor("f", shape=(4, 7)), "expected one axis"),
    "a lookup over no axis": (with_op(Table, 0, axes=()), "lookup axes"),
    "a lookup over nothing": (with_op(Table, 0, axes=(0,)), "lookup axes"),
    # shapes, views
    "public cells beyond int16": (with_tensor("y", hi=1 << 15), "public, but not int16"),
    "too many public cells": (with_tensor("y", shape=(1025,)), "public cells"),
    "an axis of nothing": (with_tensor("w", shape=(0, 2)), "positive length"),
    "no axis": (with_tensor("w", shape=()), "1 to 4 axes"),
    "nine axes": (with_expr(Linear, 0, axes=(3, *(2,) * 8)), "axes"),
    "five axes": (with_tensor("w", shape=(1, 1, 1, 3, 2)), "1 to 4 axes"),
    "too many cells": (with_tensor("w", shape=(1 << 16, 1 << 16)), "positive length"),
    "an output of another shape": (with_expr(Requantize, 0, axes=(4,)), "but"),
    "more free axes than axes": (with_expr(Linear, 0, axes=(3,), free=2), "but"),
    "an axis that is not there": (with_expr(Requantize, 0, linear=one(L, 1)), "axis 1 of 1"),
    "a summed axis on the left": (with_expr(Linear, 0, linear=one(X, 1)), "axis 1 of 1"),
    "an axis used twice": (
        with_expr(Requantize, 0, linear=Affine(((1, View(G, (Index(0), Index(0)))),))),
        "used twice",
    ),
    "too few indices": (with_expr(Requantize, 0, linear=one(G, 0)), "indices"),
    "a fixed index outside": (
        with_expr(Requantize, 0, linear=Affine(((1, View(L, (Index(-1, 3),))),))),
        "fixed index",
    ),
    "an offset beyond 32 bits": (with_expr(Requantize, 0, linear=shifted(L, 1 << 31)), "offset"),
    "an empty contraction": (
        with_expr(Linear, 0, contractions=(Contraction(Affine((), 1), Affine((), 1)),)),
        "empty contraction",
    ),
    # something to prove
    "no lookup": (
        Program(
            4,
            (Tensor("x", (2,), Role.INPUT, 0, 1), Tensor("y", (2,), Role.OUTPUT, 0, 1)),
            (Linear(1, Expr((2,), 1, (), one(0, 0))),),
        ),
        "at least one lookup",
    ),
    "no contraction": (
        Program(
            4,
            (Tensor("x", (2,), Role.INPUT, 0, 1), Tensor("y", (2,), Role.ACTIVATION, 0, 1)),
            (Requantize(1, Expr((2,), 1, (), one(0, 0)), 0, 8),),
        ),
        "at least one contraction",
    ),
}  # fmt: skip


def test_the_good_program_is_valid() -> None:
    validate(GOOD)
    layout(GOOD, K)


STACKED = blocks(3).program
STACK = STACKED.stacks[0]
IN = {t.name: i for i, t in enumerate(STACKED.tensors)}


def stacked(made: str = "out", **changed: Any) -> Program:
    """The stack with one gadget changed."""
    ops = [
        replace(op, **changed) if not isinstance(op, Range) and op.out == IN[made] else op
        for op in STACKED.ops
    ]
    return replace(STACKED, ops=tuple(ops))


def reading(tensor: str, *index: Index, of: str = "in") -> Program:
    """`of`, a sum, reads one more tensor."""
    op = next(o for o in STACKED.ops if not isinstance(o, Range) and o.out == IN[of])
    assert isinstance(op, Linear | Requantize | Relu)
    more = (*op.expr.linear.terms, (1, View(IN[tensor], index)))
    return stacked(of, expr=replace(op.expr, linear=Affine(more)))


def swapped(a: int, b: int) -> Program:
    ops = list(STACKED.ops)
    ops[a], ops[b] = ops[b], ops[a]
    return replace(STACKED, ops=tuple(ops))


SUMMED = Contraction(Affine(((1, View(IN["out"], (Index(3), Index(1), Index(2)))),)), Affine((), 1))
BAD |= {
    # the order of a stack's cells is well-founded
    "a later tensor of the same layer": (
        reading("out", Index(0), Index(1), Index(2)), "out: read 0 layers on, at most -1"
    ),
    "itself in the same layer": (
        reading("kept", Index(0), Index(1), of="kept"), "kept: read 0 layers on, at most -1"
    ),
    "a later layer": (
        reading("out", Index(0, 1), Index(1), Index(2)), "out: read 1 layers on, at most -1"
    ),
    "a later layer of an earlier tensor": (
        reading("in", Index(0, 1), Index(1), Index(2), of="out"), "read 1 layers on, at most 0"
    ),
    "one layer by every layer": (
        reading("out", Index(-1, 0), Index(1), Index(2)), "out: read across layers"
    ),
    "a layer by another axis": (
        reading("out", Index(1), Index(-1, 0), Index(2)), "out: read across layers"
    ),
    "a sum over layers": (
        stacked(expr=Expr((3, 2, 3, 3), 3, (SUMMED,))), "out: read across layers"
    ),
    "gadgets in another order": (swapped(1, 2), "in: read 0 layers on, at most -1"),
    "a row of the stack's own": (
        replace(
            STACKED,
            tensors=(*STACKED.tensors, Tensor("got", (3, 2, 4), Role.ACTIVATION, 0, 1)),
            ops=(*STACKED.ops[:3], Gather(len(STACKED.tensors), (3, 2), one(IN["top"], 0, 1),
                                          IN["top"]), *STACKED.ops[3:]),
            stacks=(replace(STACK, count=7),),
        ),
        "got: gathers in a stack",
    ),
    # no interval rests on itself
    "a sum of itself": (
        reading("in", Index(0, -1), Index(1), Index(2)), "in: read a layer back, but its own"
    ),
    "a maximum, a layer back": (
        reading("top", Index(0, -1), Index(1)), "top: read a layer back, but its own"
    ),
    "a range of part of a limb, a layer back": (stacked("kept", bits=12), "whole limbs"),
    "a table of nothing, a layer back": (
        replace(
            reading("digit", Index(0, -1), Index(1)),
            ops=tuple(
                replace(op, table=99) if isinstance(op, Table) else op
                for op in reading("digit", Index(0, -1), Index(1)).ops
            ),
        ),
        "digit: no table 99",
    ),
    "an argmax over nothing, a layer back": (
        replace(
            reading("top", Index(0, -1), Index(1)),
            ops=tuple(
                Argmax(op.out, (3,), one(IN["kept"], 0), 16) if isinstance(op, Max) else op
                for op in reading("top", Index(0, -1), Index(1)).ops
            ),
        ),
        "top: axes",
    ),
    # stacks as such
    "a stack of another length": (
        replace(STACKED, stacks=(replace(STACK, length=4),)), "in a stack of 4 layers"
    ),
    "a stack of no layers": (
        replace(STACKED, stacks=(replace(STACK, length=0),)), "a stack of 0 layers"
    ),
    "a stack of no gadgets": (replace(STACKED, stacks=(replace(STACK, count=0),)), "of its own"),
    "a stack beyond the end": (replace(STACKED, stacks=(replace(STACK, count=8),)), "of its own"),
    "two stacks of one gadget": (
        replace(STACKED, stacks=(STACK, replace(STACK, first=2))), "of its own"
    ),
    "no stack": (replace(STACKED, stacks=()), "read before it is made"),
    "a range in a stack": (
        replace(STACKED, ops=(*STACKED.ops[:2], Range(IN["x"], 16), *STACKED.ops[2:]),
                stacks=(replace(STACK, count=7),)),
        "x: a range check in a stack",
    ),
    "a stack that makes a tensor twice": (
        replace(STACKED, ops=(*STACKED.ops[:2], STACKED.ops[1], *STACKED.ops[2:]),
                stacks=(replace(STACK, count=7),)),
        "in: made twice in a stack",
    ),
    "a stack that makes nothing known": (stacked("out", out=99), "unknown tensor 99"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_unsound_programs_are_refused(name: str) -> None:
    program, reason = BAD[name]
    with pytest.raises(InvalidProgram, match=reason):
        validate(program)


def test_every_reason_of_validate_is_reached() -> None:
    """No rule is there without a program that breaks it."""
    import ast
    import inspect

    from prover.program import bounds
    from prover.program import validate as module

    rules = {}
    for part in (module, bounds):
        for n in ast.walk(ast.parse(inspect.getsource(part))):
            calls = isinstance(n, ast.Call) and getattr(n.func, "id", "") == "require"
            raises = isinstance(n, ast.Raise) and "(what)" not in ast.unparse(n)
            if calls or raises:
                rules[part.__file__, n.lineno, n.end_lineno or n.lineno] = ast.unparse(n)
    assert len(rules) > 60
    reached = set()
    for program, _ in BAD.values():
        try:
            validate(program)
        except InvalidProgram as error:
            frames = traceback.extract_tb(error.__traceback__)
            at = frames[-2] if frames[-1].name == "require" else frames[-1]
            reached |= {r for r in rules if r[0] == at.filename and r[1] <= at.lineno <= r[2]}
    unreached = {rule for place, rule in rules.items() if place not in reached}
    spare = {
        # `reads` is asked first, so these are second locks on the same door
        "raise InvalidProgram(f'{self._name(view.tensor)}: read before it is made')",
        "require(view.tensor < len(program.tensors), f'view of unknown tensor {view.tensor}')",
        # at most four free axes make at most two runs
        "require(runs <= 3, f'{out.name}: more than three runs of batch axes')",
        # 2^15 tensors are too many to make here
        "require(1 <= len(program.tensors) < 1 << 15, 'too many tensors')",
    }
    assert {rule for rule in unreached if rule not in spare} == set()


# -- why it must be so: what an invalid program lets through ---------------------------------------


@pytest.mark.parametrize("ranged", [True, False])
def test_an_unranged_committed_input_is_a_field_element(ranged: bool) -> None:
    """y = round(s x / 4), x = 6: were s = 1/2 let in, y would be 1, which no integer s gives."""
    tensors = (
        Tensor("s", (1,), Role.INPUT_COMMITTED, -128, 127),
        Tensor("x", (1,), Role.INPUT, -8, 7),
        Tensor("y", (1,), Role.OUTPUT, -512, 511),
    )
    rounded = Requantize(2, Expr((1,), 1, (Contraction(one(0, 0), one(1, 0)),)), 2, 8)
    program = Program(4, tensors, (*((Range(0, 8),) if ranged else ()), rounded))
    made = setup(Case(program, {"s": np.array([1]), "x": np.array([6])}), 7)
    false = Claim.honest(made).change("s", (0,), inverse(2) - 1)
    false.put("y", (0,), 1).put("y.r", (0,), 1)
    assert (false.refused() is None) == (false.broken() == set()) == (not ranged)
    if not ranged:
        with pytest.raises(InvalidProgram):
            validate(program)


# -- what format v1 cannot write -------------------------------------------------------------------


def test_layout_refuses_what_its_fields_cannot_hold() -> None:
    """With its own error, and before it has worked long."""
    wide = Tensor("wide", (1 << 17,), Role.INPUT_COMMITTED, -128, 127)
    far = Program(
        8,
        (wide, Tensor("x", (2,), Role.INPUT, 0, 1), Tensor("y", (1 << 17,), Role.ACTIVATION, 0, 9)),
        (
            Range(0, 8),
            Requantize(
                2,
                Expr((1 << 17,), 1, (Contraction(one(0, 0), Affine((), 1)),), one(1, 0)),
                0,
                16,
            ),
        ),
    )
    with pytest.raises((LayoutError, BadProgram)):  # x along an axis of 17 bits
        layout(far, 14)
    huge = replace(wide, shape=(1 << 31,))
    big = Program(8, (huge, far.tensors[1]), (Range(0, 8), *far.ops[1:]))
    with pytest.raises((LayoutError, BadProgram)):
        layout(replace(big, tensors=(huge, far.tensors[1], far.tensors[2])), 6)
    with pytest.raises(LayoutError):
        layout(GOOD, 5)
    with pytest.raises(LayoutError):
        layout(GOOD, 23)


def test_a_table_index_has_32_bits() -> None:
    """The last of five rows from 2^31 - 4 has none."""
    lo = (1 << 31) - 4
    tensors = (
        Tensor("x", (2,), Role.INPUT, -1, 1),
        Tensor("f", (5,), Role.TABLE, 0, 9, (1, 2, 3, 4, 5)),
        Tensor("t", (2,), Role.ACTIVATION, 0, 9),
        Tensor("y", (2,), Role.OUTPUT, 0, 99),
    )
    index = Affine(((1 << 31, view(0, 0)),), 0)
    ops = (
        Table(2, (2,), index, 1, lo),
        Requantize(3, Expr((2,), 1, (Contraction(one(2, 0), one(2, 0)),)), 0, 8),
    )
    with pytest.raises(InvalidProgram, match="not within 32 bits"):
        validate(Program(4, tensors, ops))
    validate(Program(4, tensors, (replace(ops[0], lo=lo - 1), ops[1])))
    assert np.iinfo(np.int32).max == lo + 3
    assert fmt.SLICES == 4
