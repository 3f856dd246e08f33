"""What the tests of the stake vault and the optimistic tier share.

An oracle with such a tier at L1's parameters, the double of the verifier, an operator with stake.
"""

from __future__ import annotations

from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3 import Web3
from web3.contract import Contract

from tests.contracts.desk import HARNESS, IMAGE, LOGITS, ZERO, Desk, Request
from tests.evm import Chain

GWEI = 10**9
ETHER = 10**18
HOUR, DAY = 3600, 86_400
WRONG = LOGITS[:-1] + b"\xff"
UNANSWERABLE = b"\0"

COVERAGE = ETHER // GWEI  # gwei
PROVING = 60
CHALLENGER_COST = 8 * 10**6  # gwei
BOND = 3_000_000 * 20 * GWEI + PROVING * 10**12
REWARD = COVERAGE // 10
LOCK = 2 * COVERAGE + REWARD
WINDOW, CLOCK = 4 * HOUR, 3 * HOUR
#: In the order of IOptimisticAssurance.Parameters.
PARAMETERS = (
    4 * HOUR,  # window
    24 * HOUR,  # largeWindow
    10 * ETHER // GWEI,  # largeCoverage
    0,  # inclusionDelay
    CHALLENGER_COST,
    3_000_000,  # verifyGas
    20 * GWEI,  # gasPriceCap
    10**12,  # provingPrice
)
OUTCOMES = UNDECIDED, UPHELD, OVERTURNED, LAPSED, VOID = range(5)


def terms(
    coverage: int = COVERAGE, proving: int = PROVING, hours: int = 0, audits: int = 0
) -> bytes:
    """contracts/types/Terms.sol."""
    return (coverage | proving << 40 | hours << 55 | audits << 63).to_bytes(32, "big")


def created(sender: str, nonce: int) -> str:
    """Address of the contract that an account's transaction creates: RLP of both, hashed."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    if len(number) != 1 or number[0] >= 0x80:
        number = bytes([0x80 + len(number)]) + number
    body = b"\x94" + bytes.fromhex(sender[2:]) + number
    return Web3.to_checksum_address(keccak(bytes([0xC0 + len(body)]) + body)[12:])


def canary(desk: Desk) -> bytes:
    """A statement of a desk's model that shall be false: WRONG is not its output for IMAGE."""
    return keccak(encode(["bytes32", "bytes", "bytes"], [desk.model_id, IMAGE, WRONG]))


def guard(desk: Desk) -> Contract:
    """The desk's verifier, behind a guard with that canary."""
    return desk.chain.deploy(
        "contracts/assurance/GuardedVerifier.sol",
        desk.verifier.address,
        desk.registry.address,
        canary(desk),
    )


