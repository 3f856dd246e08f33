"""NVIDIA GPUs in confidential computing mode: SPDM 1.1 measurements, signed by the device.

Source: DMTF DSP0274 (SPDM 1.1), sections 10.11 (GET_MEASUREMENTS, MEASUREMENTS); opaque data as in
NVIDIA's published attestation guide. Golden measurements (RIM) are the policy's.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384

from oracle.attestation.chain import from_pem, verify_chain, verify_ecdsa
from oracle.attestation.evidence import Attested, Kind, MalformedEvidence, Policy, check
from oracle.attestation.reader import Reader

SPDM_1_1, GET_MEASUREMENTS, MEASUREMENTS = 0x11, 0xE0, 0x60
REQUEST_BYTES, SIGNATURE_BYTES = 37, 96
DMTF = 1
OPAQUE = {3: "driver_version", 6: "vbios_version", 5: "sku", 20: "firmware_id"}


def verify(report: bytes, chain: bytes, policy: Policy) -> Attested:
    """report: request and response as sent; chain: leaf to device root in PEM. The report data is
    the request's nonce; measurements are measurement_1 ..., driver_version, vbios_version. Raises
    AttestationError."""
    certificates = from_pem(chain)
    until = verify_chain(certificates, policy)
    if len(report) <= REQUEST_BYTES + SIGNATURE_BYTES:
        raise MalformedEvidence("NVIDIA report", "a request and a response", f"{len(report)} bytes")
    signed, signature = report[:-SIGNATURE_BYTES], report[-SIGNATURE_BYTES:]
    half = SIGNATURE_BYTES // 2
    scalars = (int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
    key = certificates[0].public_key()
    verify_ecdsa("NVIDIA report", key, ec.SECP384R1, scalars, signed, SHA384())

    read = Reader("NVIDIA report", signed, "little")
    read.expect(SPDM_1_1, 1, "request's version")
    read.expect(GET_MEASUREMENTS, 1, "request's code")
    read.take(2)
    nonce = read.take(32)
    read.take(1)  # slot
    read.expect(SPDM_1_1, 1, "response's version")
    read.expect(MEASUREMENTS, 1, "response's code")
    read.take(2)
    blocks = read.number(1)
    measurements = _blocks(read.sized(3), blocks)
    read.take(32)  # the device's own nonce
    measurements |= _opaque(read.sized(2))
    read.end()
    chained = tuple(certificates)
    return check(Attested(Kind.NVIDIA, measurements, nonce, until, certificates=chained), policy)


def _blocks(record: bytes, count: int) -> dict[str, bytes]:
    read = Reader("NVIDIA measurements", record, "little")
    found: dict[str, bytes] = {}
    for _ in range(count):
        index = read.number(1)
        read.expect(DMTF, 1, "specification")
        block = Reader(f"NVIDIA measurement {index}", read.sized(2), "little")
        block.take(1)  # its type
        value = block.sized(2)
        block.end()
        if found.setdefault(f"measurement_{index}", value) is not value:
            raise MalformedEvidence("NVIDIA measurements", "each index once", index)
    read.end()
    return found


def _opaque(data: bytes) -> dict[str, bytes]:
    read, found = Reader("NVIDIA opaque data", data, "little"), {}
    while not read.is_done:
        number, value = read.number(2), read.sized(2)
        if number in OPAQUE:
            found[OPAQUE[number]] = value
    return found
