"""A bench whose tier is the attested one: three attesters, TPMs and keys made by the tests."""

from __future__ import annotations

from dataclasses import astuple, replace
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract

from oracle.attestation import Kind
from oracle.attestation.quote import level, measured, split
from oracle.domain import attested
from oracle.domain.attested import (
    Answering,
    DcapEvidence,
    Enrolment,
    Hardware,
    Level,
    TpmEvidence,
    Voucher,
)
from tests.attestation.authority import (
    Intel,
    sized,
    tpm_policy,
    tpm_public,
    tpm_quote,
    tpm_statement,
)
from tests.contracts.bench import DAY, HOUR, PARAMETERS, Bench, created
from tests.contracts.desk import LOGITS, ZERO, Request
from tests.evm import Chain

DELAY, LIFE = 2 * DAY, 7 * DAY
REGISTERS = {0: b"\0" * 32, 7: b"\7" * 32}
WINDOW = HOUR + 60
INTEL = Intel()
Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def point(key: Key) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def words(key: Key) -> tuple[bytes, bytes]:
    return point(key)[:32], point(key)[32:]


def sign(key: Key, digest: bytes) -> tuple[bytes, bytes]:
    signature = key.sign(digest, ec.ECDSA(utils.Prehashed(SHA256())))
    r, s = utils.decode_dss_signature(signature)
    return r.to_bytes(32, "big"), s.to_bytes(32, "big")


