"""The Chain port over a node and the deployed contracts."""

from collections.abc import Collection
from typing import Any

from eth_abi.abi import decode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import REQUEST, call_data, request_from, topic
from oracle.adapters.rpc import Node
from oracle.domain import ids
from oracle.domain.block import Block, BlockRef
from oracle.domain.chain import (
    TRANSACTION_GAS,
    Answered,
    Call,
    Event,
    Fees,
    Receipt,
    Requested,
    Returned,
    Status,
)
from oracle.domain.errors import CallRefused, ChainUnavailable, NodeRefused
from oracle.domain.request import Answer, Request, Tier

REQUESTED, ANSWERED, RETURNED = topic("Requested"), topic("Answered"), topic("Returned")


class NodeChain:
    """`tiers`: the Proof tiers that the service answers under, by address."""

    def __init__(self, node: Node, oracle: str, tiers: Collection[str]) -> None:
        self.node = node
        self.oracle = to_checksum_address(oracle)
        self._tiers = {to_checksum_address(tier) for tier in tiers}
        self._read_tiers: dict[str, Tier] = {}

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
        found = [_event(log) for log in await self._logs(first, last) if not log.get("removed")]
        return [event for event in found if event is not None]

    async def tier(self, assurance: str) -> Tier | None:
        if assurance not in self._tiers:
            return None
        pin = await self.call(assurance, call_data("pin"))
        known = self._read_tiers.get(assurance)
        if known is not None and known.pin == pin:  # it hashes all that is read below
            return known
        (verifier,) = decode(("address",), await self.call(assurance, call_data("verifier")))
        srs_id = await self.call(assurance, call_data("srsId"))
        (forgeable,) = decode(("bool",), await self.call(verifier, call_data("srsDevelopment")))
        code_hash = keccak(await self.code(verifier))
        if ids.proof_pin(verifier, code_hash, srs_id) != pin:
            return None  # whatever it is, it vouches with something else
        checksummed = to_checksum_address(verifier)
        tier = Tier(assurance, pin, checksummed, code_hash, srs_id, forgeable)
        self._read_tiers[assurance] = tier
        return tier

    def answer_call(self, request: Request, answer: Answer) -> Call:
        data = call_data(
            "answer", request.fields, request.input, answer.payee, answer.output, answer.proof
        )
        return Call(self.oracle, data)

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

    async def code(self, address: str) -> bytes:
        return _bytes(await self.node.rpc("eth_getCode", address, "latest"))

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

    async def _logs(self, first: int, last: int) -> list[dict[str, Any]]:
        """Halves a range that the node finds too large."""
        topics = [["0x" + each.hex() for each in (REQUESTED, ANSWERED, RETURNED)]]
        query = {
            "address": self.oracle,
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "topics": topics,
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
            return await self._logs(first, middle) + await self._logs(middle + 1, last)


def _event(log: dict[str, Any]) -> Event | None:
    """The event of a log; None for one that closes nothing (a provisional answer)."""
    kind, *indexed = (_bytes(each) for each in log["topics"])
    block = BlockRef(int(log["blockNumber"], 16), _bytes(log["blockHash"]))
    data, request_id = _bytes(log["data"]), indexed[0]
    transaction = _bytes(log["transactionHash"])
    if kind == REQUESTED:
        fields, input = decode((REQUEST, "bytes"), data)
        return Requested(request_from(fields, input, request_id, to_checksum_address), block)
    if kind == RETURNED:
        return Returned(request_id, block, transaction)
    status, output = decode(("uint8", "bytes"), data)
    if status != Status.FINAL:
        return None
    payee = to_checksum_address(indexed[1][-20:])
    return Answered(request_id, payee, output, block, transaction)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
