"""The game over a composition's claim over a node: what NodeChain has of BisectionAssurance."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import EVENTS, GAME, call_data, topic
from oracle.domain import ids
from oracle.domain.bisection import Board, Held, Outcome, Place, Span
from oracle.domain.block import Block
from oracle.domain.chain import Call
from oracle.domain.job import Standing
from oracle.domain.request import Request, TierKind
from oracle.domain.terms import UNANSWERABLE

#: IBisectionAssurance.Game, Span, Halt
GAME_STRUCT = "(uint40,uint24,uint24,uint8,address,uint96)"
SPAN_STRUCT = "(address,uint96,bytes32,uint40,uint40)"
HALT_STRUCT = "(uint256,bytes32)"
DEMANDED, PUBLISHED = topic("Demanded"), topic("Published")
PROVED, REFUTED = topic("SegmentProved"), topic("Refuted")
MOVES = (DEMANDED, PUBLISHED, PROVED, REFUTED)


class GameCalls(ABC):
    """Over a node, and the oracle's address; `tiers` by address."""

    oracle: str
    tiers: Mapping[str, TierKind]

    @abstractmethod
    async def call(self, to: str, data: bytes) -> bytes:
        """What a view function returns, encoded. Raises CallRefused."""

    @abstractmethod
    async def head(self) -> Block:
        """The newest block."""

    @abstractmethod
    async def logs(
        self, first: int, last: int, address: Sequence[str], topics: Sequence[Any]
    ) -> list[dict[str, Any]]:
        """eth_getLogs, in ranges that the node takes."""

    async def contest(self, request: Request, standing: Standing) -> Board:
        tier, halts = request.assurance, standing.output == UNANSWERABLE
        (segments,) = await self._view(tier, "segmentCount", ("uint256",), request.model_id)
        (arity,) = await self._view(tier, "arity", ("uint256",))
        clocks = await self.call(tier, call_data("clocks", request.terms))
        demand_by = standing.since + decode(("uint256", "uint256"), clocks)[0]
        claimed, end = segments, ids.output_hash(standing.output)
        if halts:
            ((claimed, end),) = await self._view(tier, "haltOf", (HALT_STRUCT,), request.id)
        (game,) = await self._view(tier, "gameOf", (GAME_STRUCT,), request.id)
        until, _, proved, outcome, *_ = game
        spans, refuted = await self._spans(request, standing)
        return Board(
            segments=claimed,
            arity=arity,
            states=(request.input_hash, end),
            demand_by=demand_by,
            spans=spans,
            halts=halts,
            refuted=refuted,
            until=max(until, demand_by),
            complete=not halts and proved == segments,
            outcome=Outcome(outcome),
        )

    async def _spans(self, request: Request, standing: Standing) -> tuple[dict[Span, Held], bool]:
        """What the logs say of a claim's spans; and whether it was refuted."""
        spans: dict[Span, Held] = {}
        refuted = False
        last = (await self.head()).number
        wanted = [["0x" + each.hex() for each in MOVES], "0x" + request.id.hex()]
        for log in await self.logs(standing.block.number, last, [request.assurance], wanted):
            kind, data = bytes.fromhex(log["topics"][0][2:]), bytes.fromhex(log["data"][2:])
            if kind == DEMANDED:
                start, stop, _, owed_by = decode(("uint256",) * 4, data)
                span = Span(start, stop)
                spans[span] = replace(spans.get(span, Held()), owed_by=owed_by)
            elif kind == PUBLISHED:
                start, stop, states, by = decode(EVENTS["Published"][1:], data)
                span = Span(start, stop)
                held = spans.get(span, Held())
                spans[span] = replace(held, states=tuple(states), demand_by=by)
            elif kind == PROVED:
                (at,) = decode(("uint256",), data)
                span = Span(at, at + 1)
                spans[span] = replace(spans.get(span, Held()), proved=True)
            else:
                refuted = True
        return spans, refuted

    async def bond_of(self, request: Request, span: Span) -> tuple[str, int]:
        (held,) = await self._view(request.assurance, "spanAt", (SPAN_STRUCT,), request.id, *span)
        return str(to_checksum_address(held[0])), int(held[1])

    def demand_call(self, request: Request, standing: Standing, place: Place, bond: int) -> Call:
        return replace(self._move("demand", request, standing, place), value=bond)

    def split_call(
        self, request: Request, standing: Standing, place: Place, states: Sequence[bytes]
    ) -> Call:
        return self._move("publish", request, standing, place, list(states))

    def segment_call(
        self, request: Request, standing: Standing, place: Place, proved: tuple[bytes, bytes, bytes]
    ) -> Call:
        return self._move("prove", request, standing, place, *proved)

    def refute_call(
        self, request: Request, standing: Standing, proved: tuple[bytes, bytes, bytes]
    ) -> Call:
        data = call_data("refute", request.fields, standing.payee, *proved, among=GAME)
        return Call(request.assurance, data)

    def overdue_call(self, request: Request, standing: Standing, span: Span) -> Call:
        claim = (standing.payee, standing.output, encode(("uint256", "uint256"), span))
        return Call(self.oracle, call_data("answer", request.fields, request.input, *claim))

    def collect_bond_call(self, request: Request, span: Span) -> Call:
        return Call(request.assurance, call_data("collect", request.id, *span, among=GAME))

    def close_call(self, request: Request, standing: Standing, span: Span | None = None) -> Call:
        named = (request.fields, standing.payee, ids.output_hash(standing.output))
        if self.tiers.get(request.assurance) is TierKind.BISECTION:
            data = call_data("close", *named, *(span or (0, 0)), among=GAME)
        else:
            data = call_data("close", *named)
        return Call(request.assurance, data)

    def _move(
        self, name: str, request: Request, standing: Standing, place: Place, *more: Any
    ) -> Call:
        named = (request.fields, standing.payee, ids.output_hash(standing.output))
        where = (*place.parent, list(place.states), place.part)
        return Call(request.assurance, call_data(name, *named, where, *more, among=GAME))

    async def _view(
        self, tier: str, name: str, types: Sequence[str], *arguments: Any
    ) -> tuple[Any, ...]:
        found = await self.call(tier, call_data(name, *arguments, among=GAME))
        return tuple(decode(types, found))
