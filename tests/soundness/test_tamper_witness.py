"""Every tensor and hint, wrong in every cell: refused, because the relations pin each of them.

What is claimed is a false statement or a false hint, proved as well as an honest prover's code can;
`violated` tells, from the definitions, which relations a claim breaks, and each test says which it
means to break. Nothing is accepted unless it breaks none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from prover import prove
from prover.field import P, inverse
from prover.program.evaluate import ValueRefused
from prover.program.ir import Floor, Role, Table
from prover.prove import Attempt
from prover.proving import tiles
from prover.proving.tiles import Tile
from tests.programs import one
from tests.proving import setup
from tests.soundness.malice import Claim, propagated
from tests.soundness.small import K, every_kind, refusal, target

RELATIONS = target().layout.relations
TENSORS = {t.name: t for t in RELATIONS.tensors}
MADE = [t.name for t in RELATIONS.tensors if t.role == Role.ACTIVATION]
(FLOOR,) = (op for op in target().layout.program.ops if isinstance(op, Floor))
TABLES = {t.name: np.array(t.values) for t in target().layout.program.tensors if t.values}
# u is looked up whole and in parts: no other than the true one has a run to follow from it.
OUTPUTS = [n for t in target().layout.program.tensors if (n := t.name) in MADE and n != "u"]
OUTPUTS += ["c", "y"]
HALF = inverse(2)


def claim(name: str, at: tuple[int, ...], delta: int) -> Claim:
    return Claim.honest(target()).change(name, at, delta)


def cells(name: str) -> Iterator[tuple[int, ...]]:
    yield from np.ndindex(*TENSORS[name].shape)


def test_the_honest_claim_is_accepted() -> None:
    """Made by the same code as every false one."""
    honest = Claim.honest(target())
    assert honest.broken() == set()
    assert honest.refused() is None


@pytest.mark.parametrize("name", MADE)
def test_every_cell_of_every_activation_and_hint(name: str) -> None:
    for at in cells(name):
        for delta in (1, (HALF, -1, 16)[sum(at) % 3]):
            false = claim(name, at, delta)
            assert false.broken(), (at, delta)
            assert false.refused() == "OpeningRejected", (at, delta)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_wrong_output_with_all_that_follows_from_it(name: str) -> None:
    """Only the gadget that made it is wrong, its hints being those of the true output."""
    case, true = every_kind(), target().witness.values
    tried = 0
    for at in cells(name):
        for delta in (1, -1):
            try:
                values = propagated(case, name, at, delta)
            except ValueRefused:
                continue
            false = Claim(target(), values)
            assert false.broken()
            assert false.refused() == "OpeningRejected"
            tried += 1
            assert values[name][at] == true[name][at] + delta
    assert tried


@pytest.mark.parametrize("name", ["w", "rows", "s", "x", "id"])
def test_given_tensors_other_than_committed_or_stated(name: str) -> None:
    """Weights that are not the registered ones, inputs that are not the statement's: all that the
    prover computes fits them, nothing of what is committed or stated does."""
    from prover.program.interpret import interpret

    case, tried = every_kind(), 0
    for at in cells(name):
        given = {n: v.copy() for n, v in case.given.items()}
        given[name][at] += 1 if given[name][at] < TENSORS[name].hi else -1
        try:
            values = interpret(case.program, given)
        except ValueRefused:
            continue
        false = Claim(target(), values)
        if name in ("w", "rows"):
            assert false.broken() == set()  # right but for the commitment
        else:
            _, false.statement = Claim.honest(target()).fitted()
            if values["y"].tolist() != target().witness.values["y"].tolist():
                assert false.broken() == set()
        assert false.refused() == "OpeningRejected"
        tried += 1
    assert tried


def test_a_table_other_than_the_registered_one() -> None:
    """A public table's cells are the program's; what the prover holds instead does not matter."""
    false = Claim.honest(target())
    table = next(op for op in target().layout.program.ops if isinstance(op, Table))
    row = int(false.values["x"][0]) - table.lo
    false.change("f", (row,), 1)
    false.change("t", (0,), 1)
    assert ("lookup", _lookup_of("t")) not in false.broken()
    assert false.refused() == "OpeningRejected"


def _lookup_of(name: str) -> int:
    number = Claim.honest(target()).number(name)
    return next(
        i
        for i, lookup in enumerate(RELATIONS.lookups)
        if lookup.values is not None and lookup.values.tensor == number
    )


# -- quotients and remainders ----------------------------------------------------------------------


def rounded(claim: Claim, name: str) -> tuple[int, list[tuple[str, int]]]:
    """The shift of a rounding gadget and the limbs of its remainder, by scale."""
    (op,) = [
        o
        for o in target().layout.program.ops
        if getattr(o, "shift", None) and target().layout.program.tensors[o.out].name == name
    ]
    bits = -(-op.shift // 4) * 4
    upper = [n for n in TENSORS if re.fullmatch(rf"{name}\.r\.u\d+", n)]
    return op.shift, [(n, 1 << 4 * int(n.rpartition("u")[2]) - (bits - op.shift)) for n in upper]


@pytest.mark.parametrize("name", ["q", "h", "c", "y"])
@pytest.mark.parametrize("steps", [1, -1, 3])
def test_shifted_quotient(name: str, steps: int) -> None:
    """out + n with remainder - n 2^s: the einsum holds, and the remainder leaves its range."""
    values = propagated(every_kind(), name, (0,), steps)
    values[f"{name}.r"] = values[f"{name}.r"].copy()
    false = Claim(target(), values)
    shift, limbs = rounded(false, name)
    sign = -1 if name == "h" and values["h"][0] < 0 else 1
    false.change(f"{name}.r", (0,), -sign * steps << shift)
    for limb, _ in limbs:
        false.change(limb, (0,), -sign * steps)
    kinds = {kind for kind, _ in false.broken()}
    assert kinds == {"lookup"}
    assert false.refused() == "OpeningRejected"


@pytest.mark.parametrize("name", ["q", "h", "c"])
def test_fractional_quotient(name: str) -> None:
    """out + n/2^s with remainder - n, where that leaves the remainder in range: in the field
    the einsum holds, so the range of the output is what refuses."""
    true = target().witness.values
    shift, _ = rounded(Claim.honest(target()), name)
    for rest in range(0, 1 << shift, max(1, (1 << shift) // 16)):
        numerator = int(true[f"{name}.r"][0]) - rest
        if numerator:
            false = claim(f"{name}.r", (0,), -numerator).refit()
            false.change(name, (0,), numerator * inverse(1 << shift) % P)
            assert [j for kind, j in false.broken() if kind == "lookup"]
            assert false.refused() == "OpeningRejected"


@pytest.mark.parametrize("name", ["q", "c", "d", "v"])
def test_high_limb_as_a_fraction(name: str) -> None:
    """A value's high limb moved by 1/16 lets the low limb be anything: only the lookup of the high
    limb itself refuses, and it alone is broken."""
    number = Claim.honest(target()).number(f"{name}.u1")
    (high,) = [
        i
        for i, lookup in enumerate(RELATIONS.lookups)
        if [v.tensor for _, v in lookup.index.terms] == [number]
    ]
    low = int(target().witness.values[name][0]) & 15
    false = claim(f"{name}.u1", (0,), (1 if low else -1) * inverse(16) % P)
    assert false.broken() == {("lookup", high)}
    assert false.refused() == "OpeningRejected"


def test_remainder_of_a_remainder() -> None:
    """A remainder is looked up times 2^e in whole limbs: one that is no integer, but becomes one
    when scaled, is in every range. The einsum alone refuses it, as the output is an integer."""
    shift, limbs = rounded(Claim.honest(target()), "q")
    extra = -shift % 4
    assert extra and not limbs
    rest = int(target().witness.values["q.r"][0])
    false = claim("q.r", (0,), (1 if rest == 0 else -1) * inverse(1 << extra) % P)
    assert {kind for kind, _ in false.broken()} == {"einsum"}
    assert false.refused() == "OpeningRejected"


def test_out_of_range_output_with_fitting_limbs() -> None:
    """An output 2^bits too large whose high limb grew with it."""
    false = Claim(target(), propagated(every_kind(), "q", (0,), 0))
    shift, _ = rounded(false, "q")
    for name, delta in (("l", 256 << shift), ("q", 256), ("q.u1", 16)):
        false.change(name, (0,), delta)
    assert {kind for kind, _ in false.broken()} >= {"einsum", "lookup"}
    assert false.refused() == "OpeningRejected"


# -- signs, choices, quotients ---------------------------------------------------------------------


@pytest.mark.parametrize("at", [(0,), (1,)])
def test_relu_of_the_wrong_sign_or_of_both(at: tuple[int, ...]) -> None:
    """up - down is what it must be, but both are positive: only up * down = 0 refuses."""
    false = Claim(target(), propagated(every_kind(), "h", at, 3))
    for part in ("h", "h.n"):
        if part == "h.n":
            false.change(part, at, 3)
        value = int(false.values[part][at])
        false.values[f"{part}.u1"] = false.values[f"{part}.u1"].copy()
        false.values[f"{part}.u1"][at] = value >> 4
    assert {kind for kind, _ in false.broken()} == {"einsum"} and len(false.broken()) == 1
    assert false.refused() == "OpeningRejected"


def test_relu_flipped() -> None:
    """-up for up, as if the input had the other sign."""
    false = Claim.honest(target())
    up, down = int(false.values["h"][0]), int(false.values["h.n"][0])
    assert up > 0 == down
    for name, value in (("h", down), ("h.n", up), ("h.u1", down >> 4), ("h.n.u1", up >> 4)):
        false.values[name] = false.values[name].copy()
        false.values[name][0] = value
    assert false.refused() == "OpeningRejected"


@pytest.mark.parametrize("name", ["m", "a"])
def test_another_choice(name: str) -> None:
    """The one-hot hint on a cell that is not the greatest, all else fitting it."""
    false = Claim.honest(target())
    rows, x = false.values[f"{name}.s"][0], false.values["s"][0]
    wrong = int(np.argmin(x))
    chosen = np.zeros_like(rows)
    chosen[wrong] = 1
    for hint, value in (
        (f"{name}.s", chosen),
        ("m", x[wrong]) if name == "m" else ("a.m", x[wrong]),
        ("a.c", np.cumsum(chosen)),
        ("a", wrong),
    ):
        if name == "a" or hint in ("m.s", "m"):
            false.values[hint] = false.values[hint].copy()
            false.values[hint][0] = value
    assert ("lookup") in {kind for kind, _ in false.broken()}
    assert false.refused() == "OpeningRejected"


@pytest.mark.parametrize("name", ["m.s", "a.s"])
def test_half_a_choice(name: str) -> None:
    """1/2 and 1/2 sum to one; -1 and 2 too: neither is its own square."""
    for first in (HALF, 2):
        true = target().witness.values[name][0]
        false = claim(name, (0, 0), (first - int(true[0])) % P)
        false.change(name, (0, 1), (1 - first - int(true[1])) % P)
        assert "einsum" in {kind for kind, _ in false.broken()}
        assert false.refused() == "OpeningRejected"


def test_equal_maxima_leave_the_choice_free_but_not_argmax() -> None:
    """Max's hint is not unique and its output is; argmax is the first."""
    case = every_kind()
    case.given["s"] = np.array([[7, 7], [30, -10]])
    made = setup(case, K)
    other = Claim.honest(made)
    other.values["m.s"] = np.array([[0, 1], [1, 0]])
    assert other.broken() == set()
    assert other.refused() is None
    second = Claim(made, propagated(case, "a", (0,), 1))
    for name, row in (("a.s", [0, 1]), ("a.c", [0, 1])):
        second.values[name] = second.values[name].copy()
        second.values[name][0] = row
    assert {kind for kind, _ in second.broken()} == {"lookup"}
    assert second.refused() == "OpeningRejected"


