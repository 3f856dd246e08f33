"""Sampling from a public seed, as a rule that anybody can recompute: Gumbel noise in integers.

The token at place p + 1 is the one of the greatest logit + noise, which is a draw from
softmax(logits / temperature) (Gumbel 1954; Maddison, Tarlow and Minka 2014, section 2):

    noise[t] = round(2^10 temperature g),  g = -ln(-ln((w + 1/2) / 2^16))

w is the t-th 16-bit word of keccak256(tag || seed || p || 0), keccak256(tag || seed || p || 1) and
so on, p and the counter as 4 bytes, big-endian. Arithmetic is decimal, of 30 digits, each step
correctly rounded, and halves go to even: the same integers everywhere. The noise is in the
statement, so a proof holds for it alone; the caller must check that it is the seed's, and that the
seed was fixed before anybody could choose it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

from eth_hash.auto import keccak

from prover.errors import EinproofError

TAG = b"einproof/sampling/v1"
EXPONENT = 10  # noise counts in 2^-10
THOUSAND = 1000
MOST_TEMPERATURE = 2 * THOUSAND  # of which the greatest noise is below 2^15
SEED_BYTES = 32
WORDS = 16  # in a hash
_EXACT = Context(prec=30, rounding=ROUND_HALF_EVEN)


class SamplingRefused(EinproofError):
    """A seed or a temperature that the rule has no noise for."""


@dataclass(frozen=True)
class Sampling:
    """`temperature` in thousandths; 0 is the greedy choice, which needs no seed."""

    seed: bytes = bytes(SEED_BYTES)
    temperature: int = 0

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise SamplingRefused(f"expected a seed of {SEED_BYTES} bytes, got {len(self.seed)}")
        if not 0 <= self.temperature <= MOST_TEMPERATURE:
            raise SamplingRefused(
                f"expected a temperature of 0 to {MOST_TEMPERATURE} thousandths, got"
                f" {self.temperature}"
            )

    def noise(self, place: int, tokens: int) -> list[int]:
        """For the choice after the token at `place`, one integer a token of the vocabulary; zeros
        before the text begins."""
        if place < 0 or not self.temperature:
            return [0] * tokens
        start = TAG + self.seed + place.to_bytes(4, "big")
        blocks = range(-(-tokens // WORDS))
        data = b"".join(keccak(start + i.to_bytes(4, "big")) for i in blocks)
        words = (int.from_bytes(data[2 * t : 2 * t + 2], "big") for t in range(tokens))
        return [gumbel(word, self.temperature) for word in words]


@lru_cache(maxsize=1 << 16)
def gumbel(word: int, temperature: int) -> int:
    """The noise of a word, as above."""
    share = _EXACT.divide(Decimal(2 * word + 1), Decimal(1 << 17))
    drawn = _EXACT.minus(_EXACT.ln(_EXACT.minus(_EXACT.ln(share))))
    scaled = _EXACT.multiply(drawn, Decimal(temperature << EXPONENT))
    whole = _EXACT.divide(scaled, Decimal(THOUSAND))
    return int(_EXACT.to_integral_value(whole))
