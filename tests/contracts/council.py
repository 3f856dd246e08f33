"""A desk with a committee tier: 7 of 9 seats are drawn, 5 must agree. Members sign through the node
(eth_signTypedData_v4), so that what they sign is EIP-712 by another's reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract
from web3.logs import DISCARD

from tests.contracts.bench import COVERAGE, DAY, ETHER, GWEI, PROVING, created, guard, terms
from tests.contracts.desk import HARNESS, LOGITS, ZERO, Desk, Request
from tests.evm import Chain

HOUR = 3600
SEAT = 4 * ETHER // GWEI
FINE = SEAT // 100
WINDOW, GRACE = 4 * HOUR, HOUR
PLACES, QUORUM = 7, 5
#: Of a summons' bond, in wei: each place's.
PART = FINE * GWEI // 4
SHARE = -(-(2 * COVERAGE + COVERAGE // 10) // QUORUM) + 2
CLOCK = 3 * HOUR
TRACE = keccak(b"trace root")
RULES = (PLACES, QUORUM, SEAT, FINE, WINDOW, GRACE)
QUORUM_TYPE = "(bytes,bytes32,(uint8,uint8,bytes32,bytes32,bytes32)[])"
START = 1_795_305_600  # midnight, UTC
Opening = tuple[int, int, bytes, bytes, bytes]


def signed(place: int, salt: bytes, signature: bytes) -> Opening:
    """An opening: place, v, salt, r, s."""
    return place, signature[64], salt, signature[:32], signature[32:64]


class Council(Desk):
    """Its clock stands a little after the draw of day 1; members hold one seat or two, unless
    `owners` says who holds which."""

    source = "contracts/committee/CommitteeAssurance.sol"

    def __init__(
        self,
        chain: Chain,
        rules: tuple[int, ...] = RULES,
        owners: Sequence[str] = (),
        *,
        registry: Contract | None = None,
        verifier: Contract | None = None,
    ) -> None:
        super().__init__(chain)
        self.registry, self.verifier = registry or self.registry, verifier or self.verifier
        self.verifier = guard(self)
        self.beacon = chain.deploy("contracts/random/DevelopmentBeacon.sol")
        more = self.prepare()
        deployer = chain.accounts[0]
        nonce = chain.web3.eth.get_transaction_count(deployer)
        tiers = [created(deployer, nonce + 1), ZERO, ZERO, ZERO]
        self.vault = chain.deploy("contracts/assurance/StakeVault.sol", tiers)
        self.council = chain.deploy(
            self.source,
            self.oracle.address,
            self.verifier.address,
            self.registry.address,
            self.vault.address,
            self.beacon.address,
            rules,
            *more,
        )
        self.pin = bytes(chain.call(self.council.functions.pin()))
        self.collector = chain.accounts[4]
        owners = list(owners) or [*chain.accounts[3:10], *chain.accounts[8:10]]
        for owner in dict.fromkeys(owners):
            self.chain.send(self.vault.functions.stake(), sender=owner, value=10 * ETHER)
            self.admit(owner)
        for seat, owner in enumerate(owners):
            self.tell("enrol", seat, sender=owner)

    def prepare(self) -> list[str]:
        """What the tier's constructor takes besides, made before the vault."""
        return []

    def admit(self, owner: str) -> None:
        """What an owner does before it takes a seat."""

    @property
    def epoch(self) -> int:
        return self.chain.now() // DAY

    def summon(self, request: Request | Any) -> Any:
        """By the requester, with the bond."""
        function = self.council.functions.summon(request.fields)
        bond = self.chain.call(self.council.functions.summonsBond())
        return self.chain.send(function, sender=self.requester, value=bond)

    def tell(self, name: str, *arguments: Any, sender: str = "") -> Any:
        function = self.council.functions[name](*arguments)
        return self.chain.send(function, sender=sender or self.stranger)

    def wait(self, seconds: int) -> None:
        self.chain.next_timestamp(self.chain.now() + seconds)

    def begin(self, day: int) -> bytes:
        """A day begins: its round is published, its committee drawn. The members."""
        self.chain.next_timestamp(day * DAY + 60)
        round = self.chain.call(self.beacon.functions.roundAfter(day * DAY))
        self.chain.send(self.beacon.functions.publish(round, b""))
        receipt = self.tell("draw")
        (event,) = self.council.events.Drawn().process_receipt(receipt, DISCARD)
        return bytes(event["args"]["members"])

    def request(self, **fields: Any) -> Request:
        fields = {"assurance": self.council.address, "terms": terms(), **fields}
        return super().request(**{"deadline": self.chain.now() + DAY, **fields})

    # --- members --------------------------------------------------------------------------------

    @staticmethod
    def member(members: bytes, place: int) -> str:
        from web3 import Web3

        return Web3.to_checksum_address(members[24 * place + 4 : 24 * place + 24])

    @staticmethod
    def seat(members: bytes, place: int) -> int:
        return int.from_bytes(members[24 * place : 24 * place + 4], "big")

    def commitment(
        self, member: str, salt: bytes, output: bytes = LOGITS, payee: str = "", root: bytes = TRACE
    ) -> bytes:
        words = [payee or self.payee, keccak(output), root, salt, member]
        return keccak(encode(["address", "bytes32", "bytes32", "bytes32", "address"], words))

    def sign(self, request_id: bytes, epoch: int, commitment: bytes, member: str) -> bytes:
        word = {"name": "", "type": "bytes32"}
        typed = {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Commit": [
                    {**word, "name": "requestId"},
                    {"name": "epoch", "type": "uint256"},
                    {**word, "name": "commitment"},
                ],
            },
            "primaryType": "Commit",
            "domain": {
                "name": "einproof committee",
                "version": "1",
                "chainId": self.chain.web3.eth.chain_id,
                "verifyingContract": self.council.address,
            },
            "message": {
                "requestId": "0x" + request_id.hex(),
                "epoch": epoch,
                "commitment": "0x" + commitment.hex(),
            },
        }
        return bytes.fromhex(self.chain.rpc("eth_signTypedData_v4", member, typed)[2:])

    def opening(
        self, request: Request, members: bytes, place: int, output: bytes = LOGITS, **claim: Any
    ) -> Opening:
        salt = keccak(bytes([place]))
        member = self.member(members, place)
        epoch = claim.pop("epoch", self.epoch)
        commitment = self.commitment(member, salt, output, **claim)
        signature = self.sign(self.request_id(request), epoch, commitment, member)
        return signed(place, salt, signature)

    def quorum(
        self,
        request: Request,
        members: bytes,
        places: Any = range(QUORUM),
        output: bytes = LOGITS,
        **claim: Any,
    ) -> tuple[bytes, bytes, list[Opening]]:
        opened = [self.opening(request, members, place, output, **claim) for place in places]
        return members, claim.get("root", TRACE), opened

    @staticmethod
    def encoded(quorum: Any) -> bytes:
        return encode([QUORUM_TYPE], [quorum])

    def agreeing(self, request: Request, members: bytes, output: bytes = LOGITS, **how: Any) -> Any:
        quorum = how.pop("quorum", None) or self.quorum(request, members, output=output, **how)
        evidence = b"\1" + self.encoded(quorum)
        return self.answering(request, payee=how.get("payee", ""), output=output, proof=evidence)

    def agree(self, request: Request, members: bytes, output: bytes = LOGITS, **how: Any) -> Any:
        return self.chain.send(
            self.agreeing(request, members, output, **how), sender=self.collector, gas=5_000_000
        )

    def through_a_contract(self, answer: Any) -> Any:
        """By a contract's call, so that the answer is no transaction's calldata."""
        batch = self.chain.deploy(f"{HARNESS}/Batch.sol")
        call = batch.functions.run(self.oracle.address, [answer._encode_transaction_data()])
        return self.chain.send(call, sender=self.collector, gas=5_000_000)

    def spoken(self, request: Request, receipt: Any) -> list[bytes]:
        """The words that a transaction's log shows, all of an agreement on this request."""
        events = self.council.events.Spoken().process_receipt(receipt, DISCARD)
        named = {bytes(event["args"]["requestId"]) for event in events}
        assert named <= {self.request_id(request)}
        return [bytes(event["args"]["quorum"]) for event in events]

    def settle(self, request: Request, output: bytes = LOGITS) -> Any:
        return self.chain.send(
            self.answering(request, output=output, proof=b""), sender=self.stranger, gas=5_000_000
        )

    def prove(self, request: Request, output: bytes = LOGITS, payee: str = "") -> Any:
        proof = b"\0" + self.proof(request, payee, output=output)
        return self.chain.send(
            self.answering(request, payee=payee, output=output, proof=proof), gas=5_000_000
        )

    def refuting(self, request: Request, stands: bytes, quorum: Any, output: bytes = LOGITS) -> Any:
        evidence = b"\2" + encode(
            ["address", "bytes32", "bytes", "bytes"],
            [
                self.payee,
                keccak(stands),
                self.encoded(quorum),
                self.proof(request, self.prover, output=output),
            ],
        )
        return self.answering(request, payee=self.prover, output=output, proof=evidence)

    # --- what came of it ------------------------------------------------------------------------

    def seat_of(self, seat: int) -> dict[str, Any]:
        names = ("owner", "stake", "since", "until")
        return dict(zip(names, self.chain.call(self.council.functions.seatAt(seat)), strict=True))

    def account(self, owner: str) -> dict[str, Any]:
        names = ("stake", "locked", "queued", "ready_at", "load", "suspended")
        values = self.chain.call(self.vault.functions.accountOf(owner))
        return dict(zip(names, values, strict=True))

    def owed(self, account: str) -> int:
        return int(self.chain.call(self.vault.functions.credit(account)))

    def burned(self) -> int:
        return int(self.chain.call(self.vault.functions.burned()))


__all__ = ["CLOCK", "FINE", "GRACE", "HARNESS", "PROVING", "SEAT", "SHARE", "Council"]
