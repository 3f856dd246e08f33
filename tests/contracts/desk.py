"""What the oracle's tests share: a deployed set with a test double for the verifier, and requests.

The double accepts a "proof" that is keccak256(abi.encode(modelId, context, input, output)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract
from web3.logs import DISCARD

from tests.evm import Chain

HARNESS = "tests/contracts/harness"
SRS = keccak(b"the double's srs")
ZERO = "0x" + "00" * 20
IMAGE = bytes(range(128))
LOGITS = b"".join(v.to_bytes(2, "big", signed=True) for v in (3, -9, 70, 12, 70, 0, -1, 5, 6, 7))

NONE, OPEN, JUDGING, PROVISIONAL, FINAL, RETRACTED, REFUNDED = range(7)
ACCEPT, REVERT, BURN, BOMB, REENTER = range(5)

REQUEST_TYPE = (
    "(address,address,bytes32,bytes32,address,bytes32,bytes32,uint96,uint64,uint32,uint64,uint256)"
)
POINT = (1).to_bytes(32, "big") + (2).to_bytes(32, "big")


def program(
    k: int = 12, fixed_tiles: int = 1, verifier_bytes: int | None = None, **header: Any
) -> bytes:
    """The least that the registry takes: a header of four records, a contraction of nothing, and
    sums of nothing: the scalar side and the weight of each tile but the last three."""
    sums = 1 + fixed_tiles + 2  # a tile of stage 1, one of stage 2
    words = -(-sums // 8)
    pairs = (bytes(4) * (8 * words - sums) + b"\x80\0\0\0" * sums)[: 32 * words]
    length = 160 + 32 * words if verifier_bytes is None else verifier_bytes
    head = header.get("magic", b"EINP") + header.get("version", 1).to_bytes(2, "big")
    head += bytes([k, 4]) + fixed_tiles.to_bytes(2, "big") + length.to_bytes(4, "big")
    head += (128).to_bytes(4, "big") + (20).to_bytes(4, "big") + bytes(4)
    head += bytes([0, 1, 0, 1, 0, 0])
    counts = bytes([0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]).ljust(32, b"\0")  # R = C = n = mu = 1
    tables = (bytes(14) + words.to_bytes(2, "big") + sums.to_bytes(2, "big")).ljust(32, b"\0")
    return head + counts + tables + bytes(64) + pairs + b"source"


def with_tile(code: bytes, byte: int) -> bytes:
    """The same program with a committed tile more: of input, byte 23, or of output, byte 25. It has
    a weight more, the first pair's end."""
    made = bytearray(code)
    made[byte], made[81], made[172] = 1, made[81] + 1, 0x80
    return bytes(made)


def register(chain: Chain, registry: Contract, code: bytes, points: bytes, srs: bytes) -> bytes:
    """Stores and registers a model; its id."""
    chunks = []
    for data in (code, points):
        chunks.append(chain.call(registry.functions.addressOf(data)))
        chain.send(registry.functions.store(data))
    function = registry.functions.register([chunks[0]], [chunks[1]], srs, bytes(32))
    model_id = chain.call(function)
    chain.send(function)
    return bytes(model_id)


@dataclass(frozen=True)
class Request:
    """The twelve fields, in the contract's order."""

    requester: str
    refund_to: str
    model_id: bytes
    input_hash: bytes
    assurance: str
    pin: bytes
    terms: bytes
    fee: int
    callback_gas_price: int
    callback_gas: int
    deadline: int
    nonce: int

    @property
    def fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)

    @property
    def cost(self) -> int:
        return self.fee + self.callback_gas * self.callback_gas_price


