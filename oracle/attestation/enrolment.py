"""From evidence to the enrolment of an answer key: what an attester decides, and what a TPM gives.

An attester runs `decide` on what an owner published, and approves what comes out of it, if it took
the measurements for a build of the model (docs/attestation.md). Evidence of a live TPM and of SGX
and TDX is decided by the contract; `from_tpm` and `from_quote` make it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives.serialization import Encoding

from oracle.attestation import VERIFIERS, verify
from oracle.attestation.evidence import (
    Attested,
    DebugMode,
    Kind,
    MalformedEvidence,
    Policy,
    TcbRefused,
    UnexpectedValue,
)
from oracle.attestation.quote import level, measured, split
from oracle.attestation.tpm import DIGEST, Sealed, quoted_policy, signature_bytes, statement
from oracle.domain.attested import (
    WORD,
    DcapEvidence,
    Enrolment,
    Hardware,
    Level,
    TpmEvidence,
    Voucher,
    binding,
)

#: Kinds whose quotes the contract decides.
QUOTED = frozenset({Kind.SGX, Kind.TDX})
#: Kinds whose report data are 64 bytes: the binding, and zeros.
LONG = frozenset({Kind.SGX, Kind.TDX, Kind.SNP})
LONG_BYTES = 64
#: Seconds for which evidence enrols by attesters' word: the registry's delay (48 h) and life (7 d).
FRESH = 9 * 86_400


@dataclass(frozen=True)
class Applicant:
    """Who enrols which key for what: x and y of `point`, as the registry on its chain knows it."""

    chain_id: int
    registry: str
    owner: str
    model_id: bytes
    point: bytes

    @property
    def binding(self) -> bytes:
        """What evidence must carry."""
        return binding(self.chain_id, self.registry, self.owner, self.model_id, self.point)


class Quoting(Protocol):
    """A TPM that quotes its registers and certifies an answer key (oracle/adapters/tpm.py)."""

    @property
    def is_software(self) -> bool: ...

    def attestation_point(self) -> bytes: ...

    def quote(self, nonce: bytes, registers: Sequence[int]) -> Signed: ...

    def certify(self, key: Sealed, nonce: bytes) -> Signed: ...


class Signed(Protocol):
    @property
    def statement(self) -> bytes: ...

    @property
    def signature(self) -> tuple[bytes, bytes]: ...


def decide(
    kind: Kind,
    parts: Mapping[str, bytes],
    policy: Policy,
    applicant: Applicant,
    names: Sequence[str],
    until: int | None = None,
) -> Enrolment:
    """The enrolment that evidence bound to the applicant stands for; `names` are the measurements
    that make the build, `until` its end by the attester's word: what was fresh at the policy's time
    is good for one key's life at most (FRESH), however long its certificate is.

    Raises AttestationError, DebugMode for a policy that would look past it, UnexpectedValue for a
    measurement that the evidence lacks, a later end, a kind of which the contract takes no
    attester's word, or one that holds no key (a GPU), TcbRefused where the evidence has levels by
    number and the policy no least one of each."""
    if kind in QUOTED:
        raise UnexpectedValue("kind", "one that attesters decide", kind)
    if kind is Kind.NVIDIA:  # any host's key can be its nonce: it measures no program, holds no key
        raise UnexpectedValue("kind", "one that holds the key: a GPU stands beside a machine", kind)
    shown = examine(kind, parts, policy, applicant)
    unnamed = sorted(set(shown.levels) - set(policy.tcb))
    if unnamed:  # AMD signs no list of levels that are good: who admits one has to say so
        least = "a least number of each, and none was named of " + ", ".join(unnamed)
        raise TcbRefused(f"{kind} levels", least, shown.status)
    missing = sorted(set(names) - set(shown.measurements))
    if missing or not names:
        raise UnexpectedValue(f"{kind} measurements", sorted(names), sorted(shown.measurements))
    word = measurement({name: shown.measurements[name] for name in names})
    latest = policy.at + timedelta(seconds=FRESH)
    return enrolment_of(
        Hardware[kind.name], applicant, word, bounded(f"{kind} enrolment", until, policy, latest)
    )


def bounded(what: str, until: int | None, policy: Policy, latest: datetime) -> int:
    """An end that lies after the time of verification and is not past the latest, which it is if
    nobody names another. Raises UnexpectedValue."""
    end = int(latest.timestamp())
    if until is None:
        return end
    if not policy.at.timestamp() < until <= end:
        expected = f"one after {policy.at.isoformat()} and up to {latest.isoformat()}"
        raise UnexpectedValue(f"{what}'s end", expected, datetime.fromtimestamp(until, UTC))
    return until


def from_quote(
    kind: Kind,
    parts: Mapping[str, bytes],
    policy: Policy,
    applicant: Applicant,
    until: int | None = None,
) -> tuple[Enrolment, DcapEvidence, Level]:
    """What a quote of SGX or TDX and its collateral stand for: the enrolment, the evidence that the
    contract takes, the level of the firmware that attesters admit until a second (at most, and by
    default, as long as the collateral). Raises AttestationError, and DebugMode as `decide` does."""
    if kind not in QUOTED:
        raise UnexpectedValue("kind", "sgx or tdx", kind)
    shown = examine(kind, parts, policy, applicant)
    quote = split(kind, parts["quote"])
    end = bounded(f"{kind} level", until, policy, shown.valid_until)
    found = level(kind, quote, end)
    word = measured(kind, quote.body)
    enrolment = enrolment_of(Hardware[kind.name], applicant, word, found.until)
    evidence = DcapEvidence(
        quote.signed,
        _pair(quote.signature),
        _pair(quote.key),
        quote.engine,
        _pair(quote.engine_signature),
        quote.extra,
        quote.pck.public_bytes(Encoding.DER),
        quote.authority.public_bytes(Encoding.DER),
        found.until,
    )
    return enrolment, evidence, found


def examine(
    kind: Kind, parts: Mapping[str, bytes], policy: Policy, applicant: Applicant
) -> Attested:
    """Evidence that is bound to the applicant, of hardware that nobody could look into."""
    if policy.allow_debug:
        raise DebugMode(f"{kind} policy", "one that refuses debugging", "allow_debug")
    bound = applicant.binding
    expected = bound.ljust(LONG_BYTES, b"\0") if kind in LONG else bound
    return verify(kind, parts, replace(policy, report_data=expected))


def _pair(data: bytes) -> tuple[bytes, bytes]:
    return data[:WORD], data[WORD:]


def measurement(values: Mapping[str, bytes]) -> bytes:
    """SHA-256 over names and values, each after its length (4 bytes), in the names' order."""
    words = [word for name in sorted(values) for word in (name.encode(), values[name])]
    return sha256(b"".join(len(word).to_bytes(4, "big") + word for word in words)).digest()


