"""AWS Nitro Enclaves: an attestation document, COSE_Sign1 under ES384.

Source: AWS Nitro Enclaves documentation, "Cryptographic attestation"; RFC 9052, section 4.4.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384

from oracle.attestation.chain import from_der, verify_chain, verify_ecdsa
from oracle.attestation.evidence import (
    Attested,
    DebugMode,
    Kind,
    MalformedEvidence,
    Policy,
    check,
)

ES384, ALGORITHM, SIGN1 = -35, 1, 18
SCALAR, MOST_BYTES, MOST_PCRS = 48, 1 << 16, 32
OPTIONAL = ("public_key", "user_data", "nonce")


def verify(document: bytes, policy: Policy) -> Attested:
    """The report data is the document's nonce; measurements are pcr0, pcr1 ..., user_data. Raises
    AttestationError."""
    protected, payload, signature = _envelope(document)
    body = _decoded("Nitro payload", payload)
    if not isinstance(body, dict):
        raise MalformedEvidence("Nitro payload", "a map", type(body).__name__)
    bundle = body.get("cabundle")
    if not isinstance(bundle, list) or not bundle:
        raise MalformedEvidence("Nitro cabundle", "certificates", bundle)
    parts = [_bytes(body, "certificate"), *reversed(bundle)]
    if not all(isinstance(part, bytes) for part in parts):
        raise MalformedEvidence("Nitro cabundle", "byte strings", "something else")
    certificates = from_der(*parts)
    until = verify_chain(certificates, policy)
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    scalars = (int.from_bytes(signature[:SCALAR], "big"), int.from_bytes(signature[SCALAR:], "big"))
    key = certificates[0].public_key()
    verify_ecdsa("Nitro document", key, ec.SECP384R1, scalars, signed, SHA384())

    if body.get("digest") != "SHA384":
        raise MalformedEvidence("Nitro digest", "SHA384", body.get("digest"))
    measurements = _pcrs(body)
    if not any(measurements["pcr0"]) and not policy.allow_debug:
        raise DebugMode("Nitro pcr0", "the image's measurement", "zeros: debug mode")
    for name in OPTIONAL:
        if body.get(name) is not None:
            _bytes(body, name)
    if body.get("user_data") is not None:
        measurements["user_data"] = body["user_data"]
    nonce = body.get("nonce") or b""
    key, chain = body.get("public_key"), tuple(certificates)
    return check(Attested(Kind.NITRO, measurements, nonce, until, key, certificates=chain), policy)


def _envelope(document: bytes) -> tuple[bytes, bytes, bytes]:
    """(protected header, payload, signature)."""
    found = _decoded("Nitro document", document)
    if isinstance(found, cbor2.CBORTag) and found.tag == SIGN1:
        found = found.value
    if not isinstance(found, list) or len(found) != 4:
        raise MalformedEvidence("Nitro document", "COSE_Sign1", type(found).__name__)
    protected, _, payload, signature = found
    if not all(isinstance(part, bytes) for part in (protected, payload, signature)):
        raise MalformedEvidence("Nitro document", "three byte strings", "something else")
    header = _decoded("Nitro header", protected)
    if header != {ALGORITHM: ES384}:
        raise MalformedEvidence("Nitro header", f"{{{ALGORITHM}: {ES384}}}", header)
    if len(signature) != 2 * SCALAR:
        raise MalformedEvidence("Nitro signature", f"{2 * SCALAR} bytes", len(signature))
    return protected, payload, signature


def _pcrs(body: dict[Any, Any]) -> dict[str, bytes]:
    pcrs = body.get("pcrs")
    if not isinstance(pcrs, dict) or 0 not in pcrs or len(pcrs) > MOST_PCRS:
        raise MalformedEvidence("Nitro pcrs", f"up to {MOST_PCRS}, 0 among them", pcrs)
    found = {}
    for number, value in pcrs.items():
        if not isinstance(number, int) or not isinstance(value, bytes) or len(value) != 48:
            raise MalformedEvidence(f"Nitro pcr {number}", "48 bytes", value)
        found[f"pcr{number}"] = value
    return found


def _bytes(body: dict[Any, Any], name: str) -> bytes:
    value = body.get(name)
    if not isinstance(value, bytes):
        raise MalformedEvidence(f"Nitro {name}", "a byte string", type(value).__name__)
    return value


def _decoded(what: str, data: bytes) -> Any:
    """One CBOR item and nothing after it."""
    if len(data) > MOST_BYTES:
        raise MalformedEvidence(what, f"at most {MOST_BYTES} bytes", len(data))
    stream = BytesIO(data)
    try:
        found = cbor2.load(stream)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise MalformedEvidence(what, "CBOR", f"{error}") from error
    if stream.tell() != len(data):
        raise MalformedEvidence(what, f"{stream.tell()} bytes", len(data))
    return found
