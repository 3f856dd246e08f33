"""A composition in memory: a fake chain with the bisection tier, and runs of four segments.

A game is the list of moves that were made in it (`Stage.disputes`), so a reorg takes it back.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak

from oracle.domain import ids
from oracle.domain.bisection import Board, Held, Outcome, Place, Run, Span
from oracle.domain.block import Block
from oracle.domain.chain import Answered, Call, Event, Played, Returned, Status, Stood
from oracle.domain.chain import Outcome as Verdict
from oracle.domain.job import Standing
from oracle.domain.move import Role
from oracle.domain.request import Request, Tier, TierKind
from oracle.domain.terms import UNANSWERABLE
from oracle.fakes import (
    CHALLENGER,
    IDENTITY,
    QUOTE,
    STAKED,
    TERMS,
    FakeChain,
    FakeProver,
    Refusal,
    Stage,
    fake_proof,
)
from oracle.services.check import Check
from oracle.services.watch import Seat, Watch
from tests.oracle.world import Challenger

SEGMENTS, ARITY, MOVE_TIME = 4, 2, 200
BISECTED = replace(STAKED, assurance="0x" + "b1" * 20, kind=TierKind.BISECTION)


def after(segment: int, data: bytes) -> bytes | None:
    """What a segment makes of its input; None where it refuses: input b"halt2..." halts at 2."""
    if data.startswith(b"halt%d" % segment):
        return None
    head = data[:5] if data.startswith(b"halt") else b""
    return head + keccak(b"segment %d" % segment + data)[:8]


def true_run(input: bytes) -> Run:
    data = [input]
    for segment in range(SEGMENTS):
        if (found := after(segment, data[-1])) is None:
            return Run(tuple(data), halted=True)
        data.append(found)
    return Run(tuple(data), halted=False)


class Runner:
    """The honest engine."""

    name = "fake"

    async def steps(self, folder: Path, input: bytes) -> Run:
        return true_run(input)

    async def run(self, folder: Path, input: bytes) -> bytes:
        raise AssertionError("a composition is run in steps")


class Liar(Runner):
    """False from one boundary on; or halted there although there is more."""

    name = "corrupt"

    def __init__(self, at: int, *, halts: bool = False, before: int = 0) -> None:
        self.at, self.halts, self.before = at, halts, before

    async def steps(self, folder: Path, input: bytes) -> Run:
        true = true_run(input).data
        if self.halts:
            data = true[: self.at + 1]
            false = tuple(b"lie" + each for each in data[self.before :]) if self.before else ()
            return Run(data[: self.before] + false if self.before else data, halted=True)
        return Run(true[: self.at] + tuple(b"lie" + each for each in true[self.at :]), False)


class SegmentProver(FakeProver):
    """Proofs of segments; of a refused input it has none."""

    async def prove(self, folder: Path, context: bytes, input: bytes) -> tuple[bytes, bytes]:
        await super().prove(folder, context, input)
        output = after(int(folder.name), input) or b""
        return output, fake_proof(context, output)


class Arena(FakeChain):
    """The fake chain with compositions; the rules of BisectionAssurance. `stopped_segments`: those
    whose verifier was stopped."""

    stopped_segments: frozenset[int] = frozenset()

    def ask_bisected(self, input: bytes = b"", **changes: Any) -> Request:
        terms = {"assurance": BISECTED.assurance, "terms": TERMS.word}
        return self.ask(input, **{**terms, **changes})

    async def tier(self, assurance: str) -> Tier | None:
        return BISECTED if assurance == BISECTED.assurance else await super().tier(assurance)

    async def contest(self, request: Request, standing: Standing) -> Board:
        return await self._up(self.board(self.chain[-1].stages[request.id]))

    async def bond_of(self, request: Request, span: Span) -> tuple[str, int]:
        moves = self.chain[-1].stages[request.id].disputes
        for kind, *rest in moves:
            if kind == "demanded" and Span(*rest[1:3]) == span:
                left = 0 if ("collected", *span) in moves else rest[3]
                return await self._up((rest[0], left))
        return await self._up(("", 0))

    def demand_call(self, request: Request, standing: Standing, place: Place, bond: int) -> Call:
        return replace(_call("demand", request, standing, place), value=bond)

    def split_call(self, request: Request, standing: Standing, place: Place, states: Any) -> Call:
        return _call("split", request, standing, place, [each.hex() for each in states])

    def segment_call(self, request: Request, standing: Standing, place: Place, proved: Any) -> Call:
        return _call("segment", request, standing, place, [each.hex() for each in proved])

    def refute_call(self, request: Request, standing: Standing, proved: Any) -> Call:
        nowhere = Place(Span(0, 0), (), 0)
        return _call("refute", request, standing, nowhere, [each.hex() for each in proved])

    def overdue_call(self, request: Request, standing: Standing, span: Span) -> Call:
        words = (standing.payee, standing.output.hex(), json.dumps(list(span)).encode().hex())
        return Call(IDENTITY.oracle, json.dumps(["answer", request.id.hex(), *words]).encode())

    def collect_bond_call(self, request: Request, span: Span) -> Call:
        data = json.dumps(["take", request.id.hex(), list(span)]).encode()
        return Call(IDENTITY.oracle, data)

    def close_call(self, request: Request, standing: Standing, span: Span | None = None) -> Call:
        words = ["shut", request.id.hex(), standing.payee, standing.output.hex(), span]
        return Call(IDENTITY.oracle, json.dumps(words).encode())

    # --- what the list of moves says ---

    def board(self, stage: Stage) -> Board:
        spans: dict[Span, Held] = {}
        outcome, until, refuted = Outcome.NONE, stage.since + QUOTE.window, False
        segments, end = SEGMENTS, keccak(stage.standing[1])
        for kind, *rest in stage.disputes:
            if kind == "halt":
                segments, end = rest
            elif kind == "demanded":
                span = Span(*rest[1:3])
                spans[span] = replace(spans.get(span, Held()), owed_by=rest[4])
            elif kind == "published":
                span = Span(*rest[:2])
                held = spans.get(span, Held())
                spans[span] = replace(held, states=rest[2], demand_by=rest[3])
                until = max(until, rest[3])
            elif kind == "proved":
                span = Span(rest[0], rest[0] + 1)
                spans[span] = replace(spans.get(span, Held()), proved=True)
            elif kind == "refuted":
                refuted = True
            elif kind == "decided":
                outcome = rest[0]
        proved = sum(held.proved for held in spans.values())
        return Board(
            segments,
            ARITY,
            (stage.request.input_hash, end),
            stage.since + QUOTE.window,
            spans,
            halts=stage.standing[1] == UNANSWERABLE,
            refuted=refuted,
            until=until,
            complete=proved == SEGMENTS,
            outcome=outcome,
        )

    # --- the contract's rules ---

    def _play(
        self, stages: dict[bytes, Stage], item: dict[str, Any], block: Block, digest: bytes = b""
    ) -> list[Event]:
        name, known, *rest = json.loads(bytes.fromhex(item["data"] or "5b226e222c22225d"))
        stage = stages.get(bytes.fromhex(known))
        if stage is None or stage.request.assurance != BISECTED.assurance:
            return super()._play(stages, item, block, digest)
        if name == "answer":
            payee, shown, evidence = rest
            words = (payee, bytes.fromhex(shown), bytes.fromhex(evidence))
            return self._judge(stages, stage, item["from"], block, digest, *words)
        if name == "take":
            return self._take(stage, Span(*rest[0]))
        if name == "shut":
            return self._shut(stage, block.timestamp, *rest)
        if name == "close":
            raise Refusal("no such function")
        if stage.status is not Status.PROVISIONAL:
            raise Refusal("WrongStatus")
        payee, shown, place, *more = rest
        if (payee, bytes.fromhex(shown)) != stage.standing:
            raise Refusal("WrongClaim")
        who = getattr(self, f"_{name}")(stage, item, block.timestamp, place, *more)
        return [Played(stage.request.id, who, block.ref)]

    def _judge(
        self,
        stages: dict[bytes, Stage],
        stage: Stage,
        sender: str,
        block: Block,
        digest: bytes,
        payee: str,
        output: bytes,
        evidence: bytes,
    ) -> list[Event]:
        request, now, none = stage.request, block.timestamp, output == UNANSWERABLE
        if stage.status is Status.OPEN:
            if now > request.deadline:
                raise Refusal("DeadlinePassed")
            account = self._account(payee, stages)
            if sender != payee or account.suspended or account.free < QUOTE.lock:
                raise Refusal("NotItsAgent")
            if len(evidence) != 64 * none:
                raise Refusal("WrongEvidence")
            stage.status, stage.standing = Status.PROVISIONAL, (payee, output)
            stage.since, stage.staker = now, payee
            if none:
                at = int.from_bytes(evidence[:32], "big")
                stage.disputes.append(("halt", at, evidence[32:]))  # type: ignore[arg-type]
            return [Stood(request.id, payee, output, block.ref, now)]
        if stage.status is not Status.PROVISIONAL:
            raise Refusal("WrongStatus")
        if stage.standing != (payee, output):
            raise Refusal("WrongClaim")
        board = self.board(stage)
        if evidence:
            span = Span(*json.loads(evidence))
            refuted = board.refuted and span == board.beyond
            if not refuted and not board.at(span).owed:
                raise Refusal("NotOwed")
            if span.is_segment and span.start in self.stopped_segments:
                self._decide(stage, Outcome.VOID)
                stage.status = Status.RETRACTED
                return [Returned(request.id, block.ref, digest)]
            if not refuted and now <= board.at(span).owed_by:
                raise Refusal("TooEarly")
            self._decide(stage, Outcome.LAPSED)
            stage.slashed, stage.status = True, Status.RETRACTED
            return [Returned(request.id, block.ref, digest)]
        if not board.complete:
            if board.refuted or any(held.owed for held in board.spans.values()):
                raise Refusal("StillOwed")
            if now <= board.until:
                raise Refusal("TooEarly")
            if self._account(payee, stages).suspended and not none:
                raise Refusal("OperatorSuspended")
        self._decide(stage, Outcome.UPHELD)
        stage.status = Status.RETRACTED if none else Status.FINAL
        if none:
            return [Returned(request.id, block.ref, digest)]
        return [Answered(request.id, payee, output, block.ref, digest)]

    def _decide(self, stage: Stage, outcome: Outcome) -> None:
        stage.disputes.append(("decided", outcome))  # type: ignore[arg-type]

    def _located(self, stage: Stage, place: Any) -> tuple[Span, bytes, bytes, int]:
        (start, stop), states, part = place
        board = self.board(stage)
        if stop == 0:
            return board.whole, *board.states, board.demand_by
        parent = board.at(Span(start, stop))
        if tuple(bytes.fromhex(each) for each in states) != parent.states:
            raise Refusal("WrongStates")
        span = Span(start, stop).parts(ARITY)[part]
        return span, parent.states[part], parent.states[part + 1], parent.demand_by

    def _demand(self, stage: Stage, item: dict[str, Any], now: int, place: Any) -> str:
        span, _, _, demand_by = self._located(stage, place)
        suspended = self._account(stage.staker).suspended
        if not suspended and (item["value"] < QUOTE.bond or now > demand_by):
            raise Refusal("TooLate" if now > demand_by else "BondTooLow")
        held = self.board(stage).at(span)
        if held.owed_by or held.states or held.proved:
            raise Refusal("AlreadyDemanded")
        owed_by = now + (QUOTE.prove if span.is_segment else MOVE_TIME)
        move = ("demanded", item["from"], *span, item["value"], owed_by)
        stage.disputes.append(move)  # type: ignore[arg-type]
        return str(item["from"])

    def _split(self, stage: Stage, item: dict[str, Any], now: int, place: Any, states: Any) -> str:
        span, start, end, demand_by = self._located(stage, place)
        held, given = self.board(stage).at(span), tuple(bytes.fromhex(each) for each in states)
        if item["from"] != stage.staker:
            raise Refusal("OnlyOperator")
        if held.states or span.is_segment:
            raise Refusal("AlreadyGiven")
        if now > (held.owed_by or demand_by):
            raise Refusal("TooLate")
        if len(given) != len(span.parts(ARITY)) + 1 or (given[0], given[-1]) != (start, end):
            raise Refusal("WrongStates")
        until = max(now + MOVE_TIME, stage.since + QUOTE.window)
        stage.disputes.append(("published", *span, given, until))  # type: ignore[arg-type]
        return ""

    def _segment(
        self, stage: Stage, item: dict[str, Any], now: int, place: Any, proved: Any
    ) -> str:
        span, start, end, _ = self._located(stage, place)
        input, output, proof = (bytes.fromhex(each) for each in proved)
        if not span.is_segment or self.board(stage).at(span).proved:
            raise Refusal("AlreadyGiven")
        if (keccak(input), keccak(output)) != (start, end):
            raise Refusal("WrongStates")
        self._verify(stage.request, stage.standing[0], span.start, input, output, proof)
        stage.disputes.append(("proved", span.start))  # type: ignore[arg-type]
        return ""

    def _refute(self, stage: Stage, item: dict[str, Any], now: int, place: Any, proved: Any) -> str:
        board, who = self.board(stage), str(item["from"])
        input, output, proof = (bytes.fromhex(each) for each in proved)
        if not board.halts or board.refuted or keccak(input) != board.states[1]:
            raise Refusal("WrongStates")
        self._verify(stage.request, who, board.segments, input, output, proof)
        stage.disputes.append(("refuted", who))  # type: ignore[arg-type]
        return who

    def _verify(
        self, request: Request, payee: str, segment: int, input: bytes, output: bytes, proof: bytes
    ) -> None:
        if segment in self.stopped_segments:
            raise Refusal("Stopped")
        whole = ids.context(IDENTITY.chain_id, IDENTITY.oracle, request, payee)
        good = fake_proof(ids.segment_context(whole, segment), output)
        if output != after(segment, input) or proof != good:
            raise Refusal("OpeningRejected")

    def _shut(self, stage: Stage, now: int, payee: str, shown: str, span: Any) -> list[Event]:
        board = self.board(stage)
        if stage.status is not Status.REFUNDED or board.outcome is not Outcome.NONE:
            raise Refusal("WrongStatus")
        if (payee, bytes.fromhex(shown)) != stage.standing:
            raise Refusal("WrongClaim")
        late = [held.owed_by for held in board.spans.values() if held.owed]
        if late or board.refuted:
            refuted = board.refuted and span == list(board.beyond)
            if not refuted and (span is None or not board.at(Span(*span)).owed):
                raise Refusal("NotOwed")
            if not refuted and now <= board.at(Span(*span)).owed_by:
                raise Refusal("TooEarly")
            stage.slashed = True
        self._decide(stage, Outcome.LAPSED if stage.slashed else Outcome.VOID)
        stage.outcome = Verdict.LAPSED if stage.slashed else Verdict.VOID  # no lock is left
        return []

    def _take(self, stage: Stage, span: Span) -> list[Event]:
        moves = stage.disputes
        bonds = [m[4] for m in moves if m[0] == "demanded" and Span(*m[2:4]) == span]  # type: ignore
        if not any(m[0] == "decided" for m in moves):
            raise Refusal("WrongOutcome")
        if not bonds or not bonds[0] or ("collected", *span) in moves:
            raise Refusal("NothingLeft")
        moves.append(("collected", *span))  # type: ignore[arg-type]
        return []


def _call(name: str, request: Request, standing: Standing, place: Place, *more: Any) -> Call:
    where = [list(place.parent), [each.hex() for each in place.states], place.part]
    words = [name, request.id.hex(), standing.payee, standing.output.hex(), where, *more]
    return Call(IDENTITY.oracle, json.dumps(words).encode())


class Pursuer(Challenger):
    """A challenger that looks at compositions."""

    def __init__(
        self, chain: Arena, store: Any = None, confirmations: int = 0, **parts: Any
    ) -> None:
        parts = {"engine": Runner(), "prover": SegmentProver(), **parts}
        super().__init__(chain, store, **parts)
        key = parts.get("key", CHALLENGER)
        seat = Seat(Role.CHALLENGER, key, {BISECTED.assurance})
        assert isinstance(self.work, Check)
        self.watch = Watch(
            self.watch._chain, self._store, self.watch._identity, 1, confirmations, seat
        )
