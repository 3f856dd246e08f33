"""Combinations of tiers on a hall's chain: audited and attested, or a committee and attested. Each
part is deployed for the address where the combination will be."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any, Self

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.contracts.bench import DAY, HOUR, PARAMETERS, created, terms
from tests.contracts.council import RULES, START, Council
from tests.contracts.desk import IMAGE, LOGITS, OPEN, Request
from tests.contracts.hall import Hall
from tests.contracts.test_audits import deciding, lot, time_of
from tests.evm import Chain

#: A part: its source, what its constructor takes after the vault, the terms that are fixed for it.
Part = tuple[str, tuple[Any, ...], bytes]
RATE = 5000
AUDITS = terms(coverage=0, proving=0, audits=RATE)
SOURCE = "contracts/assurance/CombinedAssurance.sol"


def each(*evidence: bytes) -> bytes:
    """Evidence for every part."""
    return b"\0" + encode(["bytes[]"], [evidence])


def alone(part: int, evidence: bytes = b"") -> bytes:
    """Evidence for one."""
    return bytes([part + 1]) + evidence


class Ensemble(Hall):
    """Requests name the combination; `optimistic` is the part that `of` names, else the last."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain, guarded=True)
        self.beacon = chain.deploy("contracts/random/DevelopmentBeacon.sol")
        self.combine(*self.wanted())

    def wanted(self) -> list[Part]:
        """Audited and attested."""
        return [
            (
                "contracts/assurance/AuditedAssurance.sol",
                (PARAMETERS, self.beacon.address),
                AUDITS,
            ),
            self.attested(),
        ]

    def attested(self) -> Part:
        hour = (HOUR, HOUR, *PARAMETERS[2:])
        return (
            "contracts/attested/AttestedAssurance.sol",
            (hour, self.attestations.address),
            bytes(32),
        )

    def combine(self, *wanted: Part) -> None:
        deployer = self.chain.accounts[0]
        nonce = self.chain.web3.eth.get_transaction_count(deployer)
        addresses = [created(deployer, nonce + 1 + at) for at in range(len(wanted) + 1)]
        self.vault = self.open_vault(addresses[:-1])
        pinned = (self.verifier.address, self.registry.address, self.vault.address)
        self.parts = [
            self.chain.deploy(source, addresses[-1], *pinned, *more) for source, more, _ in wanted
        ]
        self.fixed = [terms for *_, terms in wanted]
        named = list(zip([part.address for part in self.parts], self.fixed, strict=True))
        self.combined = self.chain.deploy(SOURCE, self.oracle.address, named)
        assert [*(part.address for part in self.parts), self.combined.address] == addresses
        self.pins = [bytes(self.chain.call(part.functions.pin())) for part in self.parts]
        self.pin = bytes(self.chain.call(self.combined.functions.pin()))
        self.optimistic = self.parts[-1]

    def of(self, part: int) -> Self:
        """The same, playing with that part."""
        other = copy(self)
        other.optimistic = self.parts[part]
        return other

    # --- requests -------------------------------------------------------------------------------

    def request(self, **fields: Any) -> Request:
        plain = {"assurance": self.combined.address, "pin": self.pin, "terms": terms()}
        return super().request(**{**plain, "deadline": self.chain.now() + DAY, **fields})

    def seen(self, request: Request, part: int) -> Request:
        """The request as a part sees it."""
        whole = int.from_bytes(request.terms, "big") | int.from_bytes(self.fixed[part], "big")
        return replace(
            request,
            assurance=self.parts[part].address,
            pin=self.pins[part],
            terms=whole.to_bytes(32, "big"),
        )

    def request_id(self, request: Request) -> bytes:
        """The whole one's, also of what a part sees."""
        addresses = [part.address for part in self.parts]
        if request.assurance in addresses:
            shared = int.from_bytes(request.terms, "big") % 2**55
            request = replace(
                request,
                assurance=self.combined.address,
                pin=self.pin,
                terms=shared.to_bytes(32, "big"),
            )
        return super().request_id(request)

    # --- moves ----------------------------------------------------------------------------------

    def hand_in(self, request: Request, evidence: bytes, *, sender: str = "", **claim: Any) -> Any:
        function = self.answering(request, proof=evidence, **claim)
        return self.chain.send(function, sender=sender or self.stranger, gas=8_000_000)

    def first(self, request: Request, output: bytes = LOGITS) -> bytes:
        """What the operator's answer brings for each part."""
        return each(b"", self.attestation(request, output))

    def post(self, request: Request, *, sender: str = "", **claim: Any) -> Any:
        """The operator's answer, or what all clocks say."""
        if self.status(request)[0] != OPEN:
            return self.hand_in(request, b"", sender=sender, **claim)
        evidence = self.first(request, claim.get("output", LOGITS))
        return self.hand_in(request, evidence, sender=sender or self.operator, **claim)

    def fail(self, request: Request, part: int, output: bytes = LOGITS) -> Any:
        """What a part's clock says, which is that it gives the claim back."""
        return self.hand_in(request, alone(part), output=output)

    def concluding(
        self,
        request: Request,
        part: int,
        output: bytes = LOGITS,
        evidence: bytes = b"",
        payee: str = "",
    ) -> Any:
        return self.combined.functions.conclude(
            request.fields, part, IMAGE, payee or self.operator, output, evidence
        )

    def conclude(self, request: Request, part: int, output: bytes = LOGITS, **how: Any) -> Any:
        function = self.concluding(request, part, output, **how)
        return self.chain.send(function, sender=self.stranger, gas=8_000_000)

    def refutation(self, request: Request, stands: bytes, output: bytes = LOGITS) -> bytes:
        """Of what stands, for a part with an operator's stake."""
        named = encode(["address", "bytes32"], [self.operator, keccak(stands)])
        return named + self.proof(request, self.prover, output=output)

    # --- draws ----------------------------------------------------------------------------------

    def drawing(
        self, drawn: bool, output: bytes = LOGITS, *, at: int = 0, first: int = 0, **fields: Any
    ) -> Request:
        """A claim that the beacon will draw for an audit, or will not."""
        at = at or self.chain.now() + 10
        fields = {"deadline": at + DAY, **fields}
        for nonce in range(first, first + 100):
            request = self.request(nonce=nonce, **fields)
            if (lot(self, request, deciding(at)) < RATE) is drawn:
                break
        self.ask(request)
        self.chain.next_timestamp(at)
        self.post(request, output=output)
        assert self.since(request) == at
        return request

    def publish(self, request: Request) -> int:
        """The round that decides about a claim, once its window is over; its time."""
        round = deciding(self.since(request))
        if self.chain.now() < time_of(round):
            self.chain.next_timestamp(time_of(round))
        self.chain.send(self.beacon.functions.publish(round, b""), sender=self.stranger)
        return time_of(round)

    def outwait(self, request: Request) -> None:
        """The round is published, and the hour over in which others may be said to be drawn."""
        self.publish(request)
        self.wait(HOUR + 1)

    # --- what came of it ------------------------------------------------------------------------

    def claim_for(self, request: Request, part: int) -> int:
        """Where it stands for a part."""
        function = self.combined.functions.claimFor(self.request_id(request), part)
        asked = self.combined.functions.claimOf(self.request_id(request))
        status = self.chain.call(function)
        assert self.chain.call(asked, sender=self.parts[part].address) == status
        return int(status[0])


