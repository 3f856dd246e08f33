"""The Chain port over a node and the deployed contracts."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from eth_abi.abi import decode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import (
    MEMBERS,
    REQUEST,
    TOKEN,
    call_data,
    request_from,
    topic,
)
from oracle.adapters.audits import AuditCalls
from oracle.adapters.bisection import DEMANDED, MOVES, REFUTED, GameCalls
from oracle.adapters.combination import CombinationCalls
from oracle.adapters.rpc import Node
from oracle.adapters.words import anew
from oracle.domain import ids
from oracle.domain.block import Block, BlockRef
from oracle.domain.chain import (
    TRANSACTION_GAS,
    Account,
    Answered,
    Call,
    Case,
    Disputed,
    Event,
    Fees,
    Outcome,
    Played,
    Receipt,
    Requested,
    Returned,
    Status,
    Stood,
)
from oracle.domain.committee import AGREED, DAY, Committee, Opened, Summons
from oracle.domain.errors import CallRefused, ChainMoved, ChainUnavailable, NodeRefused
from oracle.domain.request import Answer, Coin, Request, Tier, TierKind
from oracle.domain.terms import ClaimTerms, Quote
from oracle.newest import Newest

REQUESTED, ANSWERED, RETURNED = topic("Requested"), topic("Answered"), topic("Returned")
DISPUTED, DISSENTED, DRAWN = topic("Disputed"), topic("Dissented"), topic("Drawn")
SPOKEN, KEYS = topic("Spoken"), keccak(b"keys()")[:4]
#: IOptimisticAssurance.Case and Challenge, IStakeVault.Account
CASE = "(uint40,uint40,uint32,uint64,uint8,address,uint96,bytes32)"
CHALLENGE = "(address,uint96,bytes32)"
ACCOUNT = "(uint64,uint64,uint64,uint32,uint24,bool)"
#: ICommitteeAssurance.Rules
RULES = "(uint8,uint8,uint48,uint48,uint32,uint32)"
#: Blocks in which a draw is looked for at once.
SPAN = 2000
#: Draws and rounds' times that are remembered, the newest.
COMMITTEES, ROUNDS = 64, 4096


class NodeChain(AuditCalls, GameCalls, CombinationCalls):
    """`tiers`: those that this side knows, by address; `parts`: those that combinations among them
    put together, which are no tiers for requests of their own."""

    def __init__(
        self,
        node: Node,
        oracle: str,
        tiers: Mapping[str, TierKind],
        parts: Mapping[str, TierKind] = MappingProxyType({}),
    ) -> None:
        self.node = node
        self.oracle = to_checksum_address(oracle)
        self.tiers = {to_checksum_address(tier): kind for tier, kind in tiers.items()}
        self.parts = {to_checksum_address(part): kind for part, kind in parts.items()}
        self._read_tiers: dict[str, Tier] = {}
        self._committees: Newest[bytes, Committee] = Newest(COMMITTEES)
        self._many: dict[str, bool] = {}
        self.beacons: dict[str, tuple[str, bool]] = {}
        self.round_times: Newest[tuple[str, int], int] = Newest(ROUNDS)

    async def chain_id(self) -> int:
        return int(await self.node.rpc("eth_chainId"), 16)

    async def head(self) -> Block:
        block = await self._block("latest")
        if block is None:
            raise ChainUnavailable(f"the node at {self.node.url} has no blocks yet: let it sync")
        return block

    async def block(self, number: int) -> Block | None:
        return await self._block(hex(number))

    async def events(self, first: int, last: int) -> list[Event]:
        logs = [log for log in await self._events(first, last) if not log.get("removed")]
        return [_event(log, await self._since(log)) for log in logs]

    async def _since(self, log: dict[str, Any]) -> int:
        """The time of a provisional answer's block; 0 for other events, where it says nothing."""
        if _bytes(log["topics"][0]) != ANSWERED or _status(log) is not Status.PROVISIONAL:
            return 0
        number = int(log["blockNumber"], 16)
        block = await self.block(number)
        if block is None or block.hash != _bytes(log["blockHash"]):
            raise ChainMoved(f"block {number} changed while it was being read")
        return block.timestamp

    async def tier(self, assurance: str) -> Tier | None:
        kind = self.tiers.get(assurance)
        if kind is None:
            return None
        pin = await self.call(assurance, call_data("pin"))
        known = self._read_tiers.get(assurance)
        if known is not None and known.pin == pin:  # it hashes all that is read below
            return known
        if kind is TierKind.COMBINED:
            tier = await self.combination(assurance, pin)
        else:
            tier = await self.plain_tier(assurance, kind, pin)
        if tier is not None:
            self._read_tiers[assurance] = tier
        return tier

    async def plain_tier(self, assurance: str, kind: TierKind, pin: bytes) -> Tier | None:
        (verifier,) = decode(("address",), await self.call(assurance, call_data("verifier")))
        srs_id = await self.call(assurance, call_data("srsId"))
        (forgeable,) = decode(("bool",), await self.call(verifier, call_data("srsDevelopment")))
        code_hash = keccak(await self.code(verifier))
        if ids.proof_pin(verifier, code_hash, srs_id) != pin:
            return None  # whatever it is, it vouches with something else
        vault, coin = "", None
        if kind is not TierKind.PROOF:
            (found,) = decode(("address",), await self.call(assurance, call_data("vault")))
            vault = to_checksum_address(found)
            coin = await self.coin(vault)
        checksummed = to_checksum_address(verifier)
        return Tier(assurance, pin, checksummed, code_hash, srs_id, forgeable, kind, vault, coin)

    async def stopped(self, tier: Tier, model_id: bytes) -> bool:
        try:
            found = await self.call(tier.verifier, call_data("isStopped", model_id))
        except CallRefused:
            return False  # a verifier that nothing guards cannot be stopped
        return bool(decode(("bool",), found)[0])

    async def quote(self, tier: Tier, terms: bytes) -> Quote:
        if tier.kind is TierKind.COMMITTEE:
            return await self._committees_quote(tier, ClaimTerms.parse(terms))
        if tier.kind is TierKind.COMBINED:
            parts = [await self.quote(part.tier, part.terms(terms)) for part in tier.parts]
            return Quote.together(parts)
        shares, clocks, bond = [
            await self.call(tier.assurance, call_data(name, terms))
            for name in ("split", "clocks", "bond")
        ]
        compensation, reward, burn = decode(("uint256",) * 3, shares)
        window, prove = decode(("uint256",) * 2, clocks)
        (due,) = decode(("uint256",), bond)
        plain = Quote(compensation, reward, burn, window, prove, due)
        return await self.audited(plain, tier, terms) if tier.kind is TierKind.AUDITED else plain

    async def _committees_quote(self, tier: Tier, terms: ClaimTerms) -> Quote:
        """CommitteeAssurance's formulas: 2 C + C / 10 of the stakes of those who sign."""
        *_, window, _ = decode((RULES,), await self.call(tier.assurance, call_data("rules")))[0]
        shares = (terms.coverage, terms.coverage // 10, terms.coverage)
        return Quote(*shares, window, terms.prove_clock, bond=0)

    async def account(self, tier: Tier, owner: str) -> Account:
        found = await self.call(tier.vault, call_data("accountOf", owner))
        stake, locked, queued, ready_at, _, suspended = decode((ACCOUNT,), found)[0]
        return Account(stake, locked, queued, ready_at, suspended)

    async def case(self, request: Request, index: int) -> Case:
        whole = await self.call(request.assurance, call_data("caseOf", request.id))
        one = await self.call(request.assurance, call_data("challengeAt", request.id, index))
        _, reveal_by, winner, reward, outcome, _, _, proved = decode((CASE,), whole)[0]
        _, bond, commitment = decode((CHALLENGE,), one)[0]
        return Case(Outcome(outcome), winner, reward, reveal_by, proved, commitment, bond)

    async def committee(self, tier: Tier, epoch: int) -> Committee | None:
        held = await self.call(tier.assurance, call_data("committeeOf", epoch))
        if held == bytes(32):
            return None
        if held not in self._committees:
            (_, quorum, *_), *_ = decode(
                (RULES,), await self.call(tier.assurance, call_data("rules"))
            )
            members = await self._drawn(tier, epoch)
            if keccak(members) != held:
                raise ChainMoved(f"the draw of epoch {epoch} changed while it was being read")
            self._committees[held] = Committee(epoch, members, quorum)
        return self._committees[held]

    async def _drawn(self, tier: Tier, epoch: int) -> bytes:
        """The members that a draw logged, looked for from the head back to the epoch's start."""
        last = (await self.head()).number
        wanted = ["0x" + DRAWN.hex(), "0x" + epoch.to_bytes(32, "big").hex()]
        while True:
            first = max(last - SPAN + 1, 0)
            found = await self.node.rpc(
                "eth_getLogs",
                {
                    "address": tier.assurance,
                    "topics": wanted,
                    "fromBlock": hex(first),
                    "toBlock": hex(last),
                },
            )
            if found:
                return bytes(decode(("bytes",), _bytes(found[-1]["data"]))[0])
            oldest = await self.block(first)
            if first == 0 or oldest is None or oldest.timestamp < epoch * DAY:
                raise ChainMoved(f"the node has no log of the draw of epoch {epoch}")
            last = first - 1

    async def summons(self, request: Request) -> Summons | None:
        found = await self.call(request.assurance, call_data("summonsOf", request.id))
        epoch, commit_by, reveal_by, _ = decode(("uint32", "uint40", "uint40", "uint8"), found)
        return Summons(epoch, commit_by, reveal_by) if epoch else None

    async def spoken(self, request: Request, places: int) -> list[tuple[bytes, bytes]]:
        said = []
        for place in range(places):
            committed, revealed = [
                await self.call(request.assurance, call_data(name, request.id, place))
                for name in ("commitmentAt", "revealedAt")
            ]
            said.append((committed, revealed))
        return said

    async def agreement(self, request: Request, block: BlockRef) -> bytes:
        words = b""
        for log in await self._about(SPOKEN, request.assurance, request, block):
            words = bytes(decode(("bytes",), _bytes(log["data"]))[0])
        for log in await self._about(ANSWERED, self.oracle, request, block):
            shown = await self.shown(request, _bytes(log["transactionHash"]))
            if not words and shown is not None and shown.evidence[:1] == AGREED:
                words = shown.evidence[1:]
        if not words:
            return b""
        if request.assurance not in self._many:
            self._many[request.assurance] = await self._signs_as_one(request.assurance)
        return AGREED + anew(words, self._many[request.assurance])

    async def _about(
        self, event: bytes, address: str, request: Request, block: BlockRef
    ) -> list[dict[str, Any]]:
        """Logs of an event in just this block."""
        topics = ["0x" + event.hex(), "0x" + request.id.hex()]
        found = await self.logs(block.number, block.number, [address], topics)
        return [log for log in found if _bytes(log["blockHash"]) == block.hash]

    async def _signs_as_one(self, council: str) -> bool:
        """Whether members have BLS keys (IBlsCommitteeAssurance)."""
        try:
            return bool(await self.call(council, KEYS))
        except CallRefused:
            return False

    def commit_call(
        self, request: Request, committee: Committee, place: int, commitment: bytes
    ) -> Call:
        data = call_data("commit", request.id, committee.members, place, commitment)
        return Call(request.assurance, data)

    def open_call(self, request: Request, committee: Committee, place: int, opened: Opened) -> Call:
        claim = (opened.payee, ids.output_hash(opened.output), opened.trace, opened.salt)
        named = (request.id, committee.members, place)
        return Call(request.assurance, call_data("reveal", *named, *claim, among=MEMBERS))

    def dissent_call(
        self, request: Request, committee: Committee, place: int, payee: str, output: bytes
    ) -> Call:
        named = (payee, ids.output_hash(output), committee.members, place)
        return Call(request.assurance, call_data("dissent", request.fields, *named))

    def answer_call(self, request: Request, answer: Answer) -> Call:
        data = call_data(
            "answer", request.fields, request.input, answer.payee, answer.output, answer.proof
        )
        return Call(self.oracle, data)

    def dispute_call(
        self, request: Request, payee: str, output: bytes, commitment: bytes, bond: int
    ) -> Call:
        named = (payee, ids.output_hash(output), commitment)
        return Call(request.assurance, call_data("dispute", request.fields, *named), bond)

    def reveal_call(self, request: Request, index: int, salt: bytes) -> Call:
        return Call(request.assurance, call_data("reveal", request.id, index, salt))

    def award_call(self, request: Request) -> Call:
        return Call(request.assurance, call_data("award", request.id))

    def collect_call(self, request: Request, index: int) -> Call:
        return Call(request.assurance, call_data("collect", request.id, index))

    async def preflight(self, sender: str, call: Call, at: str = "latest") -> int:
        fields = {
            "from": sender,
            "to": call.to,
            "data": "0x" + call.data.hex(),
            "value": hex(call.value),
            "gas": hex(TRANSACTION_GAS),
        }
        return int(await self.node.rpc("eth_estimateGas", fields, at), 16)

    async def fees(self) -> Fees:
        """Twice the base fee, which then cannot outgrow it for five blocks, and the node's tip."""
        latest = await self.node.rpc("eth_getBlockByNumber", "latest", False)
        tip = max(int(await self.node.rpc("eth_maxPriorityFeePerGas"), 16), 1)
        return Fees(2 * int(latest["baseFeePerGas"], 16) + tip, tip)

    async def nonce(self, address: str) -> int:
        return int(await self.node.rpc("eth_getTransactionCount", address, "latest"), 16)

    async def balance(self, address: str) -> int:
        return int(await self.node.rpc("eth_getBalance", address, "latest"), 16)

    async def send(self, raw: bytes) -> None:
        await self.node.send(raw)

    async def receipt(self, hash: bytes) -> Receipt | None:
        found = await self.node.rpc("eth_getTransactionReceipt", "0x" + hash.hex())
        if not found or not found.get("blockNumber"):
            return None
        block = BlockRef(int(found["blockNumber"], 16), _bytes(found["blockHash"]))
        return Receipt(block, int(found["status"], 16) == 1, int(found["gasUsed"], 16))

    async def knows(self, hash: bytes) -> bool:
        return bool(await self.node.rpc("eth_getTransactionByHash", "0x" + hash.hex()))

    # --- beyond the port: for the command line ---

    async def call(self, to: str, data: bytes) -> bytes:
        """What a view function returns, encoded. Raises CallRefused."""
        found = await self.node.rpc("eth_call", {"to": to, "data": "0x" + data.hex()}, "latest")
        result = _bytes(found)
        if not result:
            raise CallRefused("no answer", f"no such contract at {to}: is it deployed?")
        return result

    async def status(self, request_id: bytes) -> tuple[Status, bool]:
        """Where a request stands, and whether its callback failed."""
        found = await self.call(self.oracle, call_data("statusOf", request_id))
        status, _, failed = decode(("uint8", "bytes32", "bool"), found)
        return Status(status), bool(failed)

    async def code(self, address: str) -> bytes:
        return _bytes(await self.node.rpc("eth_getCode", address, "latest"))

    async def coin(self, vault: str) -> Coin | None:
        """What a vault's stakes are in; None for ether."""
        try:
            found = await self.call(vault, call_data("token", among=TOKEN))
        except CallRefused:
            return None
        (token,) = decode(("address",), found)
        (unit,) = decode(("uint256",), await self.call(vault, call_data("unit", among=TOKEN)))
        return Coin(to_checksum_address(token), unit)

    # --- how ---

    async def _block(self, number: str) -> Block | None:
        found = await self.node.rpc("eth_getBlockByNumber", number, False)
        if not found:
            return None
        return Block(
            int(found["number"], 16),
            _bytes(found["hash"]),
            _bytes(found["parentHash"]),
            int(found["timestamp"], 16),
        )

    async def _events(self, first: int, last: int) -> list[dict[str, Any]]:
        kinds = (REQUESTED, ANSWERED, RETURNED, DISPUTED, DISSENTED, *MOVES)
        topics = [["0x" + each.hex() for each in kinds]]
        return await self.logs(first, last, [self.oracle, *self.tiers, *self.parts], topics)

    async def logs(
        self, first: int, last: int, address: Sequence[str], topics: Sequence[Any]
    ) -> list[dict[str, Any]]:
        """Halves a range that the node finds too large."""
        query = {
            "address": list(address),
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "topics": list(topics),
        }
        try:
            found: list[dict[str, Any]] = await self.node.rpc("eth_getLogs", query)
            return found
        except NodeRefused as error:
            if first == last:
                raise ChainUnavailable(
                    f"the node gives no logs of block {first}: {error}"
                ) from error
            middle = (first + last) // 2
            lower = await self.logs(first, middle, address, topics)
            return lower + await self.logs(middle + 1, last, address, topics)


def _event(log: dict[str, Any], since: int) -> Event:
    kind, *indexed = (_bytes(each) for each in log["topics"])
    block = BlockRef(int(log["blockNumber"], 16), _bytes(log["blockHash"]))
    data, request_id = _bytes(log["data"]), indexed[0]
    transaction = _bytes(log["transactionHash"])
    if kind == REQUESTED:
        fields, input = decode((REQUEST, "bytes"), data)
        return Requested(request_from(fields, input, request_id, to_checksum_address), block)
    if kind == RETURNED:
        return Returned(request_id, block, transaction)
    if kind in MOVES:
        named = kind in (DEMANDED, REFUTED)
        return Played(request_id, to_checksum_address(indexed[1][-20:]) if named else "", block)
    who = to_checksum_address(indexed[1][-20:])
    if kind == DISPUTED:
        index, _, _, prove_by = decode(("uint256", "uint256", "bytes32", "uint256"), data)
        return Disputed(request_id, index, who, prove_by, block)
    if kind == DISSENTED:  # a demand for a proof, as a dispute is
        return Disputed(request_id, 0, who, *decode(("uint256",), data), block)
    _, output = decode(("uint8", "bytes"), data)
    if _status(log) is Status.PROVISIONAL:
        return Stood(request_id, who, output, block, since)
    return Answered(request_id, who, output, block, transaction)


def _status(log: dict[str, Any]) -> Status:
    """The status in an Answered event: its first word."""
    return Status(int.from_bytes(_bytes(log["data"])[:32], "big"))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