class Hall(Bench):
    def __init__(self, chain: Chain, *, guarded: bool = False) -> None:
        super().__init__(chain, guarded=guarded)
        self.attesters = chain.accounts[7:10]
        self.models = self.registry
        self.intel = INTEL
        self.dcap = chain.deploy("contracts/attested/Dcap.sol", *words(self.intel.root.key))
        self.attestations = self.make_registry((self.attesters, 2, DELAY, LIFE))
        deployer = chain.accounts[0]
        nonce = chain.web3.eth.get_transaction_count(deployer)
        tiers = [created(deployer, nonce + 1), ZERO, ZERO, ZERO]
        self.vault = chain.deploy("contracts/assurance/StakeVault.sol", tiers)
        self.optimistic = chain.deploy(
            "contracts/attested/AttestedAssurance.sol",
            self.oracle.address,
            self.verifier.address,
            self.registry.address,
            self.vault.address,
            (HOUR, HOUR, *PARAMETERS[2:]),
            self.attestations.address,
        )
        self.pin = bytes(chain.call(self.optimistic.functions.pin()))
        self.key, self.tpm = new_key(), new_key()
        self.until = chain.now() + 300 * DAY

    def make_registry(self, rules: tuple[Any, ...]) -> Contract:
        name = "contracts/attested/AttestationRegistry.sol"
        return self.chain.deploy(name, self.models.address, rules, self.dcap.address)

    @property
    def where(self) -> tuple[int, str]:
        return self.chain.web3.eth.chain_id, self.attestations.address

    # --- enrolling ------------------------------------------------------------------------------

    def voucher(self, **fields: Any) -> Voucher:
        plain = Voucher(Hardware.TPM, False, *words(self.tpm), self.until)
        return replace(plain, **fields)

    def enrolment(self, **fields: Any) -> Enrolment:
        key = fields.pop("key", self.key)
        plain = Enrolment(
            Hardware.TPM, False, self.operator, self.model_id, self.measurement(), *words(key),
            self.until,
        )  # fmt: skip
        return replace(plain, **fields)

    def measurement(self, registers: dict[int, bytes] = REGISTERS) -> bytes:
        """SHA-256 over a quote's body: which registers, and their digest."""
        quote, _ = tpm_quote(bytes(32), registers)
        return sha256(quote[len(tpm_statement(0x8018, bytes(32), b"")) :]).digest()

    def binding(self, enrolment: Enrolment) -> bytes:
        return attested.binding(
            *self.where, enrolment.owner, enrolment.model_id, enrolment.x + enrolment.y
        )

    def evidence(self, enrolment: Enrolment, **changes: Any) -> TpmEvidence:
        """As a TPM would give it; `nonce`, `registers`, `tpm`, `certify` (a key), `policy` and
        `attributes` (of the key) bend it."""
        nonce = changes.get("nonce", self.binding(enrolment))
        tpm = changes.get("tpm", self.tpm)
        quote, _ = tpm_quote(nonce, changes.get("registers", REGISTERS))
        policy = changes.get("policy", tpm_policy(REGISTERS))
        area = tpm_public(
            changes.get("certify", self.key), policy, changes.get("attributes", 0x40032)
        )
        name = sized(b"\x00\x0b" + sha256(area).digest())
        certified = tpm_statement(0x8017, changes.get("certify_nonce", nonce), name + sized(b"q"))
        if changes.get("swapped"):
            quote, certified = certified, quote
        return TpmEvidence(
            changes.get("voucher", self.voucher()),
            quote,
            sign(tpm, sha256(quote).digest()),
            certified,
            sign(tpm, sha256(certified).digest()),
        )

    def intel_evidence(
        self, kind: Hardware, said: bytes | None = None, **how: Any
    ) -> tuple[Enrolment, DcapEvidence, Level]:
        """An enclave's, or a virtual machine's, for the ordinary enrolment; `said` in place of its
        binding, the rest as Intel.quote has it."""
        plain = self.enrolment(kind=kind)
        intel = how.pop("intel", self.intel)
        until = how.pop("until", self.until)
        tdx = kind is Hardware.TDX
        return self.taken_apart(kind, intel.quote(said or self.binding(plain), tdx, **how), until)

    def taken_apart(
        self, kind: Hardware, data: bytes, until: int
    ) -> tuple[Enrolment, DcapEvidence, Level]:
        """What a quote stands for, whether it is good or not."""
        named = Kind[kind.name]
        quote = split(named, data)
        halves = [
            (each[:32], each[32:]) for each in (quote.signature, quote.key, quote.engine_signature)
        ]
        evidence = DcapEvidence(
            quote.signed, halves[0], halves[1], quote.engine, halves[2], quote.extra,
            quote.pck.public_bytes(Encoding.DER), quote.authority.public_bytes(Encoding.DER), until,
        )  # fmt: skip
        measurement = measured(named, quote.body)
        enrolment = self.enrolment(kind=kind, measurement=measurement)
        return enrolment, evidence, level(named, quote, until)

    def admit_level(self, enrolment: Enrolment, level: Level) -> None:
        """The level and the build that the enrolment needs."""
        self.admit(attested.level_statement(*self.where, level))
        build = (enrolment.kind, enrolment.model_id, enrolment.measurement)
        self.admit(attested.build_statement(*self.where, *build))

    def admit(self, statement: bytes, by: int = 2) -> None:
        for attester in self.attesters[:by]:
            self.tell_registry("approve", statement, b"what I saw", sender=attester)

    def admit_all(self) -> None:
        """The voucher and the build that an ordinary enrolment needs."""
        self.admit(attested.voucher_statement(*self.where, self.voucher()))
        build = (Hardware.TPM, self.model_id, self.measurement())
        self.admit(attested.build_statement(*self.where, *build))

    def enrolling(self, enrolment: Enrolment, evidence: bytes) -> Any:
        return self.attestations.functions.enrol(astuple(enrolment), evidence)

    def enrol(self, enrolment: Enrolment | None = None, evidence: bytes | None = None) -> bytes:
        """Sends it as the owner; the key's id."""
        enrolment = enrolment or self.enrolment()
        data = self.evidence(enrolment).encoded if evidence is None else evidence
        self.chain.send(self.enrolling(enrolment, data), sender=enrolment.owner)
        return attested.key_id(enrolment.owner, enrolment.model_id, enrolment.x + enrolment.y)

    def ready(self) -> None:
        """The operator has a key that counts, and stake."""
        self.admit_all()
        self.enrol()
        self.wait(DELAY)
        self.stake()

    def tell_registry(self, name: str, *arguments: Any, sender: str = "") -> Any:
        function = self.attestations.functions[name](*arguments)
        return self.chain.send(function, sender=sender or self.stranger)

    def revoke(self, sender: str = "", key: Key | None = None) -> Any:
        named = (self.operator, self.model_id, *words(key or self.key))
        return self.tell_registry("revoke", *named, sender=sender or self.operator)

    # --- answering ------------------------------------------------------------------------------

    def said(self, request: Request, output: bytes = LOGITS, **changes: Any) -> bytes:
        claim = Answering(
            changes.get("tier", self.optimistic.address),
            changes.get("request_id", self.request_id(request)),
            request.model_id,
            request.input_hash,
            changes.get("owner", self.operator),
            output,
        )
        return attested.said(changes.get("chain_id", self.where[0]), claim)

    def attestation(self, request: Request, output: bytes = LOGITS, **changes: Any) -> bytes:
        key = changes.pop("key", self.key)
        r, s = sign(key, self.said(request, output, **changes))
        return point(key) + r + s

    def attesting(self, request: Request, output: bytes = LOGITS, **how: Any) -> Any:
        """The operator's answer; `evidence` in place of its signature."""
        payee = how.pop("payee", self.operator)
        evidence = how.pop("evidence", None) or self.attestation(request, output, **how)
        return self.answering(request, payee=payee, output=output, proof=evidence)

    def post(self, request: Request, *, sender: str = "", **claim: Any) -> Any:
        """With the key's signature for a first answer, without for what the clock says."""
        if self.status(request)[0] != 1:
            return super().post(request, sender=sender, **claim)
        function = self.attesting(request, **claim)
        return self.chain.send(function, sender=sender or self.operator, gas=5_000_000)

    def one(self, request: Request, output: bytes = LOGITS, **changes: Any) -> tuple[Any, ...]:
        """IAttestationRegistry.Said."""
        r, s = sign(changes.pop("key", self.key), self.said(request, output, **changes))
        tier = self.optimistic.address
        return tier, self.request_id(request), keccak(output), r, s

    def contradicting(self, one: Any, other: Any, input_hash: bytes = b"") -> Any:
        named = (self.operator, self.model_id, *words(self.key))
        return self.attestations.functions.contradict(*named, input_hash, one, other)


__all__ = ["DAY", "DELAY", "HOUR", "LIFE", "REGISTERS", "WINDOW", "Hall", "encode"]