class Assembly(Ensemble):
    """A committee (5 of 7) and attested."""

    def wanted(self) -> list[Part]:
        committee = ("contracts/committee/CommitteeAssurance.sol", (self.beacon.address, RULES))
        return [(*committee, bytes(32)), self.attested()]

    def convene(self) -> bytes:
        """Seats are taken, and the day's members drawn."""
        council: Council = Council.__new__(Council)
        council.__dict__.update(self.__dict__)
        council.council, council.collector = self.parts[0], self.operator
        self.council = council
        owners = [*self.chain.accounts[3:10], *self.chain.accounts[8:10]]
        for owner in dict.fromkeys(owners):
            self.stake(owner=owner)
        for seat, owner in enumerate(owners):
            council.tell("enrol", seat, sender=owner)
        self.members = council.begin(START // DAY)
        return self.members

    def quorum(self, request: Request, output: bytes = LOGITS) -> bytes:
        """Five members' words, encoded."""
        return Council.encoded(self.council.quorum(request, self.members, output=output))

    def first(self, request: Request, output: bytes = LOGITS) -> bytes:
        return each(b"\1" + self.quorum(request, output), self.attestation(request, output))

    def refuted(self, request: Request, stands: bytes, output: bytes = LOGITS) -> bytes:
        """Of what the members agreed on, for the committee."""
        words = [self.operator, keccak(stands), self.quorum(request, stands)]
        proof = self.proof(request, self.prover, output=output)
        return b"\2" + encode(["address", "bytes32", "bytes", "bytes"], [*words, proof])
