"""The table of docs/protocol/ops.md: every operator that the compiler knows, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from prover.compiler.composite import LATE, RULES
from prover.compiler.lower import LOWERINGS, OPS
from prover.compiler.several import SEVERAL

DOC = Path(__file__).parents[2] / "docs/protocol/ops.md"
TITLE = "| operator | gadgets | exactness | cost a cell | refused |"
#: The compiler's own, or what torch.export puts between operators: the table says it in words.
OURS = {"getitem", "einproof"}


def rows() -> list[list[str]]:
    """The cells of the table, a list a row."""
    after = DOC.read_text().split(TITLE)[1].splitlines()[2:]
    lines = after[: next(i for i, line in enumerate(after) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_row_says_exactness_cost_and_refusals() -> None:
    for row in rows():
        assert len(row) == TITLE.count("|") - 1, row
        assert all(row[:4]), row


def test_the_table_names_every_operator_and_no_other() -> None:
    targets = (*OPS, *LOWERINGS, *RULES, *LATE, *SEVERAL)
    known = {target.removeprefix("aten.").split(".")[0].strip("_") for target in targets}
    named = {word.strip("_") for row in rows() for word in re.findall(r"`(\w+)`", row[0])}
    assert known - OURS <= named
    assert named <= known