class Bench(Desk):
    """A desk whose requests name the optimistic tier; `payee` is the operator, and has stake."""

    def __init__(
        self,
        chain: Chain,
        parameters: tuple[int, ...] = PARAMETERS,
        *,
        registry: Contract | None = None,
        verifier: Contract | None = None,
        guarded: bool = False,
        beacon: Contract | None = None,
    ) -> None:
        super().__init__(chain)
        self.registry, self.verifier = registry or self.registry, verifier or self.verifier
        if guarded:
            self.verifier = guard(self)
        self.operator, self.challenger, self.rival = self.payee, *chain.accounts[5:7]
        deployer = chain.accounts[0]
        nonce = chain.web3.eth.get_transaction_count(deployer)
        self.vault = self.open_vault(
            [created(deployer, nonce + 1), created(deployer, nonce + 2), ZERO, ZERO]
        )
        made = "OptimisticAssurance" if beacon is None else "AuditedAssurance"
        self.optimistic = chain.deploy(
            f"contracts/assurance/{made}.sol",
            self.oracle.address,
            self.verifier.address,
            self.registry.address,
            self.vault.address,
            parameters,
            *([] if beacon is None else [beacon.address]),
        )
        self.pin = bytes(chain.call(self.optimistic.functions.pin()))
        self.locker = chain.deploy(f"{HARNESS}/Locker.sol", self.vault.address)

    def open_vault(self, tiers: list[str]) -> Contract:
        return self.chain.deploy("contracts/assurance/StakeVault.sol", tiers)

    def stake(self, amount: int = 10 * ETHER, owner: str = "") -> None:
        self.chain.send(self.vault.functions.stake(), sender=owner or self.operator, value=amount)

    def sponsor(self, owner: str, amount: int = 10 * ETHER) -> None:
        """A contract that stakes, and lets the operator answer for it."""
        self.chain.set_balance(owner, amount + ETHER)
        self.chain.rpc("anvil_impersonateAccount", owner)
        self.stake(amount, owner)
        self.chain.send(self.vault.functions.appoint(self.operator), sender=owner)
        self.chain.rpc("anvil_stopImpersonatingAccount", owner)

    def request(self, **fields: Any) -> Request:
        return super().request(**{"assurance": self.optimistic.address, "terms": terms(), **fields})

    # --- moves ----------------------------------------------------------------------------------

    def post(self, request: Request, *, sender: str = "", **claim: Any) -> Any:
        """Hands a claim in without evidence: an operator's answer, or what the clock says."""
        function = self.answering(request, proof=b"", **claim)
        return self.chain.send(function, sender=sender or self.operator, gas=5_000_000)

    def posted(self, output: bytes = LOGITS, **fields: Any) -> Request:
        """A request with the operator's answer standing."""
        request = self.request(**fields)
        self.ask(request)
        self.post(request, output=output)
        return request

    def prove(self, request: Request, *, sender: str = "", **claim: Any) -> Any:
        """Proves a claim with nothing else in the evidence."""
        return self.chain.send(
            self.answering(request, **claim), sender=sender or self.prover, gas=5_000_000
        )

    def refuting(
        self, request: Request, stands: bytes = WRONG, *, payee: str = "", output: bytes = LOGITS
    ) -> Any:
        """Proves another output than stands."""
        payee = payee or self.prover
        named = encode(["address", "bytes32"], [self.operator, keccak(stands)])
        proof = named + self.proof(request, payee, output=output)
        return self.answering(request, payee=payee, output=output, proof=proof)

    def refute(self, request: Request, stands: bytes = WRONG, **claim: Any) -> Any:
        return self.chain.send(
            self.refuting(request, stands, **claim), sender=self.prover, gas=5_000_000
        )

    def commitment(
        self, request: Request, challenger: str, output: bytes = LOGITS, salt: bytes = bytes(32)
    ) -> bytes:
        return keccak(
            encode(
                ["address", "bytes32", "address", "bytes32", "bytes32"],
                [
                    self.optimistic.address,
                    self.request_id(request),
                    challenger,
                    keccak(output),
                    salt,
                ],
            )
        )

    def disputing(self, request: Request, stands: bytes = WRONG, commitment: bytes = b"") -> Any:
        return self.optimistic.functions.dispute(
            request.fields,
            self.operator,
            keccak(stands),
            commitment or self.commitment(request, self.challenger),
        )

    def dispute(
        self,
        request: Request,
        stands: bytes = WRONG,
        *,
        sender: str = "",
        commitment: bytes = b"",
        bond: int = BOND,
    ) -> Any:
        sender = sender or self.challenger
        commitment = commitment or self.commitment(request, sender)
        return self.chain.send(
            self.disputing(request, stands, commitment), sender=sender, value=bond
        )

    def tell(self, name: str, *arguments: Any, sender: str = "") -> Any:
        """One of the tier's own functions."""
        function = self.optimistic.functions[name](*arguments)
        return self.chain.send(function, sender=sender or self.stranger)

    def close(self, request: Request, output: bytes = LOGITS) -> Any:
        return self.tell("close", request.fields, self.operator, keccak(output))

    def wait(self, seconds: int) -> None:
        """Puts the next block that long after the latest."""
        self.chain.next_timestamp(self.chain.now() + seconds)

    # --- what came of it ------------------------------------------------------------------------

    def account(self, owner: str = "") -> dict[str, int]:
        names = ("stake", "locked", "queued", "ready_at", "load", "suspended")
        values = self.chain.call(self.vault.functions.accountOf(owner or self.operator))
        return dict(zip(names, values, strict=True))

    def owed(self, account: str) -> int:
        """Credit in the vault, in gwei."""
        return int(self.chain.call(self.vault.functions.credit(account)))

    def burned(self) -> int:
        return int(self.chain.call(self.vault.functions.burned()))

    def since(self, request: Request) -> int:
        """When the claim of a request was made."""
        return int(self.chain.call(self.oracle.functions.claimOf(self.request_id(request)))[2])

    def disputed(self, request: Request) -> bool:
        case = self.chain.call(self.optimistic.functions.caseOf(self.request_id(request)))
        return bool(case[0])

    def outcome(self, request: Request) -> int:
        case = self.chain.call(self.optimistic.functions.caseOf(self.request_id(request)))
        return int(case[4])
