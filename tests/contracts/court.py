"""What the tests of bisection share: a composition of segments under the double of the verifier.

The double proves whatever it is asked to, so here nobody asks it for what is false: of that, a
sound verifier has no proof. The segments' bytes are hashes of their number; a lie is other bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract

from oracle.domain.bisection import (
    Board,
    Demand,
    Held,
    Lapse,
    Place,
    Prove,
    Publish,
    Span,
    owed,
    pursue,
)
from tests.contracts.bench import (
    BOND,
    ETHER,
    HOUR,
    PARAMETERS,
    PROVING,
    UNANSWERABLE,
    WINDOW,
    Bench,
    created,
)
from tests.contracts.desk import POINT, SRS, ZERO, Request, program, register
from tests.evm import Chain

STATE_BYTES = 8
MOVE_TIME = HOUR + PROVING
OUTCOMES = UNDECIDED, UPHELD, LAPSED, VOID = range(4)


def segment_code(segment: int, reads: int = STATE_BYTES, writes: int = STATE_BYTES) -> bytes:
    """Program bytes of a segment with that many bytes of input and output; each its own."""
    plain = program()
    sizes = reads.to_bytes(4, "big") + writes.to_bytes(4, "big")
    return plain[:14] + sizes + plain[22:] + segment.to_bytes(4, "big")


def run_of(segments: int, nonce: int = 0) -> list[bytes]:
    """The bytes between segments, input and output included."""
    word = nonce.to_bytes(4, "big")
    return [keccak(word + bytes([i % 256, i // 256]))[:STATE_BYTES] for i in range(segments + 1)]


def lie(run: Sequence[bytes], at: Iterable[int]) -> list[bytes]:
    """The same run, false at some boundaries."""
    false = set(at)
    return [bytes(b ^ 0xFF for b in data) if i in false else data for i, data in enumerate(run)]


class Court(Bench):
    """A bench whose requests name the bisection tier, and a composition of `segments` segments."""

    def __init__(
        self, chain: Chain, segments: int, arity: int, *, guarded: bool = False,
        parameters: tuple[int, ...] = PARAMETERS,
        registry: Contract | None = None, verifier: Contract | None = None,
    ) -> None:  # fmt: skip
        super().__init__(chain, guarded=guarded, registry=registry, verifier=verifier)
        self.segments, self.arity = segments, arity
        deployer = chain.accounts[0]
        nonce = chain.web3.eth.get_transaction_count(deployer)
        self.vault = chain.deploy(
            "contracts/assurance/StakeVault.sol", [created(deployer, nonce + 1), ZERO, ZERO, ZERO]
        )
        self.optimistic = chain.deploy(
            "contracts/assurance/BisectionAssurance.sol",
            self.oracle.address,
            self.verifier.address,
            self.registry.address,
            self.vault.address,
            parameters,
            arity,
        )
        self.pin = bytes(chain.call(self.optimistic.functions.pin()))
        self.ids: list[bytes] = []

    def furnish(self) -> None:
        """Registers the segments and their composition; the operator stakes."""
        self.ids = [
            register(self.chain, self.registry, segment_code(i), POINT, SRS)
            for i in range(self.segments)
        ]
        self.model_id = self.compose(self.ids)
        self.stake()

    def compose(self, ids: list[bytes]) -> bytes:
        function = self.optimistic.functions.compose(ids)
        model_id = self.chain.call(function)
        self.chain.send(function)
        return bytes(model_id)

    # --- moves ----------------------------------------------------------------------------------

    def stood(self, run: Sequence[bytes], **fields: Any) -> Request:
        """A request for a run's input, with its output as the operator's answer."""
        request = self.request(input=run[0], **fields)
        self.ask(request, run[0])
        self.post(request, image=run[0], output=run[-1])
        return request

    def halted(self, run: Sequence[bytes], segment: int, **fields: Any) -> Request:
        """The same of a run that halts at a segment: no answer, says the operator."""
        request = self.request(input=run[0], **fields)
        self.ask(request, run[0])
        self.chain.send(self.halting(request, run, segment), sender=self.operator, gas=5_000_000)
        return request

    def halting(self, request: Request, run: Sequence[bytes], segment: int) -> Any:
        evidence = encode(["uint256", "bytes32"], [segment, keccak(run[segment])])
        return self.oracle.functions.answer(
            request.fields, run[0], self.operator, UNANSWERABLE, evidence
        )

    def naming(self, request: Request, run: Sequence[bytes]) -> tuple[Any, str, bytes]:
        return request.fields, self.operator, keccak(run[-1])

    def board(self, request: Request, run: Sequence[bytes]) -> Board:
        """The contest as the chain's logs and words have it; of a claim of no answer, what it
        stands for."""
        id = self.request_id(request)
        asked: Any = {"from_block": 0, "argument_filters": {"requestId": id}}
        split: dict[Span, tuple[bytes, ...]] = {}
        named: set[Span] = set()
        for event in self.optimistic.events.Published().get_logs(**asked):
            split[Span(event["args"]["from"], event["args"]["to"])] = tuple(event["args"]["states"])
        for event in self.optimistic.events.Demanded().get_logs(**asked):
            named.add(Span(event["args"]["from"], event["args"]["to"]))
        spans = {}
        for span in named | set(split):
            held = self.chain.call(self.optimistic.functions.spanAt(id, *span))
            proved = span.is_segment and any(held[2])
            spans[span] = Held(split.get(span, ()), proved, held[3], held[4])
        segment, state = self.chain.call(self.optimistic.functions.haltOf(id))
        ends = (keccak(run[0]), bytes(state) if segment else keccak(run[-1]))
        segments = segment or self.segments
        halts = run[-1] == UNANSWERABLE
        return Board(segments, self.arity, ends, self.since(request) + WINDOW, spans, halts)

    def place(self, request: Request, run: Sequence[bytes], span: Span) -> tuple[Any, ...]:
        return fields(self.board(request, run).place(span))

    def demand(
        self, request: Request, run: Sequence[bytes], span: Span, *, sender: str = "",
        bond: int = BOND,
    ) -> Any:  # fmt: skip
        function = self.optimistic.functions.demand(
            *self.naming(request, run), self.place(request, run, span)
        )
        return self.chain.send(function, sender=sender or self.challenger, value=bond)

    def publish(
        self, request: Request, run: Sequence[bytes], span: Span, *, sender: str = "",
        states: Sequence[bytes] | None = None,
    ) -> Any:  # fmt: skip
        hashes = [keccak(data) for data in run]
        ends = span.ends(hashes, self.arity) if states is None else states
        function = self.optimistic.functions.publish(
            *self.naming(request, run), self.place(request, run, span), ends
        )
        return self.chain.send(function, sender=sender or self.operator)

    def segment_proof(self, request: Request, segment: int, data: bytes, result: bytes) -> bytes:
        word = keccak(
            encode(["bytes32", "uint256"], [self.context(request, self.operator), segment])
        )
        types = ["bytes32", "bytes32", "bytes", "bytes"]
        return keccak(encode(types, [self.ids[segment], word, data, result]))

    def prove_segment(
        self, request: Request, run: Sequence[bytes], segment: int, *, proof: bytes | None = None,
        sender: str = "",
    ) -> Any:  # fmt: skip
        data, result = run[segment], run[segment + 1]
        proof = self.segment_proof(request, segment, data, result) if proof is None else proof
        place = self.place(request, run, Span(segment, segment + 1))
        function = self.optimistic.functions.prove(
            *self.naming(request, run), place, data, result, proof
        )
        return self.chain.send(function, sender=sender or self.stranger)

    def hand_in(
        self, request: Request, run: Sequence[bytes], span: Span | None = None, sender: str = ""
    ) -> Any:
        """What the clocks say; or that a span is overdue."""
        evidence = b"" if span is None else encode(["uint256", "uint256"], list(span))
        function = self.oracle.functions.answer(
            request.fields, run[0], self.operator, run[-1], evidence
        )
        return self.chain.send(function, sender=sender or self.stranger, gas=5_000_000)

    def closing(self, request: Request, run: Sequence[bytes], span: Span = Span(0, 0)) -> Any:  # noqa: B008
        return self.tell("close", *self.naming(request, run), *span)

    def collect(self, request: Request, span: Span) -> Any:
        return self.tell("collect", self.request_id(request), *span)

    # --- players --------------------------------------------------------------------------------

    def operate(self, request: Request, run: Sequence[bytes], truth: Sequence[bytes]) -> int:
        """Gives what is owed, so far as it can: it splits with its run, and has proofs of what is
        true. How many moves that took."""
        moves = 0
        for due in owed(self.board(request, run)):
            match due:
                case Publish(span):
                    self.publish(request, run, span)
                case Prove(span):
                    at = span.start
                    if (run[at], run[at + 1]) != (truth[at], truth[at + 1]):
                        continue
                    self.prove_segment(request, run, at)
            moves += 1
        return moves

    def challenge(
        self, request: Request, run: Sequence[bytes], truth: Sequence[bytes], sender: str = ""
    ) -> Any:
        """The honest challenger's next move, made if it is one; the move."""
        states = [keccak(data) for data in truth]
        turn = pursue(self.board(request, run), states, self.chain.now())
        match turn:
            case Lapse(span):
                self.hand_in(request, run, span, sender)
            case Demand(span):
                self.demand(request, run, span, sender=sender)
        return turn

    # --- what came of it ------------------------------------------------------------------------

    def game(self, request: Request) -> dict[str, Any]:
        names = ("until", "owed", "proved", "outcome", "payee", "cost")
        values = self.chain.call(self.optimistic.functions.gameOf(self.request_id(request)))
        return dict(zip(names, values, strict=True))

    def outcome(self, request: Request) -> int:
        return int(self.game(request)["outcome"])


def fields(place: Place) -> tuple[Any, ...]:
    """A place as the contract's struct."""
    return (*place.parent, list(place.states), place.part)


def court(chain: Chain, segments: int = 6, arity: int = 8, **more: Any) -> Court:
    made = Court(chain, segments, arity, **more)
    made.furnish()
    return made


STAKE = 10 * ETHER