@pytest.mark.parametrize("steps", [1, -1])
def test_shifted_division(steps: int) -> None:
    """quotient + n, remainder - n denominator, limbs to fit: below 0, or too large."""
    false = Claim(target(), propagated(every_kind(), "d", (0,), steps))
    denominator = int(false.values["h"][0]) + 1
    rest = int(false.values["d.r"][0]) - steps * denominator
    left = denominator - 1 - rest
    values = {"d.r": rest, "d.u1": int(false.values["d"][0]) + 128 >> 4}
    for name, value in (("d.r", rest), ("d.e", left)):
        values |= {f"{name}.u1": value >> 4 & 15, f"{name}.u2": value >> 8 & 15}
    for name, value in values.items():
        false.values[name] = false.values[name].copy()
        false.values[name][0] = value
    assert {kind for kind, _ in false.broken()} == {"lookup"}
    assert false.refused() == "OpeningRejected"


@pytest.mark.parametrize("steps", [1, -1])
def test_another_floor(steps: int) -> None:
    """u + n, what is left - 4 n: in the table of what is left there is no such row."""
    false = Claim(target(), {**target().witness.values}).change("u", (0,), steps)
    row = int(false.values["u"][0] + false.values["id"][0]) + 4
    false.put("digit", (0,), TABLES["high"][row])
    broken = [lookup for kind, lookup in false.broken() if kind == "lookup"]
    assert [RELATIONS.lookups[i].index for i in broken] == [FLOOR.rest]
    assert false.refused() == "OpeningRejected"


