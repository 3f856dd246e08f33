"""Committed inputs and outputs: openings, what they are declined for, chains, batches."""

from __future__ import annotations

import stat
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oracle.adapters.torch_engine import Network
from prover import kernels as tiers
from prover.api import Session, check, reveal
from prover.compiler import compile_graph
from prover.curve import encode_point
from prover.errors import OpeningRejected, WrongLength
from prover.folder import ModelError
from prover.private import (
    OpeningDamaged,
    OpeningExists,
    OpeningExposed,
    OpeningMismatch,
    OpeningMissing,
    TensorOpening,
)
from prover.program.interpret import ValueRefused
from prover.program.ir import Role
from prover.program.layout import MOST_TILES, SPREAD_K, layout, tile_bits
from prover.proving.tiles import small_tiles
from prover.srs import SrsError, development_id, development_srs
from tests.private import (
    CONTEXT,
    RANGE,
    K,
    claim,
    expected,
    graph,
    opened,
    random_input,
    session,
    verified,
)

SRS_ID = development_id()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("srs")


@pytest.fixture(autouse=True)
def same_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EINPROOF_CACHE", str(cache))


@pytest.fixture(scope="module")
def private(cache: Path) -> Session:
    return session(cache, (6, 5, 3), 2, private_input=True, private_output=True)


@pytest.fixture(scope="module")
def first(cache: Path) -> Session:
    """Public input, committed output."""
    return session(cache, (5, 4), 2, private_output=True)


@pytest.fixture(scope="module")
def second(cache: Path) -> Session:
    """Takes what the first makes; public output."""
    return session(cache, (4, 6, 3), 2, private_input=True)


@pytest.fixture(scope="module")
def single(cache: Path) -> Session:
    """What the batches compute, for one inference."""
    return opened(cache, compile_graph(graph((9, 7, 4), 1), RANGE), 12)


def blinders(opening: TensorOpening) -> set[int]:
    return {tile.blinder for tile in opening.tiles()}


# --- round trips ---


def test_private_input_and_output_round_trip(private: Session) -> None:
    values = random_input(private)
    data, openings = private.open_input(values)
    proved = private.prove(CONTEXT, data, openings)
    made = verified(private, data, proved)
    output = proved.openings["output"]
    np.testing.assert_array_equal(output.values, expected(private, values))
    for side in (data, proved.output):  # points and nothing else
        assert len(side) == 64 * 1
    shown = reveal(private.model, made, [openings["input"], output])
    np.testing.assert_array_equal(shown["input"], values)
    np.testing.assert_array_equal(shown["output"], output.values)
    with pytest.raises(OpeningMismatch, match="expected an opening of input or output"):
        reveal(private.model, made, [private.commit(values)])
    with pytest.raises(ModelError, match="only its opening shows it"):
        private.model.decode_output(proved.output)


def test_the_statement_says_nothing_of_equal_tensors(private: Session) -> None:
    """The same input, twice: other points, another output commitment, the same answer."""
    values = random_input(private)
    (a, one), (b, two) = private.open_input(values), private.open_input(values)
    assert a != b
    answers = [private.prove(CONTEXT, data, own) for data, own in ((a, one), (b, two), (a, one))]
    assert len({answer.output for answer in answers}) == 3
    cells = {answer.openings["output"].values.tobytes() for answer in answers}
    assert len(cells) == 1


def test_a_proof_is_about_the_points_of_its_statement(private: Session) -> None:
    data, openings = private.open_input(random_input(private))
    proved = private.prove(CONTEXT, data, openings)
    other, _ = private.open_input(random_input(private))
    for changed in ({"input": other}, {"output": other}):
        with pytest.raises(OpeningRejected):
            check(private.model, replace(claim(private, data, proved), **changed), CONTEXT)


def test_points_go_where_the_layout_has_them(cache: Path) -> None:
    """A tensor of several blocks and tiles, alone: the same cells as the layout's."""
    own = session(cache, (21, 3), 7, private_input=True, k=9)
    layout, v = own.model.layout, own.model.layout.verifier
    values = random_input(own)
    assert len(layout.blocks[0]) > 1 and values.shape == (7, 21)
    tiles = small_tiles(layout, v.input_tile, v.input_tiles, {0: values}, Role.INPUT_COMMITTED)
    found = own.commit(values).tiles()
    assert len(found) == v.input_tiles
    for tile, cells in zip(found, tiles, strict=True):
        np.testing.assert_array_equal(tile.small, cells)


# --- what is declined ---


