"""What all kinds of evidence have in common: the policy, the result, the refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from cryptography import x509

from prover.errors import EinproofError


class Kind(StrEnum):
    """Whose hardware vouches."""

    SGX = "sgx"  # Intel, an enclave
    TDX = "tdx"  # Intel, a virtual machine
    SNP = "snp"  # AMD, a virtual machine
    NITRO = "nitro"  # AWS, an enclave
    NVIDIA = "nvidia"  # a GPU
    TPM = "tpm"  # a machine's boot


class AttestationError(EinproofError):
    """Evidence that is refused; what was expected, and what came."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.what, self.expected, self.got = what, expected, got


class MalformedEvidence(AttestationError):
    """Bytes that are not of the format."""


class SignatureInvalid(AttestationError):
    """A signature that its key did not make."""


class UntrustedRoot(AttestationError):
    """A chain of certificates that does not lead, by keys that may sign so, to a pinned root."""


class Expired(AttestationError):
    """Something was not valid yet, or no longer, at the time of verification."""


class Revoked(AttestationError):
    """A certificate that its issuer took back, or one of which that cannot be told."""


class DebugMode(AttestationError):
    """Hardware whose owner can look in: it vouches for nothing."""


class TcbRefused(AttestationError):
    """Firmware or microcode of a level that the policy does not take."""


class UnexpectedValue(AttestationError):
    """A nonce, a measurement or a field other than the one that was asked for."""


@dataclass(frozen=True)
class Policy:
    """What is asked of evidence.

    roots: SHA-256 of the root certificates (DER) that are trusted; at: the time to verify for, with
    a time zone; report_data: what the evidence must carry (a nonce, a hash of a key), None for
    anything; measurements: those that must be as given; crls: revocation lists (DER) of issuers in
    the chain, none of them stale; every issuer that `crl_issuers` names by its common name must
    have one; statuses: levels of Intel's TCB that are taken; tcb: least numbers of AMD's levels by
    name, for no other kind has numbers; allow_debug:
    for looking at evidence of hardware under debugging, which nothing may rely on.
    """

    roots: frozenset[bytes]
    at: datetime
    report_data: bytes | None = None
    measurements: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    crls: tuple[bytes, ...] = ()
    crl_issuers: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset({"UpToDate"})
    tcb: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    allow_debug: bool = False

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"expected a time with its zone, got {self.at}")


@dataclass(frozen=True)
class Attested:
    """What evidence shows. key: the public key (DER) that the evidence itself vouches for, if any;
    valid_until: when the first of its certificates ends; status: the level of its firmware, in
    words; levels: in numbers, where they have names (AMD's); certificates: the leaf first, the root
    last."""

    kind: Kind
    measurements: Mapping[str, bytes]
    report_data: bytes
    valid_until: datetime
    key: bytes | None = None
    status: str = ""
    advisories: tuple[str, ...] = ()
    levels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    certificates: tuple[x509.Certificate, ...] = ()


def check(attested: Attested, policy: Policy) -> Attested:
    """The values that the policy names; the last step of every kind. Raises UnexpectedValue,
    TcbRefused for least numbers of levels that the evidence has not."""
    unknown = sorted(set(policy.tcb) - set(attested.levels))
    if unknown:
        levels = ", ".join(attested.levels) or "no level by number"
        raise TcbRefused(f"{attested.kind} levels", levels, ", ".join(unknown))
    expected = policy.report_data
    if expected is not None and attested.report_data != expected:
        got = attested.report_data.hex()
        raise UnexpectedValue(f"{attested.kind} report data", expected.hex(), got)
    for name, value in policy.measurements.items():
        held = attested.measurements.get(name)
        if held != value:
            got = "none" if held is None else held.hex()
            raise UnexpectedValue(f"{attested.kind} measurement {name}", value.hex(), got)
    return attested