def test_floor_as_a_fraction() -> None:
    """u + n/4 and another row of what is left: only the table of u says that it is an integer."""
    true = target().witness.values
    left = int(true["x"][0]) - 4 * int(true["u"][0])
    for row in set(range(4)) - {left}:
        false = claim("u", (0,), (left - row) * inverse(4) % P)
        false.put("rest", (0,), TABLES["low"][row])
        (broken,) = [lookup for kind, lookup in false.broken() if kind == "lookup"]
        read = [RELATIONS.tensors[v.tensor].name for _, v in RELATIONS.lookups[broken].index.terms]
        assert read == ["u", "id"]
        assert false.refused() == "OpeningRejected"


def test_an_index_whose_table_ranges_it() -> None:
    """No range of its own: a quotient moved by n with its remainder leaves that one's range, one
    moved by a fraction leaves the table."""
    number = target().layout.program.named("index")
    ranged = [i for i, j in enumerate(RELATIONS.lookups) if j.index == one(number, 0)]
    assert len(ranged) == 1 and RELATIONS.lookups[ranged[0]].values is not None
    rest = int(target().witness.values["index.r"][0])
    for moved in range(16):
        if moved == rest:
            continue
        false = claim("index.r", (0,), moved - rest)
        false.change("index", (0,), (rest - moved) * inverse(16) % P)
        assert ("lookup", ranged[0]) in false.broken()
        assert not [kind for kind, _ in false.broken() if kind == "einsum"]
        assert false.refused() == "OpeningRejected"