def test_wrong_openings_are_declined(private: Session) -> None:
    values = random_input(private)
    data, openings = private.open_input(values)
    changed = values.copy()
    changed[0, 0] ^= 1
    right = openings["input"]
    for wrong in (
        private.commit(values),  # another secret
        replace(right, values=changed),
        replace(right, values=values.reshape(-1)),
        replace(right, k=K - 1),
    ):
        with pytest.raises(OpeningMismatch):
            private.prove(CONTEXT, data, {"input": wrong})
    with pytest.raises(OpeningMissing, match="input is committed: expected its opening, got none"):
        private.prove(CONTEXT, data)
    with pytest.raises(OpeningMismatch, match="got ones of"):
        private.prove(CONTEXT, data, {"input": right, "output": right})
    with pytest.raises(SrsError):
        private.prove(CONTEXT, data, {"input": replace(right, srs_id=bytes(32))})
    with pytest.raises(WrongLength):
        private.prove(CONTEXT, data + data, openings)


def test_values_out_of_range_are_declined_before_any_proof(private: Session) -> None:
    values = random_input(private)
    values[0, 0] = 1 << 15
    data, openings = private.open_input(values)
    with pytest.raises(ValueRefused, match="input"):
        private.prove(CONTEXT, data, openings)


def test_a_public_model_takes_no_openings(first: Session) -> None:
    values = random_input(first)
    data, openings = first.open_input(values)
    assert openings == {} and data == first.model.encode(Role.INPUT, {"input": values})
    with pytest.raises(OpeningMismatch, match="input is public"):
        first.input_of(first.commit(values))
    with pytest.raises(OpeningMismatch):
        first.prove(CONTEXT, data, {"input": first.commit(values)})


def test_points_are_needed_for_a_committed_side(private: Session) -> None:
    with pytest.raises(ModelError, match="expected the 1 points of its opening, got 0"):
        private.model.encode(Role.INPUT, {})


# --- chains ---


def test_two_proofs_chained_through_the_same_points(first: Session, second: Session) -> None:
    values = random_input(first)
    one = first.prove(CONTEXT, *first.open_input(values))
    middle = one.openings["output"]
    data = second.input_of(middle)
    assert data == one.output  # this is the chain: the same points in both statements
    two = second.prove(CONTEXT, data, {"input": middle})
    verified(first, first.open_input(values)[0], one)
    verified(second, data, two)
    composed = expected(second, expected(first, values))
    np.testing.assert_array_equal(second.model.decode(Role.OUTPUT, two.output)["output"], composed)


def test_models_of_other_tile_sizes_do_not_chain(first: Session, cache: Path) -> None:
    other = session(cache, (4, 6, 3), 2, private_input=True, k=K + 1)
    one = first.prove(CONTEXT, *first.open_input(random_input(first)))
    with pytest.raises(OpeningMismatch, match="--tile-bits"):
        other.input_of(one.openings["output"])


# --- blinders ---


def test_no_two_openings_share_a_blinder() -> None:
    """Not of equal values, not within one opening, and not even where a secret is used twice."""
    values = np.arange(3 << 7).reshape(3, 1 << 7)
    a, b = (TensorOpening.fresh(values, SRS_ID, 6) for _ in range(2))
    same_secret = [
        replace(a, values=values + 1),
        replace(a, values=values.reshape(-1)),
        replace(a, k=7),
        replace(a, srs_id=bytes(32)),
    ]
    found = [blinders(opening) for opening in (a, b, *same_secret)]
    assert len(found[0]) == len(a.tiles()) == 6
    assert sum(map(len, found)) == len(set().union(*found))
    assert blinders(replace(a)) == found[0]  # a function: the owner can open it again


def test_commitments_hide_what_is_guessed(cache: Path) -> None:
    """Equal tensors have other points each time, none of them the one without a blinder."""
    kernels = tiers.get("scalar")
    srs = development_srs(kernels, K, cache)
    guess = np.arange(1, 7).reshape(2, 3)
    points = {TensorOpening.fresh(guess, SRS_ID, K).points(kernels, srs) for _ in range(4)}
    (tile,) = TensorOpening.fresh(guess, SRS_ID, K).tiles()
    bare = replace(tile, blinder=0).commit(kernels, srs, K)
    assert len(points | {(bare,)}) == 5


# --- the file ---


def test_file_round_trip(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-(1 << 40), 1 << 40, (3, 1, 4))
    made, path = TensorOpening.fresh(values, SRS_ID, 8), tmp_path / "input.opening"
    made.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = TensorOpening.load(path)
    assert loaded.to_json() == made.to_json()
    np.testing.assert_array_equal(loaded.values, values)
    assert (loaded.k, loaded.srs_id, loaded.secret) == (8, SRS_ID, made.secret)
    assert blinders(loaded) == blinders(made)
    assert made.secret.hex() not in repr(made)
    with pytest.raises(OpeningExists):
        made.save(path)
    path.chmod(0o640)
    with pytest.warns(OpeningExposed, match="chmod 600"):
        TensorOpening.load(path)


