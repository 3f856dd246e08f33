"""`Request.terms` of the optimistic tier (contracts/types/Terms.sol), and what it makes of them.

Amounts of stake are in gwei, clocks in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

#: Output of one byte: the operator's word that the input has no provable answer.
UNANSWERABLE = b"\0"
COVERAGE_BITS, PROVING_BITS, HOURS_BITS, AUDIT_BITS = 40, 15, 8, 14
#: Audit rates are of so many claims; the least that the audited tier takes.
WHOLE, LEAST_AUDITS = 10_000, 200
#: Seconds after a request's deadline from which on anyone gives back what only stands.
MAX_CONTEST = 7 * 24 * 3600
HOUR = 3600


def rate_of(share: float) -> int:
    """A share of claims as terms count it, of WHOLE; up, since a lower one may not be enough."""
    return ceil(share * WHOLE - 1e-11)  # floats: 0.0201 x 10,000 is above 201


@dataclass(frozen=True, slots=True)
class ClaimTerms:
    """Coverage in gwei, the declared proving time in seconds, the window in hours (0: the tier's
    own); of 10,000 claims, how many are audited (0 but under the audited tier)."""

    coverage: int
    proving: int
    hours: int = 0
    audits: int = 0

    @property
    def word(self) -> bytes:
        """The 32 bytes of `Request.terms`."""
        shifted = self.hours << COVERAGE_BITS + PROVING_BITS | self.proving << COVERAGE_BITS
        audits = self.audits << COVERAGE_BITS + PROVING_BITS + HOURS_BITS
        return (audits | shifted | self.coverage).to_bytes(32, "big")

    @property
    def fits(self) -> bool:
        """Whether every field is in its range; the tier takes nothing else."""
        return (
            0 < self.coverage < 1 << COVERAGE_BITS
            and 0 < self.proving < 1 << PROVING_BITS
            and 0 <= self.hours < 1 << HOURS_BITS
            and (self.audits == 0 or LEAST_AUDITS <= self.audits <= WHOLE)
        )

    @property
    def prove_clock(self) -> int:
        """Seconds for a proof that is demanded, beside the chain's inclusion delay."""
        return max(2 * HOUR, 8 * self.proving) + HOUR

    @classmethod
    def parse(cls, word: bytes) -> "ClaimTerms":
        """The fields of a word that the tier admitted."""
        value = int.from_bytes(word, "big")
        return cls(
            value % (1 << COVERAGE_BITS),
            (value >> COVERAGE_BITS) % (1 << PROVING_BITS),
            (value >> COVERAGE_BITS + PROVING_BITS) % (1 << HOURS_BITS),
            (value >> COVERAGE_BITS + PROVING_BITS + HOURS_BITS) % (1 << AUDIT_BITS),
        )

    @classmethod
    def together(cls, parts: "Sequence[ClaimTerms]") -> "ClaimTerms":
        """What the parts of a combination are asked for in all: each covers for itself."""
        return cls(
            sum(part.coverage for part in parts),
            max(part.proving for part in parts),
            max(part.hours for part in parts),
            sum(part.audits for part in parts),
        )


@dataclass(frozen=True, slots=True)
class Quote:
    """What a tier asks for under some terms: the lock's three parts in gwei, the contest window and
    the prove clock in seconds, the bond of a dispute in wei; `stake`, in gwei, is what an answer
    under the audited tier needs in all. `parts`: the same of each part of a combination. `held`:
    seconds for which a claim that is not drawn waits for its draw, and then for others'."""

    compensation: int
    reward: int
    burn: int
    window: int
    prove: int
    bond: int
    stake: int = 0
    parts: "tuple[Quote, ...]" = ()
    held: int = 0

    @classmethod
    def together(cls, parts: "Sequence[Quote]") -> "Quote":
        """What tiers ask for that vouch for one claim: a lock each, until the last window is over.
        Who disputes chooses one of them; the shortest clock is to be kept."""
        window = max(part.window for part in parts)
        return cls(
            sum(part.compensation for part in parts),
            sum(part.reward for part in parts),
            sum(part.burn for part in parts),
            window,
            min(part.prove for part in parts),
            min(part.bond for part in parts),
            max(part.stake for part in parts),
            tuple(parts),
            max(part.bound for part in parts) - window,
        )

    @property
    def bound(self) -> int:
        """Seconds for which an answer binds its stake, if nothing is asked of it."""
        return self.window + self.held

    @property
    def lock(self) -> int:
        """C + R + B, in gwei: the free stake that an answer needs."""
        return self.compensation + self.reward + self.burn
