"""Text that is on every machine with this project: what models are trained, calibrated and judged
on.

`corpus`: Python's own reference as `help()` shows it, pydoc's topics in their order, some 470,000
characters of English. nanogpt's weights come from those of Python 3.11.7 (`CORPUS`); other versions
differ in a few sentences. `sentences`: from there, and from what scikit-learn says of its data
sets.
"""

from __future__ import annotations

import hashlib
import re
from pydoc_data.topics import topics

# sha256 of the text of Python 3.11.7
CORPUS = "32a4426300e137378c42bf4754fe4214e03bb5f820fe236b821bf10cf7162ab4"
HELD_OUT = 10  # one part in so many, the last, is never trained on
PLAIN = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "..."})


def corpus() -> str:
    """All topics, in ASCII."""
    text = "\n".join(topics.values()).translate(PLAIN)
    return text.encode("ascii", "replace").decode("ascii")


def digest() -> str:
    return hashlib.sha256(corpus().encode("ascii")).hexdigest()


def parts() -> tuple[str, str]:
    """What to train on, and what is held out."""
    text = corpus()
    cut = len(text) - len(text) // HELD_OUT
    return text[:cut], text[cut:]


def sentences() -> list[str]:
    """Sentences of 4 to 24 words, each once, in the order of their hashes: no topic is near its
    own beginning."""
    text = corpus() + "\n\n" + "\n\n".join(_descriptions())
    found: dict[str, None] = {}
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in re.split(r"(?<=[.?!])\s+", " ".join(paragraph.split())):
            words = sentence.split()
            plain = sum(c.isalpha() or c in " ,." for c in sentence)
            if 4 <= len(words) <= 24 and sentence[-1] in ".?!" and plain > 0.95 * len(sentence):
                found[sentence] = None
    return sorted(found, key=lambda sentence: hashlib.sha256(sentence.encode()).digest())


def _descriptions() -> list[str]:
    from importlib.resources import files

    folder = files("sklearn.datasets.descr")
    named = sorted(f.name for f in folder.iterdir() if f.name.endswith(".rst"))
    return [(folder / name).read_text("utf-8").translate(PLAIN) for name in named]