def test_a_damaged_file_is_refused_or_another_opening(tmp_path: Path) -> None:
    made = TensorOpening.fresh(np.arange(6).reshape(2, 3), SRS_ID, 8)
    text = made.to_json()
    refused = 0
    for at in range(len(text)):
        flipped = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
        try:
            other = TensorOpening.from_json(flipped)
        except OpeningDamaged:
            refused += 1
        else:  # a digit of what it opens: its points are others
            assert not blinders(other) & blinders(made)
    assert refused > len(text) // 4
    for broken in ("", "[]", "{}", text[:-2], text + " ", text.replace(",", ", "), "[" * 10_000):
        with pytest.raises(OpeningDamaged):
            TensorOpening.from_json(broken)
    with pytest.raises(OpeningDamaged, match="cannot be read"):
        TensorOpening.load(tmp_path / "missing")


# --- batches ---


@pytest.mark.parametrize(("batch", "hidden"), [(3, False), (3, True), (16, False), (16, True)])
def test_batches_agree_with_interpreter_and_torch(
    cache: Path, single: Session, batch: int, hidden: bool
) -> None:
    compiled = compile_graph(
        graph((9, 7, 4), batch), RANGE, private_input=hidden, private_output=hidden
    )
    own = opened(cache, compiled, 12)
    values = random_input(own, batch)
    wanted = expected(own, values)
    engine = Network(compiled.program, compiled.weights).run({"input": values})["output"]
    np.testing.assert_array_equal(engine, wanted)
    data, openings = own.open_input(values)
    proved = own.prove(CONTEXT, data, openings)
    verified(own, data, proved)
    if hidden:
        cells = proved.openings["output"].values
    else:
        cells = own.model.decode(Role.OUTPUT, proved.output)["output"]
    np.testing.assert_array_equal(cells, wanted)
    alone = [expected(single, row[None])[0] for row in values]
    np.testing.assert_array_equal(cells, np.array(alone))


def test_large_statement_tensors_are_committed_by_themselves() -> None:
    small, large = (compile_graph(graph((64, 4), batch), RANGE) for batch in (16, 17))
    roles = [[t.role for t in c.program.tensors if t.name == "input"] for c in (small, large)]
    assert roles == [[Role.INPUT], [Role.INPUT_COMMITTED]]


def test_points_are_bytes_of_the_statement(private: Session) -> None:
    data, openings = private.open_input(random_input(private))
    points = openings["input"].points(private.kernels, private.srs)
    assert data == b"".join(map(encode_point, points))
    assert private.model.decode_points(Role.INPUT, data) == {"input": points}


# --- tiles of batches ---


def test_large_groups_are_spread_over_a_few_tiles() -> None:
    """A network of one tile a group stays so; a batch's k is the smallest with few tiles."""
    small = layout(compile_graph(graph((64, 32, 10), 1), RANGE).program).verifier
    assert small.k == 12 and small.stage1_tiles == small.stage2_tiles == 1
    program = compile_graph(graph((64, 32, 10), 64), RANGE).program

    def tiles(k: int) -> int:
        return layout(program, k).verifier.tiles - 3  # without E, Z1, Z2

    chosen = layout(program).verifier
    assert chosen.k >= SPREAD_K and tiles(chosen.k) <= MOST_TILES
    assert chosen.k == SPREAD_K or tiles(chosen.k - 1) > MOST_TILES


def test_tiles_grow_where_a_proof_commits_to_many_cells() -> None:
    """Weights alone, or what MiniLM's proof commits to, ask for none above 2^20; GPT-2's shape of
    width 128 takes 2^20 with 8 layers and 2^22 with 24."""
    kept = [8_023_296, 8_232]
    assert tile_bits(kept, [3_034_578, 738_911], [], 7) == 20
    assert tile_bits([7 * cells for cells in kept], [3_034_578, 738_911], [], 7) == 20
    assert tile_bits([22_380_288, 4_795], [3_470_977, 846_879], [], 7) == 20
    assert tile_bits(kept, [5_634_126, 1_304_184], [], 7) == 21
    assert tile_bits([11_000_000, 8_232], [8_233_701, 1_869_457], [], 7) == 22
    assert tile_bits(kept, [64 << 20, 16 << 20], [], 7) == 22


def test_tiles_grow_where_there_would_be_too_many() -> None:
    assert tile_bits([60 << 20, 0], [1 << 20, 1 << 20], [], 7) == 20
    assert tile_bits([70 << 20, 0], [1 << 20, 1 << 20], [], 7) == 21
    assert tile_bits([500 << 20, 0], [1 << 20, 1 << 20], [], 7) == 22


def test_a_tile_holds_the_values_of_all_contractions() -> None:
    assert tile_bits([5, 5], [5, 5], [], 14) == 14
