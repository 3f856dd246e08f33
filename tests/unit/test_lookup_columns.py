"""The lookup columns as rows of T against their definition, on witnesses of every gadget."""

import numpy as np
import pytest

from prover import kernels as tiers
from prover.field import P, inverse
from prover.program.layout import layout
from prover.proving import columns
from prover.proving.columns import Columns, Pads, helpers
from tests.programs import Case, mlp, random_case
from tests.proving import setup
from tests.soundness.malice import Folded

REFERENCE = tiers.get("reference")
GAMMA, BETA = 0x123456789ABCDEF0123456789ABCDEF, P - 987654321
PADS = Pads([11, 22, 33, 44, 55, 66, 77, 88], 101, 102, 103, 104)
CASES = {f"random {seed}": random_case(seed) for seed in range(6)} | {"mlp": mlp([9, 7, 3], 2)}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_a_column_is_what_its_rows_fold_to(case: Case) -> None:
    plan = layout(case.program)
    values = {i: np.asarray(case.values[t.name]) for i, t in enumerate(plan.relations.tensors)}
    made, v = Columns(plan, values), plan.verifier
    pads = PADS.slices[: v.slices]
    table = made.table(REFERENCE, GAMMA, PADS.table)
    looked = made.looked_up(REFERENCE, table, pads)
    folded = [REFERENCE.to_ints(f) for f in Folded(plan, values).slices(REFERENCE, GAMMA, pads)]
    picked = [REFERENCE.to_ints(REFERENCE.pick(looked.values, row[None])) for row in looked.rows]
    assert picked == folded

    counts = made.multiplicities()
    found = helpers(REFERENCE, looked, table, counts, BETA, PADS)
    h = [sum(inverse(BETA - f[x]) for f in folded) % P for x in range(v.rows)]
    h += [PADS.helper] + [0] * ((1 << v.n_f) - v.rows - 1)
    assert REFERENCE.to_ints(found.rows) == h
    assert found.sources is not None
    assert REFERENCE.to_ints(REFERENCE.pick(*found.sources)) == h
    inverses = [inverse(BETA - t) for t in REFERENCE.to_ints(table)[: v.table_rows]]
    assert sum(h[: v.rows]) % P == sum(map(lambda c, i: int(c) * i, counts, inverses)) % P


def test_rows_between_tables_are_no_lookups() -> None:
    """They have tag 0, an index after a table's last one its table's: it finds no row."""
    case = CASES["random 2"]
    plan = layout(case.program)
    values = {i: np.asarray(case.values[t.name]) for i, t in enumerate(plan.relations.tensors)}
    v, tables = plan.verifier, list(zip(plan.relations.tables, plan.table_firsts, strict=True))
    column = Columns(plan, values).table(REFERENCE, GAMMA, PADS.table)
    rows = REFERENCE.to_ints(column)[: v.table_rows]
    owned = {first + x for spec, first in tables for x in range(spec.rows)}
    between = set(range(v.table_rows)) - owned
    assert between & {first + spec.rows for spec, first in tables}
    assert all(rows[t] == GAMMA * t % P for t in between)
    for tag, (spec, _) in enumerate(tables, 1):
        assert (tag + GAMMA * (spec.lo + spec.rows)) % P not in rows


def test_pieces_of_the_first_round_send_the_same(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = setup(case)
    proofs = set()
    for bits in (0, 2, 14):
        monkeypatch.setattr(columns, "PIECE_BITS", bits)
        proofs.add(made.prove())
    assert len(proofs) == 1
    made.verify(proofs.pop())
