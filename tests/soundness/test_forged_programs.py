"""Verifier sections that parse but are not what the source gives: refused by the audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from prover import kernels as tiers
from prover.audit import Audit, Registered, audit
from prover.curve import encode_point
from prover.identity import model_id
from prover.program.encode import encode
from prover.program.format import (
    HEAP,
    NODE_BITS,
    Kernel,
    Kind,
    Sum,
    VerifierProgram,
    heaps,
    parse,
    serialize,
)
from prover.program.ir import (
    Program,
    Range,
    Requantize,
)
from prover.program.layout import layout
from tests.proving import MODEL_ID, Setup, setup
from tests.soundness.broken import forgetting, renumbered, with_kernel, without_relation
from tests.soundness.malice import Claim, _Contractions, propagated
from tests.soundness.small import K, every_kind, refusal, target
from tests.soundness.test_validate import GOOD, with_op, without


@cache
def honest() -> Setup:
    """every_kind() as the layout has it."""
    return setup(every_kind(), K)


@cache
def registered() -> Registered:
    made = honest()
    points = b"".join(map(encode_point, made.key.fixed_points))
    return _named(serialize(made.key.program) + encode(GOOD), points)


def _named(program: bytes, points: bytes) -> Registered:
    """What somebody registers, with the id that it gets."""
    srs, aux = honest().srs.id, bytes(32)
    return Registered(model_id(program, points, srs, K, aux), program, points, srs, K, aux)


def audited(model: Registered) -> Audit:
    return audit(model, tiers.get("scalar"), honest().srs)


def test_the_honest_registration_passes() -> None:
    assert audited(registered()).passed


def test_another_number_of_slices_than_the_layout_takes_is_refused() -> None:
    """A sound program, but not the one that the source gives."""
    program = target().key.program
    assert program.slices != honest().key.program.slices
    section = serialize(program) + encode(GOOD)
    found = audited(_named(section, registered().points)).findings
    assert {f.name for f in found if f.ok is False} == {"verifier section"}


def other_section(change: Callable[[VerifierProgram], VerifierProgram]) -> Registered:
    section = serialize(change(honest().key.program))
    assert serialize(parse(section)) == section, "the verifier itself would refuse it"
    return _named(section + encode(GOOD), registered().points)


def _constant(v: VerifierProgram, change: int) -> VerifierProgram:
    return replace(v, constants=(v.constants[0] + change, *v.constants[1:]))


def _kernel(v: VerifierProgram, kind: Kind, **changed: Any) -> VerifierProgram:
    at = next(i for i, kernel in enumerate(v.kernels) if kernel.kind == kind)
    found = replace(v.kernels[at], **changed)
    return replace(v, kernels=(*v.kernels[:at], found, *v.kernels[at + 1 :]))


def _sum(v: VerifierProgram, at: int, pairs: Sum) -> VerifierProgram:
    at %= len(v.sums)
    return replace(v, sums=(*v.sums[:at], pairs, *v.sums[at + 1 :]))


def _longest(v: VerifierProgram) -> int:
    return max(range(len(v.sums)), key=lambda i: len(v.sums[i]))


def _instead(v: VerifierProgram, old: int, new: int) -> VerifierProgram:
    """Another value wherever one is read."""
    return renumbered(v, lambda number: new if number == old else number)


def _longer(v: VerifierProgram, point: str, end: int) -> VerifierProgram:
    """A coordinate more of a point: two values more behind its others, which end at an id."""
    moved = renumbered(v, lambda number: number + 2 * (number >= end))
    return replace(moved, **{point: getattr(v, point) + 1})


def _overlap(v: VerifierProgram) -> VerifierProgram:
    """Two tensors' cells at one address: the tile's first heap has but one entry."""
    entry = v.first_heap + HEAP * heaps(v.n_f) + (1 << NODE_BITS)
    for x in range(1, 1 << NODE_BITS):
        v = _instead(v, entry + x, entry)
    return v


FORGED: dict[str, Callable[[VerifierProgram], VerifierProgram]] = {
    **{f"einsum {j} forgotten": lambda v, j=j: without_relation(v, j) for j in range(17)},
    "a pair less": lambda v: _sum(
        v, at := _longest(v), ((v.first_heap, v.first_heap), *v.sums[at][1:])
    ),
    "a pair twice": lambda v: _sum(v, at := _longest(v), (v.sums[at][1], *v.sums[at][1:])),
    "a tile that weighs nothing": lambda v: _sum(v, -1, ((v.first_heap,) * 2,) * len(v.sums[-1])),
    "another constant": lambda v: _constant(v, 1),
    "another scale": lambda v: _instead(v, v.first_scale, v.first_scale + 1),
    "another product": lambda v: replace(v, products=((v.first_scale, 0), *v.products[1:])),
    "one tile's weight for another": lambda v: _sum(_sum(v, -1, v.sums[-2]), -2, v.sums[-1]),
    "overlapping addresses": _overlap,
    "a pair in another order": lambda v: _sum(v, _longest(v), v.sums[_longest(v)][::-1]),
    "an unused kernel": lambda v: with_kernel(v, Kernel(Kind.CUT)),
    "a shorter cut": lambda v: _kernel(v, Kind.CUT, const=1),
    "another table index": lambda v: _kernel(v, Kind.INDEX, shift=1),
    "another power": lambda v: _kernel(v, Kind.POWER, const=1),
    "a row less": lambda v: replace(v, rows=v.rows - 1),
    "a table row less": lambda v: replace(v, table_rows=v.table_rows - 1),
    "no rows": lambda v: replace(v, rows=0),
    "masks in one place": lambda v: replace(v, mask2=v.mask1),
    "a mask in a tile named after a": lambda v: replace(v, mask1=(v.e_tile + 1, 0)),
    "a mask in a fixed tile": lambda v: replace(v, mask1=(0, 0)),
    "relations renumbered": lambda v: replace(
        v, contractions=tuple(replace(c, relation=0) for c in v.contractions)
    ),
    "fewer batch kernels": lambda v: replace(
        v, contractions=tuple(replace(c, kernels=(0, 0, 0)) for c in v.contractions)
    ),
    "an output that is not read": lambda v: replace(
        v, views=tuple(replace(view, offset=0) for view in v.views)
    ),
    "a longer output": lambda v: replace(v, output_bytes=v.output_bytes + 2),
    "a committed output less": lambda v: replace(
        v, output_tiles=0, stage1_tiles=v.stage1_tiles + v.output_tiles
    ),
    "a variable more": lambda v: _longer(v, "n", 1 + 2 * (v.rho_length + v.n)),
    "an axis of rho more": lambda v: _longer(v, "rho_length", 1 + 2 * v.rho_length),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_sections_parse_and_fail_the_audit(name: str) -> None:
    model = other_section(FORGED[name])
    assert parse(model.program) != honest().key.program
    found = audited(model)
    assert not found.passed
    assert {f.name for f in found.findings if f.ok is False} == {"verifier section"}


def test_a_forged_section_proves_what_is_false() -> None:
    """What the audit is there for: a model whose section forgets that q is l, rounded."""
    made = target()
    false = Claim(made, propagated(every_kind(), "q", (0,), 5)).refit()
    false.layout = forgetting(made.layout, 1)
    forged = false.layout.verifier
    false.key = replace(made.key, program=forged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Contractions, "dropped", frozenset({1}))
        statement, proof = false.prove()
    assert statement.output != made.statement.output
    assert refusal(false.key, statement, proof) is None
    assert refusal(made.key, statement, proof) is not None
    program = serialize(forged) + encode(GOOD)
    assert not audited(_named(program, registered().points)).passed


@pytest.mark.parametrize(
    ("name", "program"),
    {
        "unused bytes of the header": lambda p: p[:100] + b"\1" + p[101:],
        "unused bytes of a kernel": lambda p: p[: 128 + 31] + b"\1" + p[128 + 32 :],
        "a record between the sections": lambda p: _spliced(p, bytes(32)),
        "another source": lambda p: _section(p) + encode(with_op(Requantize, 0, shift=4)),
        "no source": lambda p: _section(p),
        "a byte after the source": lambda p: p + b"\0",
        "nothing": lambda p: b"",
        "a header": lambda p: p[:128],
        "an unsound source with its own section": lambda p: _whole(without(Range)),
        "a shorter section": lambda p: p[:10] + bytes(4) + p[14:],
    }.items(),
)
def test_other_program_bytes_fail_the_audit(name: str, program: Any) -> None:
    model = _named(program(registered().program), registered().points)
    assert not audited(model).passed, name


def _section(program: bytes) -> bytes:
    return program[: int.from_bytes(program[10:14], "big")]


def _spliced(program: bytes, more: bytes) -> bytes:
    section = _section(program)
    return section + more + program[len(section) :]


def _whole(program: Program) -> bytes:
    return serialize(layout(program, K).verifier) + encode(program)


def test_other_tables_and_points_fail_the_audit() -> None:
    good = registered()
    tables = slice(64 * target().layout.weight_tiles, None)
    generator = encode_point((1, 2))
    moved = bytearray(good.points)
    moved[tables] = generator * (len(moved[tables]) // 64)
    assert not audited(_named(good.program, bytes(moved))).passed
    assert not audited(_named(good.program, good.points[:-64])).passed
    assert not audited(_named(good.program, good.points + generator)).passed
    assert not audited(_named(good.program, good.points[:-1] + b"\0")).passed
    assert not audited(replace(good, id=MODEL_ID)).passed
    assert not audited(replace(good, k=K + 1)).passed
