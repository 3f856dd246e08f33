"""Text to token ids and back, for models that carry their tokenizer: a public file in the model's
folder, the hash of which is in the model's id.

    {"kind": "characters", "characters": "..."}      the last characters of a text, padded in front
    {"kind": "wordpiece", "pieces": ["...", ...]}    BERT's, padded behind
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from oracle.zoo.wordpiece import WordPiece
from prover.errors import EinproofError
from prover.quantizer import IntArray


class TokenizerRefused(EinproofError):
    """Bytes that describe no tokenizer."""


class Tokenizer(Protocol):
    def encode(self, text: str, length: int) -> IntArray:
        """`length` ids."""

    def decode(self, ids: IntArray) -> str: ...

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Characters:
    """An id for each character; what is not among them reads as a space, which must be."""

    characters: str

    def encode(self, text: str, length: int) -> IntArray:
        """The last `length` characters, behind line ends where there are fewer."""
        known = {c: i for i, c in enumerate(self.characters)}
        ids = [known.get(c, known[" "]) for c in text[-length:]]
        return np.array([known["\n"]] * (length - len(ids)) + ids, dtype=np.int64)

    def decode(self, ids: IntArray) -> str:
        return "".join(self.characters[int(i)] for i in np.ravel(ids))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "characters", "characters": self.characters}


def to_bytes(tokenizer: Tokenizer) -> bytes:
    """The canonical bytes: JSON in ASCII with sorted keys and no spaces."""
    return json.dumps(tokenizer.to_dict(), sort_keys=True, separators=(",", ":")).encode("ascii")


def from_bytes(data: bytes) -> Tokenizer:
    """The inverse; raises TokenizerRefused."""
    made: Tokenizer
    try:
        found = json.loads(data)
        if found["kind"] == "characters":
            made = Characters(found["characters"])
            made.encode("", 1)
        elif found["kind"] == "wordpiece":
            made = WordPiece.from_lines(found["pieces"])
            made.encode("", 2)
        else:
            raise ValueError(f"unknown kind {found['kind']!r:.40}")
        if to_bytes(made) != data:
            raise ValueError("other fields, or another order")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TokenizerRefused(f"expected a tokenizer, got one with {error}") from None
    return made
