"""Short messages to two scores, harmless and harmful: all-MiniLM-L6-v2 under a linear head.

    python -m oracle.zoo.moderation OUT.safetensors     trains the head again, in seconds

The messages (moderation.csv) were written for this demonstration, 120 of each kind; every third of
a kind is held out. MiniLM stays as it is: the head alone is trained, by logistic regression on its
vectors. It is beside this file, as float16.

A post is the ids of its pieces, without [CLS], [SEP] and padding, which ModerationGate.sol adds.
Many lists of pieces read alike ("loser" and "lo", "##ser"), and a classifier knows only those that
its tokenizer makes: `read` refuses the others, and so should whoever shows posts.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from oracle.zoo import minilm
from prover.errors import EinproofError

NAME = "moderation-minilm"
KINDS = ("harmless", "harmful")  # in the order of the scores
HELD_OUT = 3  # one message in so many
DECAY = 3e-4  # the greatest of those that five folds of the training part like best
MOST_PIECES = minilm.TOKENS - 2
FIRST_PIECE = 999  # ids below are marks, or unused


class NotAPost(EinproofError):
    """Text that cannot be posted, or pieces that are not those of a text."""


class Messages(NamedTuple):
    """Texts and their kinds, as places in KINDS."""

    texts: list[str]
    kinds: npt.NDArray[np.int64]


class Moderation(nn.Module):
    """Token ids (batch, tokens), 0 where there is none, to scores (batch, 2)."""

    def __init__(self, body: minilm.MiniLM, width: int = minilm.WIDTH) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, len(KINDS))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.body(ids))
        return scores


def messages() -> tuple[Messages, Messages]:
    """What to train on, and what is held out."""
    with Path(__file__).with_name("moderation.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))
    parts: tuple[list[tuple[str, int]], ...] = ([], [])
    for kind, name in enumerate(KINDS):
        for i, text in enumerate(text for label, text in rows if label == name):
            parts[i % HELD_OUT == HELD_OUT - 1].append((text, kind))
    training, held = (Messages([t for t, _ in p], np.array([k for _, k in p])) for p in parts)
    return training, held


def moderation() -> Moderation:
    """The classifier with its weights; raises WeightsMissing."""
    from safetensors.torch import load_model

    module = Moderation(minilm.minilm())
    load_model(module.head, Path(__file__).with_name(f"{NAME}.safetensors"))
    return module.eval()


def train() -> nn.Linear:
    """The least mean cross entropy, and DECAY times the squared weights, on what is not held out:
    convex, so that there is one. In float64, from zeros."""
    training, _ = messages()
    body, head = minilm.minilm(), nn.Linear(minilm.WIDTH, len(KINDS)).double()
    with torch.no_grad():
        vectors = body(torch.tensor(minilm.tokens(training.texts)[:, 0])).double()
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    kinds = torch.tensor(training.kinds)
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        entropy = nn.functional.cross_entropy(head(vectors), kinds)
        found = entropy + DECAY * head.weight.square().sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimiser.step(loss)
    return head


# --- posts ---


def pieces(text: str) -> list[int]:
    """What ModerationGate takes for a text; raises NotAPost if that is nothing, too much, or has
    signs that the tokenizer does not know."""
    ids = minilm.tokenizer().encode(text, minilm.TOKENS + 1)  # so that what is too much is seen
    found = [int(i) for i in ids[ids != 0][1:-1]]
    if not 0 < len(found) <= MOST_PIECES:
        got = "more" if found else "none"
        raise NotAPost(f"expected 1 to {MOST_PIECES} pieces, got {got}: {text!r:.60}")
    if min(found) < FIRST_PIECE:
        raise NotAPost(f"expected signs that the tokenizer knows, got {text!r:.60}")
    return found


def read(ids: Sequence[int]) -> str:
    """The text of a post; raises NotAPost if the tokenizer cuts that text in other pieces."""
    if not all(FIRST_PIECE <= i < minilm.VOCABULARY for i in ids):
        raise NotAPost(f"expected ids from {FIRST_PIECE} to {minilm.VOCABULARY - 1}, got {ids}")
    text = minilm.tokenizer().decode(np.array(ids, dtype=np.int64))
    if pieces(text) != list(ids):
        raise NotAPost(f"expected the pieces of {text!r}, got {list(ids)}")
    return text


if __name__ == "__main__":
    from safetensors.torch import save_model

    save_model(train().half(), sys.argv[1])
