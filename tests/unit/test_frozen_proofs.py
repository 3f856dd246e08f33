"""Proofs that were made once and are made again: the wire format, and the sizes, do not drift."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from prover.program.format import Kind
from prover.program.ir import Op, Role
from prover.program.layout import layout
from prover.verify import verify
from tests.frozen import NAMES, REMAKE, SIZES, Frozen, sizes


@pytest.fixture(scope="module", params=NAMES)
def frozen(request: pytest.FixtureRequest) -> Frozen:
    return Frozen.read(request.param)


def test_python_verifier_accepts_the_frozen_bytes(frozen: Frozen) -> None:
    verify(frozen.key, frozen.statement, frozen.bytes("proof"))


def test_proving_again_gives_the_frozen_bytes(frozen: Frozen) -> None:
    again = frozen.remade().fields
    assert set(again) == set(frozen.fields)
    changed = [name for name, value in frozen.fields.items() if again[name] != value]
    assert not changed, (
        f"{frozen.fields['name']}: {', '.join(changed)} changed, so the format did. If that is"
        f" meant, say so in docs/protocol and run {REMAKE}"
    )


def test_reference_tier_gives_the_frozen_bytes() -> None:
    frozen = Frozen.read("mlp")
    assert frozen.remade("reference").fields == frozen.fields


def test_vectors_cover_the_format() -> None:
    programs = [Frozen.read(name).case.program for name in NAMES]
    assert {p.limb for p in programs} == {4, 8}
    assert any(p.stacks for p in programs)
    every = Frozen.read("every_gadget").case.program
    assert {t.role for t in every.tensors} == set(Role)
    assert {type(op) for op in every.ops} == set(get_args(Op))
    kinds = {kernel.kind for p in programs for kernel in layout(p).verifier.kernels}
    assert kinds == set(Kind)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_of_the_snapshot(name: str) -> None:
    known, found = json.loads(SIZES.read_text())[name], sizes(Frozen.read(name))
    changed = {key: (known.get(key), found.get(key)) for key in known | found}
    changed = {key: pair for key, pair in changed.items() if pair[0] != pair[1]}
    assert not changed, (
        f"{name}: expected {SIZES.name} to hold, got (before, now) {changed}. If that is meant, run"
        f" {REMAKE}"
    )


def test_digits_proof_is_at_most_six_kilobytes() -> None:
    assert len(Frozen.read("digits").bytes("proof")) <= 6000
