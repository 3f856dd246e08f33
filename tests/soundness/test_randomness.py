"""The prover's randomness: never the same masks under two statements, two witnesses, two attempts.

Two proofs with the same masks are linear equations in the witness: docs/protocol/zero-knowledge.md
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from prover import prove as module
from prover.errors import DegenerateChallenge, PointAtInfinity, ZeroInverse
from prover.field import P
from prover.prove import Masks, ProverFailed, Witness, prove
from prover.proving.randomness import Randomness, witness_digest
from prover.proving.tiles import Tile
from prover.statement import Statement
from tests.programs import mlp
from tests.proving import ENTROPY, Setup, setup
from tests.soundness.zk import cells_of

ROOT = Path(__file__).parents[2]


class Drawn:
    """Takes the place of an attempt: keeps the masks, and fails as it is told."""

    def __init__(self) -> None:
        self.masks: list[Masks] = []
        self.failures: list[Exception] = []

    def __call__(self, *given: object) -> Drawn:
        (masks,) = (g for g in given if isinstance(g, Masks))
        self.masks.append(masks)
        return self

    def run(self) -> bytes:
        if self.failures:
            raise self.failures.pop(0)
        return b"proof"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    drawn = Drawn()
    monkeypatch.setattr(module, "Attempt", drawn)
    return drawn


@pytest.fixture(scope="module")
def known() -> Setup:
    return setup(mlp([2, 2, 1], limb=4), 6, "reference")


def ask(
    known: Setup,
    statement: Statement | None = None,
    witness: Witness | None = None,
    entropy: bytes | None = ENTROPY,
) -> bytes:
    statement, witness = statement or known.statement, witness or known.witness
    return prove(known.kernels, known.srs, known.layout, statement, witness, entropy)


def assert_apart(known: Setup, drawn: Drawn, count: int) -> None:
    """No two of these draws share a cell, in any place."""
    assert len(drawn.masks) == count
    found = [set(cells_of(masks, known.layout).values()) for masks in drawn.masks]
    for one, other in combinations(found, 2):
        assert not one & other


def test_prove_two_statements_at_one_entropy_share_no_mask(known: Setup, drawn: Drawn) -> None:
    statement = known.statement
    others = [
        replace(statement, context=bytes(32)),
        replace(statement, model_id=bytes(32)),
        replace(statement, srs_id=bytes(32)),
        replace(statement, input=statement.input[:-1] + b"\x00"),
        replace(statement, output=statement.output[:-1] + b"\x7f"),
    ]
    for each in (statement, *others):
        ask(known, each)
    assert_apart(known, drawn, 6)


def test_prove_two_witnesses_at_one_entropy_share_no_mask(known: Setup, drawn: Drawn) -> None:
    witness = known.witness
    values = dict(witness.values)
    values["y0"] = values["y0"] + 1
    fixed = [replace(tile, blinder=tile.blinder + 1) for tile in witness.fixed]
    committed = [Tile(np.zeros(64, dtype=np.int64), 5)]
    for each in (
        witness,
        replace(witness, values=values),
        replace(witness, fixed=fixed),
        replace(witness, committed=committed),
    ):
        ask(known, witness=each)
    assert_apart(known, drawn, 4)


def test_prove_without_entropy_draws_anew(known: Setup, drawn: Drawn) -> None:
    for entropy in (None, None, b""):
        ask(known, entropy=entropy)
    assert_apart(known, drawn, 3)


def test_prove_retry_draws_anew(known: Setup, drawn: Drawn) -> None:
    drawn.failures = [ZeroInverse("beta met a row"), DegenerateChallenge()]
    assert ask(known) == b"proof"
    assert_apart(known, drawn, 3)


def test_prove_out_of_attempts_fails(known: Setup, drawn: Drawn) -> None:
    drawn.failures = [PointAtInfinity() for _ in range(module.ATTEMPTS)]
    with pytest.raises(ProverFailed, match=f"within {module.ATTEMPTS} attempts"):
        ask(known)
    assert_apart(known, drawn, module.ATTEMPTS)


def test_draw_every_cell_is_its_own(known: Setup) -> None:
    masks = Masks.draw(known.layout, Randomness(b"entropy", b"statement", b"witness", 0))
    cells = cells_of(masks, known.layout)
    assert len(set(cells.values())) == len(cells)
    assert all(0 < cell < P for cell in cells.values())
    assert sum(cell.bit_length() > 240 for cell in cells.values()) > 0.99 * len(cells)


def test_elements_are_the_documented_xof() -> None:
    parts = (b"einproof/randomness/v1", b"entropy", b"statement", b"witness", b"\x02")
    stream = b"".join(len(part).to_bytes(8, "big") + part for part in parts) + b"label"
    data = hashlib.shake_256(stream).digest(96)
    found = Randomness(b"entropy", b"statement", b"witness", 2).elements("label", 2)
    assert found == [int.from_bytes(data[i : i + 48], "big") % P for i in (0, 48)]


def test_elements_no_two_inputs_join_to_the_same() -> None:
    text = b"abcdef"
    splits = [(text[:i], text[i:j], text[j:]) for i in range(7) for j in range(i, 7)]
    found = {Randomness(*split, attempt).element("x") for split in splits for attempt in (0, 1)}
    found |= {Randomness(*split, 0).element("x 0") for split in splits}
    assert len(found) == 3 * len(splits)


def test_witness_digest_no_two_witnesses_join_to_the_same() -> None:
    def cells(*values: int) -> np.ndarray:
        return np.array(values, dtype=np.int64)

    framed = (8).to_bytes(8, "big") + b"abcdefgh" + (8).to_bytes(8, "big") + bytes(7) + b"\x01"
    witnesses: list[tuple[dict[str, np.ndarray], list[int]]] = [
        ({}, []),
        ({"a": cells(1, 2)}, []),
        ({"a": cells(1), "b": cells(2)}, []),
        ({"a": cells(1), "ab": cells(2)}, []),
        ({"a": cells(), "b": cells(1, 2)}, []),
        ({"a": cells(1, 2)}, [0]),
        ({"a": cells(1, 2)}, [0, 0]),
        ({"abcdefgh": cells(1 << 56)}, []),
        ({}, [int.from_bytes(framed, "big")]),  # a blinder whose bytes read as that tensor
    ]
    assert len({witness_digest(*witness) for witness in witnesses}) == len(witnesses)


def test_witness_digest_ignores_order_of_names_and_width_of_integers() -> None:
    one = {"a": np.array([1, -2], dtype=np.int16), "b": np.array([3], dtype=np.int32)}
    two = {name: one[name].astype(np.int64) for name in reversed(one)}
    assert witness_digest(one, [4]) == witness_digest(two, [4])


# -- nobody outside the tests chooses a proof's randomness


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def test_no_command_or_service_takes_a_seed() -> None:
    """`prove` has entropy for tests: nobody passes it on, and no other function asks for it."""
    parameters, passed = set(), []
    for path, tree in sources("prover", "oracle", "scripts"):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = node.args
                names = {a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
                parameters |= {(path, node.name, n) for n in names & {"entropy", "seed"}}
            elif isinstance(node, ast.Call):
                name = ast.unparse(node.func).rsplit(".", 1)[-1]
                named = {keyword.arg for keyword in node.keywords}
                if name == "prove" and (len(node.args) > 5 or named & {"entropy", None}):
                    passed.append((path, ast.unparse(node)))
    assert passed == []
    assert parameters == {
        ("prover/prove.py", "prove", "entropy"),
        ("prover/proving/randomness.py", "__init__", "entropy"),
        ("oracle/examples/digits.py", "train", "seed"),  # of the example network's training
        ("oracle/cli/generate.py", "generate", "seed"),  # public: which token is drawn
        ("scripts/fuzz_long.py", "main", "seed"),  # forge's
        ("scripts/fuzz_long.py", "fuzz", "seed"),
    }


# Training of example networks, and the compiler's example inputs: neither is part of any proof.
HARMLESS = ("oracle/examples/", "oracle/benchmarks/", "prover/compiler/")


def test_only_secrets_makes_randomness() -> None:
    """No generator that can be predicted is imported where proofs are made or served."""
    for path, tree in sources("prover", "oracle"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Attribute) and not path.startswith(HARMLESS):
                modules = ["random"] if ast.unparse(node) in ("np.random", "torch.rand") else []
            else:
                continue
            assert not any(m.split(".")[0] == "random" for m in modules), (path, modules)