class Desk:
    """A registry with one model, the double, the Proof tier, a scripted tier and an oracle."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.requester, self.payee, self.prover, self.stranger = chain.accounts[1:5]
        self.registry = chain.deploy("contracts/oracle/ModelRegistry.sol")
        self.verifier = chain.deploy(f"{HARNESS}/EchoVerifier.sol", SRS)
        self.tier = chain.deploy(
            "contracts/assurance/ProofAssurance.sol", self.verifier.address, self.registry.address
        )
        self.scripted = chain.deploy(f"{HARNESS}/ScriptedTier.sol")
        self.oracle = chain.deploy("contracts/oracle/InferenceOracle.sol")
        self.model_id = register(chain, self.registry, program(), POINT, SRS)
        self.pin = bytes(chain.call(self.tier.functions.pin()))

    def puppet(self) -> Contract:
        return self.chain.deploy(f"{HARNESS}/Puppet.sol")

    def request(self, **fields: Any) -> Request:
        """A good request by an ordinary account, with some fields set otherwise."""
        plain = Request(
            requester=self.requester,
            refund_to=self.requester,
            model_id=self.model_id,
            input_hash=keccak(fields.pop("input", IMAGE)),
            assurance=self.tier.address,
            pin=self.pin,
            terms=bytes(32),
            fee=10**15,
            callback_gas_price=10**9,
            callback_gas=0,
            deadline=self.chain.now() + 3600,
            nonce=0,
        )
        return replace(plain, **fields)

    def request_id(self, request: Request) -> bytes:
        return keccak(
            encode(
                ["uint256", "address", REQUEST_TYPE],
                [self.chain.web3.eth.chain_id, self.oracle.address, request.fields],
            )
        )

    def context(self, request: Request, payee: str) -> bytes:
        return keccak(
            encode(
                ["uint256", "address", "bytes32", "bytes32", "bytes32", "address"],
                [
                    self.chain.web3.eth.chain_id,
                    self.oracle.address,
                    self.request_id(request),
                    request.model_id,
                    request.input_hash,
                    payee,
                ],
            )
        )

    def proof(
        self, request: Request, payee: str = "", image: bytes = IMAGE, output: bytes = LOGITS
    ) -> bytes:
        context = self.context(request, payee or self.payee)
        return keccak(
            encode(
                ["bytes32", "bytes32", "bytes", "bytes"],
                [request.model_id, context, image, output],
            )
        )

    def digest(self, payee: str = "", output: bytes = LOGITS) -> bytes:
        whole = keccak(encode(["address", "bytes32"], [payee or self.payee, keccak(output)]))
        return whole[:27] + bytes(5)

    # --- calls, as functions to send or call ----------------------------------------------------

    def answering(
        self,
        request: Request,
        *,
        payee: str = "",
        image: bytes = IMAGE,
        output: bytes = LOGITS,
        proof: bytes | None = None,
    ) -> Any:
        payee = payee or self.payee
        proof = self.proof(request, payee, image, output) if proof is None else proof
        return self.oracle.functions.answer(request.fields, image, payee, output, proof)

    def refunding(self, request: Request) -> Any:
        return self.oracle.functions.refund(request.fields)

    def retrying(self, request: Request, payee: str = "", output: bytes = LOGITS) -> Any:
        return self.oracle.functions.retryCallback(request.fields, payee or self.payee, output)

    # --- transactions ---------------------------------------------------------------------------

    def ask(self, request: Request, image: bytes = IMAGE, value: int | None = None) -> Any:
        return self.chain.send(
            self.oracle.functions.request(request.fields, image),
            sender=self.requester,
            value=request.cost if value is None else value,
        )

    def ask_through(self, puppet: Contract, **fields: Any) -> Request:
        """Makes a request whose requester is a puppet; by default with a callback."""
        fields = {"callback_gas": 200_000, "refund_to": puppet.address, **fields}
        request = self.request(requester=puppet.address, **fields)
        self.chain.send(
            puppet.functions.ask(self.oracle.address, request.fields, IMAGE),
            sender=self.requester,
            value=request.cost,
        )
        return request

    def answer(self, request: Request, *, gas: int = 5_000_000, **claim: Any) -> Any:
        return self.chain.send(self.answering(request, **claim), sender=self.prover, gas=gas)

    def expire(self, request: Request, seconds: int = 1) -> None:
        """Puts the next block that many seconds after the deadline."""
        self.chain.next_timestamp(request.deadline + seconds)

    # --- what came of it ------------------------------------------------------------------------

    def status(self, request: Request) -> tuple[int, bytes, bool]:
        status, digest, failed = self.chain.call(
            self.oracle.functions.statusOf(self.request_id(request))
        )
        return status, bytes(digest), failed

    def credit(self, account: str) -> int:
        return int(self.chain.call(self.oracle.functions.credit(account)))

    def held(self) -> int:
        return self.chain.balance(self.oracle.address)

    def events(self, receipt: Any, name: str) -> list[Any]:
        """Arguments of this oracle's events of a name, in order."""
        found = self.oracle.events[name]().process_receipt(receipt, errors=DISCARD)
        return [event["args"] for event in found if event["address"] == self.oracle.address]