@pytest.mark.parametrize("steps", [1, -1])
def test_another_square_root(steps: int) -> None:
    """y + 1 overshoots, y - 1 is not the greatest: one check each."""
    false = Claim(target(), propagated(every_kind(), "v", (0,), steps))
    x, y = int(false.values["h"][0]) + 1, int(false.values["v"][0])
    t, a = x * y, (1 << 12) - x * y * y
    values = {"v.t": t, "v.a": a, "v.u1": y >> 4}
    for name, value in (("v.a", a), ("v.e", 2 * t + x - 1 - a)):
        values |= {f"{name}.u1": value >> 4 & 15, f"{name}.u2": value >> 8 & 15}
    for name, value in values.items():
        false.values[name] = false.values[name].copy()
        false.values[name][0] = value
    assert {kind for kind, _ in false.broken()} == {"lookup"}
    assert false.refused() == "OpeningRejected"


# -- multiplicities and committed tensors ----------------------------------------------------------


def test_every_multiplicity_counts() -> None:
    """One look-up more or less in each row of T; and two rows that make up for each other."""
    rows = target().layout.verifier.table_rows

    class Miscounted(Attempt):
        wrong: dict[int, int] = {}  # noqa: RUF012

        def commit_witness(self):  # type: ignore[no-untyped-def]
            from prover.proving.columns import Columns

            def counted(columns: Columns) -> np.ndarray:
                counts = honest(columns)
                for row, delta in self.wrong.items():
                    counts[row] += delta
                return counts

            from tests.soundness.malice import _Columns

            honest = _Columns.multiplicities
            with patch.object(_Columns, "multiplicities", counted):
                return super().commit_witness()

    assert Claim.honest(target()).refused(Miscounted) is None
    for row in range(rows):
        wrong = {row: 1} if row % 2 else {row: 1, (row + 1) % rows: -1}
        assert Claim.honest(target()).refused(Miscounted, wrong=wrong) == "OpeningRejected"


