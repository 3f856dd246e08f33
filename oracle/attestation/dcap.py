"""Intel SGX and TDX: DCAP quotes with their collateral, decided by dcap-qvl (Rust, offline).

Source: Intel SGX DCAP Quote Verification Library API; Intel TDX DCAP quoting documentation.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import dcap_qvl  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from oracle.attestation.chain import from_pem, list_ends
from oracle.attestation.evidence import (
    AttestationError,
    Attested,
    DebugMode,
    Expired,
    Kind,
    MalformedEvidence,
    Policy,
    Revoked,
    SignatureInvalid,
    TcbRefused,
    UnexpectedValue,
    UntrustedRoot,
    check,
)
from oracle.attestation.quote import body_of, fields

SGX_DEBUG, TD_DEBUG = 0x02, 0x01
#: What dcap-qvl says, and which refusal it is; the first that fits.
REASONS: tuple[tuple[str, type[AttestationError]], ...] = (
    ("revoked", Revoked),
    ("debug", DebugMode),
    ("expired", Expired),
    ("issue date", Expired),
    ("not yet valid", Expired),
    ("notvalidyet", Expired),
    ("certexpired", Expired),
    ("future", Expired),
    ("unknownissuer", UntrustedRoot),
    ("root", UntrustedRoot),
    ("signature", SignatureInvalid),
    ("mismatch", SignatureInvalid),
    ("tcb", TcbRefused),
)


def verify_sgx(quote: bytes, collateral: bytes, policy: Policy) -> Attested:
    """quote: DCAP v3 or later; collateral: JSON as the provisioning service gives it. Measurements
    are all that makes the build (quote.FIELDS). Raises AttestationError."""
    return _verify(Kind.SGX, quote, collateral, policy)


def verify_tdx(quote: bytes, collateral: bytes, policy: Policy) -> Attested:
    """The same of a virtual machine. Raises AttestationError."""
    return _verify(Kind.TDX, quote, collateral, policy)


def _verify(kind: Kind, quote: bytes, collateral: bytes, policy: Policy) -> Attested:
    try:
        given = _collateral(collateral)
        parsed = dcap_qvl.parse_quote(quote)
    except (ValueError, UnicodeDecodeError, RuntimeError) as error:
        raise MalformedEvidence(f"{kind} evidence", "a quote and its collateral", error) from error
    if policy.crls:  # they would be read by nobody
        raise UnexpectedValue(f"{kind} revocation lists", "those of the collateral", "others")
    if (kind is Kind.SGX) != parsed.is_sgx():
        raise MalformedEvidence("quote", kind, parsed.quote_type())
    root = from_pem(given.tcb_info_issuer_chain.encode())[-1]
    if root.fingerprint(SHA256()) not in policy.roots:
        expected = ", ".join(r.hex() for r in sorted(policy.roots)) or "a root"
        raise UntrustedRoot("root certificate", expected, root.fingerprint(SHA256()).hex())
    seconds = int(policy.at.timestamp())
    try:
        der = root.public_bytes(Encoding.DER)
        verified = dcap_qvl.verify_with_root_ca(quote, given, der, seconds)
    except (ValueError, RuntimeError) as error:
        raise refusal(kind, str(error)) from error
    if verified.status not in policy.statuses:
        raise TcbRefused(f"{kind} TCB", " or ".join(sorted(policy.statuses)), verified.status)
    _check_debug(kind, parsed.report, policy.allow_debug)
    chain = from_pem(parsed.cert_chain_pem_bytes().rstrip(b"\0"))
    attested = Attested(
        kind,
        fields(kind, body_of(kind, quote)),
        bytes(parsed.report.report_data),
        _ends(given, root),
        status=verified.status,
        advisories=tuple(verified.advisory_ids),
        certificates=(*chain[:2], root),  # what lies above the authority is judged by nobody
    )
    return check(attested, policy)


def _collateral(data: bytes) -> Any:
    """What Intel says, without the PCK's chain that some fetchers put beside it: dcap-qvl would
    judge that one, and whoever names the level (quote.py) the quote's. Raises ValueError."""
    held = json.loads(data)
    if not isinstance(held, dict):
        raise ValueError(f"expected a JSON object, got {type(held).__name__}")
    held.pop("pck_certificate_chain", None)
    return dcap_qvl.QuoteCollateralV3.from_json(json.dumps(held))


def _check_debug(kind: Kind, report: Any, debug: bool) -> None:
    if debug:
        return
    if kind is Kind.SGX and report.attributes[0] & SGX_DEBUG:
        raise DebugMode("SGX attributes", "no debugging", report.attributes.hex())
    if kind is Kind.TDX and report.td_attributes[0] & TD_DEBUG:
        raise DebugMode("TDX attributes", "no debugging", report.td_attributes.hex())


def _ends(given: Any, root: x509.Certificate) -> datetime:
    """When the collateral has to be fetched anew, at the latest."""
    ends = [root.not_valid_after_utc]
    for text in (given.tcb_info, given.qe_identity):
        ends.append(datetime.fromisoformat(json.loads(text)["nextUpdate"]).astimezone(UTC))
    ends += [end for crl in (given.root_ca_crl, given.pck_crl) if (end := list_ends(crl))]
    chains = (given.tcb_info_issuer_chain, given.qe_identity_issuer_chain)
    for chain in (*chains, given.pck_crl_issuer_chain):
        ends += [certificate.not_valid_after_utc for certificate in from_pem(chain.encode())]
    return min(ends)


def refusal(kind: Kind, message: str) -> AttestationError:
    """dcap-qvl's message as one of our refusals."""
    lowered = message.lower()
    for mark, error in REASONS:
        if mark in lowered:
            return error(f"{kind} quote", "one that its collateral bears out", message)
    return MalformedEvidence(f"{kind} quote", "one that its collateral bears out", message)
