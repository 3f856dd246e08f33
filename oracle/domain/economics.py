"""What keeps operators honest, in numbers: stake, audits, re-execution (docs/economics.md).

All amounts are in one unit, ether say. A cheat and its friends may be operator, requester and
challenger at once, so that compensation and reward come back to them: only what is burned counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, prod

from oracle.domain.terms import LEAST_AUDITS, WHOLE, rate_of

#: IOptimisticAssurance: R = max(C / 10, 3 x challenger's cost), B = max(C, R).
REWARD_SHARE, REWARD_FACTOR = 0.1, 3


@dataclass(frozen=True, slots=True)
class Economy:
    """Coverage C of each claim, the operator's whole stake S, the share beta of it that a failed
    audit makes unrecoverable, and what finding and disputing a wrong answer costs a challenger.

    Raises ValueError where these make no sense.
    """

    coverage: float
    stake: float
    beta: float = 1 / 3
    challenger_cost: float = 0.008

    def __post_init__(self) -> None:
        if not (self.coverage > 0 and self.stake > 0 and 0 < self.beta <= 1):
            raise ValueError(
                f"expected coverage > 0, stake > 0 and 0 < beta <= 1, got {self.coverage}, "
                f"{self.stake}, {self.beta}"
            )
        if self.challenger_cost < 0:
            raise ValueError(f"expected a cost of 0 or more, got {self.challenger_cost}")

    @property
    def reward(self) -> float:
        """R = max(C / 10, 3 x challenger's cost)."""
        return max(self.coverage * REWARD_SHARE, REWARD_FACTOR * self.challenger_cost)

    @property
    def burn(self) -> float:
        """B = max(C, R): what a slash costs the cheat and all its friends together."""
        return max(self.coverage, self.reward)

    @property
    def lock(self) -> float:
        """C + R + B."""
        return self.coverage + self.reward + self.burn

    @property
    def capacity(self) -> int:
        """Claims that the stake can vouch for at once."""
        return int(self.stake / self.lock + 1e-9)

    @property
    def least_audit(self) -> float:
        """a = C / (C + beta S), rounded up as terms count it, and 2 % at least: no set of
        simultaneous cheats then pays."""
        exact = self.coverage / (self.coverage + self.beta * self.stake)
        return max(LEAST_AUDITS, rate_of(exact)) / WHOLE

    def least_stake(self, audit: float) -> float:
        """The stake at which that audit rate is enough: S = C (1 - a) / (a beta)."""
        _probability(audit)
        return inf if audit == 0 else self.coverage * (1 - audit) / (audit * self.beta)

    def unwatched_gain(self, audits: Sequence[float]) -> float:
        """Expected gain of cheating on one claim an audit rate, all at once, when only audits can
        tell (private weights). One failed audit freezes all claims and costs beta S:

            G = n C prod(1 - a_i) - beta S (1 - prod(1 - a_i))
        """
        for audit in audits:
            _probability(audit)
        escapes = prod(1 - audit for audit in audits)
        return len(audits) * self.coverage * escapes - self.beta * self.stake * (1 - escapes)

    def watched_gain(self, watch: float, value: float) -> float:
        """Expected gain of one wrong answer worth `value` to the cheat, when somebody re-executes
        and disputes with probability `watch` (public weights): G = (1 - w) V - w B."""
        _probability(watch)
        return (1 - watch) * value - watch * self.burn

    def deterred_value(self, watch: float) -> float:
        """The largest value of a wrong answer that re-execution deters: V = B w / (1 - w)."""
        _probability(watch)
        return inf if watch == 1 else self.burn * watch / (1 - watch)

    def worst_cheat(self, audit: float, most: int | None = None) -> tuple[int, float]:
        """The number of simultaneous cheats that pays best at that audit rate, of as many as the
        stake can vouch for (or `most`), and its gain; none pays if the gain is not positive.
        G(n + 1) - G(n) has one change of sign, at n = 1 / a - 1 - beta S / C, so that looking
        around it is enough."""
        _probability(audit)
        most = self.capacity if most is None else most
        if most == 0:
            return 0, 0.0
        turn = most if audit == 0 else 1 / audit - 1 - self.beta * self.stake / self.coverage
        near = {1, max(1, min(most, ceil(turn))), max(1, min(most, ceil(turn) + 1))}
        gains = {n: self.unwatched_gain([audit] * n) for n in near}
        best = max(gains, key=lambda n: (gains[n], -n))
        return best, gains[best]


def _probability(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"expected a probability, got {value}")
