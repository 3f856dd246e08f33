"""The tamper manifest is complete, and every attack that it names is there."""

from __future__ import annotations

import ast
import re
import typing
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from prover.opening import ROUNDS
from prover.program import ir
from prover.program.ir import Range, Role
from prover.proof import LookupEvaluations, Proof
from prover.prove import Masks
from prover.statement import Statement
from tests.soundness import manifest
from tests.soundness.small import target

HERE = Path(__file__).parent


def attacks() -> Iterator[str]:
    listed = [
        manifest.PROOF,
        manifest.STATEMENT,
        manifest.ROLES,
        manifest.COLUMNS,
        manifest.MASKS,
        *manifest.HINTS.values(),
    ]
    for table in listed:
        for names in table.values():
            assert names, "an entry without an attack"
            yield from names
    yield from manifest.UNOWNED


def test_every_attack_exists() -> None:
    for attack in set(attacks()):
        file, function = attack.split("::")
        source = ast.parse((HERE / f"test_{file}.py").read_text())
        names = {n.name for n in ast.walk(source) if isinstance(n, ast.FunctionDef)}
        assert not function or f"test_{function}" in names, attack


def test_every_field_of_a_proof_has_attacks() -> None:
    inner = {"lookups", "opening"}
    expected = {f.name for f in fields(Proof)} - inner
    expected |= {f"lookups.{name}" for name in LookupEvaluations._fields}
    expected |= {f"opening.{name}" for names, _ in ROUNDS for name in names} | {"opening.opening"}
    assert set(manifest.PROOF) == expected


def test_every_field_of_a_statement_has_attacks() -> None:
    assert set(manifest.STATEMENT) == {f.name for f in fields(Statement)}


def test_every_role_gadget_and_hint_has_attacks() -> None:
    program, relations = target().layout.program, target().layout.relations
    assert set(manifest.ROLES) == {role.name for role in Role}
    assert {t.role for t in program.tensors} == set(Role)
    assert set(manifest.HINTS) == {kind.__name__ for kind in typing.get_args(ir.Op)}
    makers = {
        program.tensors[op.tensor if isinstance(op, Range) else op.out].name: type(op).__name__
        for op in program.ops
    }
    assert set(makers.values()) == set(manifest.HINTS), "the small program lacks a gadget"
    found: dict[str, set[str]] = {kind: set() for kind in manifest.HINTS}
    for hint in relations.tensors[len(program.tensors) :]:
        name, _, rest = hint.name.partition(".")
        found[makers[name]].add("." + re.sub(r"\d+", "#", rest))
    assert found == {kind: set(hints) for kind, hints in manifest.HINTS.items()}


def test_every_column_and_mask_has_attacks() -> None:
    columns = {str(name) for name in target().layout.blocks if isinstance(name, str)}
    assert set(manifest.COLUMNS) == columns
    assert set(manifest.MASKS) == {f.name for f in fields(Masks)}