def tpm_measurement(quote: bytes) -> bytes:
    """SHA-256 over what a quote says: which registers, and their digest. Raises
    MalformedEvidence."""
    body = statement(quote).body
    return sha256(body.data[body.at :]).digest()


def evidence_bytes(kind: Kind, parts: Mapping[str, bytes]) -> bytes:
    """The parts as they are published: each after its length (4 bytes), in the kind's order."""
    names, _ = VERIFIERS[kind]
    if set(parts) != set(names):
        raise MalformedEvidence(kind, f"the parts {', '.join(names)}", f"{sorted(parts)}")
    return b"".join(len(parts[name]).to_bytes(4, "big") + parts[name] for name in names)


def voucher_of(tpm: Quoting, until: int) -> Voucher:
    """The attestation key of a live TPM, valid until a time of the attester's."""
    point = tpm.attestation_point()
    return Voucher(Hardware.TPM, tpm.is_software, point[:32], point[32:], until)


def from_tpm(
    tpm: Quoting, applicant: Applicant, key: Sealed, voucher: Voucher
) -> tuple[Enrolment, TpmEvidence]:
    """What a live TPM gives for an answer key: the registers of its policy quoted and the key
    certified, both for this applicant. Raises UnexpectedValue where the key is for another state
    than the quoted: the contract would refuse it."""
    nonce = applicant.binding
    quoted, certified = tpm.quote(nonce, key.registers), tpm.certify(key, nonce)
    if (policy := quoted_policy(quoted.statement)) != key.policy:
        raise UnexpectedValue("TPM key's policy", policy.hex(), key.policy.hex())
    word = tpm_measurement(quoted.statement)
    evidence = TpmEvidence(
        voucher, quoted.statement, quoted.signature, certified.statement, certified.signature
    )
    return enrolment_of(Hardware.TPM, applicant, word, voucher.until), evidence


def quoted_parts(proof: TpmEvidence, registers: Sequence[bytes]) -> dict[str, bytes]:
    """A live TPM's quote as the parts that `tpm.verify` takes, but for the chain: who knows the TPM
    makes it. `registers`: those that were quoted, ascending. Raises UnexpectedValue for others."""
    pcrs = b"".join(registers)
    if sha256(pcrs).digest() != (quoted := proof.quote[-DIGEST:]):  # the last field of a quote
        raise UnexpectedValue("TPM registers", quoted.hex(), sha256(pcrs).hexdigest())
    signature = signature_bytes(proof.quote_signature)
    return {"quote": proof.quote, "signature": signature, "pcrs": pcrs}


def enrolment_of(kind: int, applicant: Applicant, measurement: bytes, until: int) -> Enrolment:
    """An applicant's, of a measurement, until a second."""
    x, y = _pair(applicant.point)
    return Enrolment(kind, False, applicant.owner, applicant.model_id, measurement, x, y, until)