def test_committed_tensors_are_what_their_points_say() -> None:
    """Cells of a committed tensor that differ from those in the statement's points."""
    for name in ("s", "c"):
        false = Claim.honest(target())
        _, statement = false.fitted()
        false.change(name, (0,) * len(TENSORS[name].shape), 1)
        false.statement = statement
        assert false.refused() == "OpeningRejected"


def test_out_of_range_committed_input() -> None:
    """Committed by somebody else, out of its range: the points are good, the lookups are not."""
    false = Claim.honest(target()).change("s", (0, 0), 256)
    false.change("s.range.u1", (0, 0), 16)
    assert ("lookup", 0) in false.broken() or len(false.broken()) > 0
    assert false.refused() == "OpeningRejected"


def test_cells_that_nobody_owns_do_not_matter() -> None:
    """Random elements in every cell of stages 1 and 2 that no tensor, column or mask has: accepted,
    since nothing refers to them."""
    made = target()
    taken = {
        (b.tile, b.offset + x)
        for blocks in made.layout.blocks.values()
        for b in blocks
        for x in range(b.box.cells)
    }
    v, k = made.layout.verifier, made.layout.k

    class Littering(Attempt):
        littered = 0

        def _commit(self, label: str, tiles: list[Tile]):  # type: ignore[no-untyped-def]
            first = v.stage1_tile if label == "stage 1" else v.stage2_tile
            for i, tile in enumerate(tiles):
                for x in range(1 << k):
                    if (first + i, x) not in taken:
                        tile.runs.append((x, self.kernels.from_ints([x * x + P // 3])))
                        Littering.littered += 1
            return super()._commit(label, tiles)

    assert Claim.honest(made).refused(Littering) is None
    assert Littering.littered > 20


def test_the_rest_of_a_committed_tile_is_not_pinned() -> None:
    """A committed output's tile with a number beyond its shape: other points, and a good proof. So
    two proofs with the same points are about one tensor only if both give it the same shape."""
    honest = tiles.small_tiles

    def littered(plan: Any, first: int, count: int, values: Any, *roles: Role) -> Any:
        found = honest(plan, first, count, values, *roles)
        if roles == (Role.OUTPUT_COMMITTED,):
            found[-1][-1] = 12345
        return found

    with patch.object(tiles, "small_tiles", littered):
        statement, proof = Claim.honest(target()).prove()
    assert statement.output != target().statement.output
    assert refusal(target().key, statement, proof) is None


def test_the_rest_of_tile_e_does_not_matter() -> None:
    """Random elements in E beyond E_x and E_y."""
    v = target().layout.verifier

    class Littering(Attempt):
        def run_sides(self) -> Any:
            rest = range((1 << v.k) - (2 << v.mu))
            litter = self.kernels.from_ints([x * x + P // 3 for x in rest])

            def littered(small: Any, blinder: int, runs: Any) -> Tile:
                return Tile(small, blinder, [*runs, (2 << v.mu, litter)])

            with patch.object(prove, "Tile", littered):
                found = super().run_sides()
            assert self.kernels.to_ints(self.tiles[-1].vector(self.kernels, v.k))[-1] != 0
            return found

    assert Claim.honest(target()).refused(Littering) is None
