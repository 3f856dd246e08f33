"""BERT's uncased WordPiece (Devlin et al. 2019; Wu et al. 2016), from a list of pieces.

Text is cleaned, lowered and stripped of accents, cut at spaces and around punctuation; each word
then becomes the longest pieces that it begins with, one after the other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prover.quantizer import IntArray

PAD, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
LONGEST = 100  # characters of a word; a longer one is unknown
IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class WordPiece:
    """`pieces` by their ids; those that go on with a word begin with ##."""

    ids: dict[str, int]

    @classmethod
    def from_lines(cls, lines: Sequence[str]) -> WordPiece:
        if len(set(lines)) != len(lines):
            raise ValueError("a piece that stands there twice")
        return cls({piece: i for i, piece in enumerate(lines)})

    def encode(self, text: str, length: int) -> IntArray:
        """`length` ids: [CLS], the pieces of the text, cut where they are too many, [SEP], and
        padding."""
        pieces = [self.ids[p] for word in words(text) for p in self._pieces(word)]
        kept = [self.ids[FIRST], *pieces[: length - 2], self.ids[LAST]]
        return np.array(kept + [self.ids[PAD]] * (length - len(kept)), dtype=np.int64)

    def decode(self, ids: IntArray) -> str:
        """The pieces with spaces between words; without [CLS], [SEP] and padding."""
        known = list(self.ids)
        pieces = [known[int(i)] for i in np.ravel(ids)]
        kept = [p for p in pieces if p not in (PAD, FIRST, LAST)]
        return " ".join(kept).replace(" ##", "")

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "wordpiece", "pieces": list(self.ids)}

    def _pieces(self, word: str) -> list[str]:
        found: list[str] = []
        at = 0
        while at < len(word):
            end = len(word)
            mark = "##" if at else ""
            while end > at and mark + word[at:end] not in self.ids:
                end -= 1
            if end == at or len(word) > LONGEST:
                return [UNKNOWN]
            found.append(mark + word[at:end])
            at = end
        return found


def words(text: str) -> Iterator[str]:
    """Lower-case words without accents; each mark of punctuation and each ideograph is one."""
    cleaned = "".join(_cleaned(c) for c in text)
    plain = unicodedata.normalize("NFD", cleaned.lower())
    word = ""
    for c in plain:
        if unicodedata.category(c) == "Mn":
            continue
        if c.isspace() or _apart(c):
            if word:
                yield word
            word = ""
            if not c.isspace():
                yield c
        else:
            word += c
    if word:
        yield word


def _cleaned(c: str) -> str:
    if c in "\t\n\r" or unicodedata.category(c) == "Zs":
        return " "
    if ord(c) in (0, 0xFFFD) or unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    return c


def _apart(c: str) -> bool:
    """ASCII's signs count as punctuation, whatever Unicode calls them."""
    code = ord(c)
    sign = 33 <= code <= 126 and not c.isalnum()
    ideograph = any(low <= code <= high for low, high in IDEOGRAPHS)
    return sign or ideograph or unicodedata.category(c).startswith("P")
