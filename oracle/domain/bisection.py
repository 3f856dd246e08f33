"""The game over a composition's segments: what a span is, and each side's next move.

State i of a run is the hash of the bytes between segments i - 1 and i. A span is the sentence
"state `stop` follows from state `start`". The rules are in IBisectionAssurance.sol; all that a
player knows beside them is on the chain (`Board`) and in its own run of the model.

A run without an answer halts: its states end before the segment that has no output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from eth_hash.auto import keccak

STATE_BYTES = 32


class Outcome(IntEnum):
    """How the game over a claim ended; values as in IBisectionAssurance."""

    NONE = 0
    UPHELD = 1
    LAPSED = 2
    VOID = 3


class Run(NamedTuple):
    """A run: the input, then what each segment writes, up to the one that refuses what it reads if
    it is `halted`."""

    data: tuple[bytes, ...]
    halted: bool

    @property
    def states(self) -> bytes:
        """One after the other."""
        return b"".join(keccak(each) for each in self.data)


def states_from(states: bytes) -> list[bytes]:
    """The inverse, as far as the states go."""
    return [states[at : at + STATE_BYTES] for at in range(0, len(states), STATE_BYTES)]


def halt(states: bytes) -> bytes:
    """What a claim of no answer shows: the segment at which its run halts, and the state there."""
    segment = len(states) // STATE_BYTES - 1
    return segment.to_bytes(32, "big") + states[-STATE_BYTES:]


class Span(NamedTuple):
    """Segments start to stop - 1."""

    start: int
    stop: int

    @property
    def is_segment(self) -> bool:
        return self.stop - self.start == 1

    def parts(self, arity: int) -> tuple[Span, ...]:
        """What it is split into: min(arity, length) parts, as equal as they can be."""
        length = self.stop - self.start
        count = min(arity, length)
        ends = [self.start + i * length // count for i in range(count + 1)]
        return tuple(Span(a, b) for a, b in pairwise(ends))

    def ends(self, states: Sequence[bytes], arity: int) -> tuple[bytes, ...]:
        """What splits it, of a run's states: both ends of every part."""
        return tuple(states[i] for i in (self.start, *(p.stop for p in self.parts(arity))))


@dataclass(frozen=True, slots=True)
class Held:
    """What the chain holds of one span; times in seconds, 0 for never.

    states: the hashes that split it, empty if it is not; proved: of a segment
    owed_by: last second to give it, if it was demanded; demand_by: last second to demand a part
    """

    states: tuple[bytes, ...] = ()
    proved: bool = False
    owed_by: int = 0
    demand_by: int = 0

    @property
    def owed(self) -> bool:
        return bool(self.owed_by) and not self.states and not self.proved


@dataclass(frozen=True, slots=True)
class Board:
    """The contest of one claim: of `segments` in all, split `arity` ways; `demand_by` is the last
    second to demand the whole, `states` the claim's first and last.

    halts: a claim of no answer, over the segments before its halt; refuted: by a proof of the
    segment there. until: last second at which anything can be demanded; complete: all of the run is
    proved
    """

    segments: int
    arity: int
    states: tuple[bytes, bytes]
    demand_by: int
    spans: Mapping[Span, Held] = field(default_factory=dict)
    halts: bool = False
    refuted: bool = False
    until: int = 0
    complete: bool = False
    outcome: Outcome = Outcome.NONE

    @property
    def whole(self) -> Span:
        return Span(0, self.segments)

    @property
    def beyond(self) -> Span:
        """The segment at which a claim of no answer halts."""
        return Span(self.segments, self.segments + 1)

    def at(self, span: Span) -> Held:
        return self.spans.get(span, Held())

    def place(self, span: Span) -> Place:
        """How a move names a span: the split span that it is a part of, and which."""
        if span == self.whole:
            named = ((self.states[1],), self.segments) if self.halts else ((), 0)
            return Place(Span(0, 0), *named)
        for parent, held in self.spans.items():
            parts = parent.parts(self.arity) if held.states else ()
            if span in parts:
                return Place(parent, held.states, parts.index(span))
        raise KeyError(span)


class Place(NamedTuple):
    """A part of a span that is split, or the whole, (0, 0): of no answer, with its halt."""

    parent: Span
    states: tuple[bytes, ...]
    part: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Split a span with the states of one's own run."""

    span: Span


@dataclass(frozen=True, slots=True)
class Prove:
    """Prove one segment."""

    span: Span


@dataclass(frozen=True, slots=True)
class Demand:
    """Demand a span, with a bond."""

    span: Span


@dataclass(frozen=True, slots=True)
class Lapse:
    """Hand the claim in: that span is overdue."""

    span: Span


@dataclass(frozen=True, slots=True)
class Refute:
    """Prove an output of the segment at which the claim says that the run halts."""

    span: Span


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until` has passed: the last second to give a span."""

    until: int
    span: Span


@dataclass(frozen=True, slots=True)
class Contradiction:
    """That segment was proved, from a start that is our run's to an end that is not."""

    span: Span


Turn: TypeAlias = Publish | Prove | Demand | Lapse | Refute | Wait | Contradiction


def owed(board: Board) -> list[Publish | Prove]:
    """What the operator owes, the shortest clock first."""
    due = sorted((held.owed_by, span) for span, held in board.spans.items() if held.owed)
    return [Prove(span) if span.is_segment else Publish(span) for _, span in due]


def ungiven(board: Board, now: int) -> Publish | Prove | Demand | None:
    """What a proof of the whole run lacks, demanded or not; a demand of our own where a split
    counts no more without one; None if nothing, or if it cannot be given any more."""
    pending, demand_by = [(board.whole, board.demand_by)], 0
    while pending:
        span, demand_by = pending.pop(0)
        held = board.at(span)
        if span.is_segment and not held.proved:
            return Prove(span)
        if not span.is_segment and not held.states:
            if now <= (held.owed_by or demand_by):
                return Publish(span)
            return None if held.owed_by else Demand(span)
        if not span.is_segment:
            parts = [(part, held.demand_by) for part in span.parts(board.arity)]
            pending = [*parts, *pending]
    return None


def pursue(board: Board, states: Sequence[bytes], now: int) -> Turn | None:
    """A challenger's next move against a claim, given the states of its own run; None if the claim
    is right, or nothing can be done against it (any more).

    It follows the first part whose end is false: its start is true, so no proof of it exists. What
    lies beyond its own run's halt is false, too.
    """
    if board.refuted:
        return Lapse(board.beyond)
    goes_on = board.halts and len(states) > board.segments + 1
    if goes_on and states[board.segments] == board.states[1]:
        return Refute(board.beyond)
    states = [*states, *[b""] * (board.segments + 1 - len(states))]
    span, end, demand_by = board.whole, board.states[1], board.demand_by
    while end != states[span.stop]:
        held = board.at(span)
        if held.proved:
            return Contradiction(span)
        if held.owed:
            return Lapse(span) if now > held.owed_by else Wait(held.owed_by, span)
        if not held.states:
            return Demand(span) if now <= demand_by else None
        parts, demand_by = span.parts(board.arity), held.demand_by
        ends = list(zip(parts, held.states[1:], strict=True))
        span, end = next((part, made) for part, made in ends if made != states[part.stop])
    return None
