"""TPM 2.0: a quote over platform registers, and keys that live in the TPM.

Source: TCG, Trusted Platform Module Library, Part 2: Structures, 10.12 (attestation structures),
11.3 (TPMT_SIGNATURE), 12.2 (TPMT_PUBLIC); Part 3: Commands, 23.7 (TPM2_PolicyPCR).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oracle.attestation.chain import from_pem, verify_chain, verify_ecdsa
from oracle.attestation.evidence import (
    Attested,
    Kind,
    MalformedEvidence,
    Policy,
    UnexpectedValue,
    check,
)
from oracle.attestation.reader import Reader

GENERATED, QUOTE, CERTIFY = 0xFF544347, 0x8018, 0x8017
ECDSA, SHA_256, ECC, P_256, NULL = 0x0018, 0x000B, 0x0023, 0x0003, 0x0010
REGISTERS, DIGEST = 24, 32
POLICY_PCR = 0x17F
#: 16, for debugging, and 23, for applications, by any program; 20 to 22 by an operating system
#: that was started at locality 2 (TCG, PC Client Platform TPM Profile, PCR attributes).
RESETTABLE = frozenset({16, 20, 21, 22, 23})
#: tcg-kp-AIKCertificate, the purpose of a TPM's attestation key, which signs what its TPM has seen
#: and nothing else: any other key of the same authority could sign a quote that is made up.
ATTESTATION_KEY = x509.ObjectIdentifier("2.23.133.8.3")
#: fixedTPM, fixedParent, sensitiveDataOrigin, sign: made in this TPM, and never outside of it. Not
#: userWithAuth: no password lets it sign, only its policy.
ANSWERS = 0x40032


@dataclass(frozen=True)
class Statement:
    """A TPMS_ATTEST: what a TPM says, and for which nonce."""

    kind: int
    extra: bytes
    clock: int
    resets: int
    body: Reader


@dataclass(frozen=True)
class Sealed:
    """Which answer key of a TPM: that of a label, for one state of these registers."""

    label: bytes
    registers: tuple[int, ...]
    policy: bytes


def verify(quote: bytes, signature: bytes, pcrs: bytes, chain: bytes, policy: Policy) -> Attested:
    """quote: TPMS_ATTEST; signature: TPMT_SIGNATURE; pcrs: the selected SHA-256 registers, one
    after another; chain: the attestation key's certificate up to the root of who enrolled it, PEM.

    The report data is the quote's nonce; measurements are pcr0 ...; the key is the attestation key.
    Raises AttestationError.
    """
    certificates = from_pem(chain)
    until = verify_chain(certificates, policy, ATTESTATION_KEY)
    key = certificates[0].public_key()
    verify_ecdsa("TPM quote", key, ec.SECP256R1, signature_scalars(signature), quote, SHA256())
    said = statement(quote)
    numbers, _, digest = _state(said)
    if len(pcrs) != DIGEST * len(numbers):
        raise MalformedEvidence("TPM registers", f"{DIGEST} bytes for each of {numbers}", len(pcrs))
    if sha256(pcrs).digest() != digest:
        raise UnexpectedValue("TPM registers", digest.hex(), sha256(pcrs).hexdigest())
    measurements = {
        f"pcr{number}": pcrs[DIGEST * i : DIGEST * (i + 1)] for i, number in enumerate(numbers)
    }
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    chained = tuple(certificates)
    return check(
        Attested(Kind.TPM, measurements, said.extra, until, der, certificates=chained), policy
    )


def check_registers(values: Mapping[int, bytes]) -> None:
    """Raises UnexpectedValue for registers that say nothing of what the machine booted: those that
    whoever runs it resets and extends as it likes, or all of them as a reset leaves them."""
    loose = sorted(set(values) & RESETTABLE)
    if loose:
        expected = f"none of {sorted(RESETTABLE)}, which a running system resets to say anything"
        raise UnexpectedValue("TPM registers", expected, loose)
    if all(map(is_empty, values.values())):
        expected = "one at least that something was measured into: else every boot has this state"
        raise UnexpectedValue("TPM registers", expected, f"{sorted(values)}, all empty")


def is_empty(value: bytes) -> bool:
    """Whether a register is as a reset leaves it, zeros or (17 to 22) ones."""
    return value in (bytes(DIGEST), b"\xff" * DIGEST)


def statement(data: bytes) -> Statement:
    """Reads a TPMS_ATTEST up to what its kind says. Raises MalformedEvidence."""
    read = Reader("TPM statement", data, "big")
    read.expect(GENERATED, 4, "magic")
    kind = read.number(2)
    read.sized(2)  # the signer's qualified name
    extra = read.sized(2)
    clock, resets = read.number(8), read.number(4)
    read.take(4 + 1 + 8)  # restarts, whether the clock is safe, firmware
    return Statement(kind, extra, clock, resets, read)


def policy_of(selection: bytes, digest: bytes) -> bytes:
    """authPolicy of a key that signs only while the registers of a TPML_PCR_SELECTION have this
    digest: TPM2_PolicyPCR on an empty policy, SHA-256(32 zeros || its code || selection || digest).
    """
    code = POLICY_PCR.to_bytes(4, "big")
    return sha256(bytes(DIGEST) + code + selection + digest).digest()


def quoted_policy(quote: bytes) -> bytes:
    """`policy_of` the state that a quote shows. Raises MalformedEvidence, UnexpectedValue."""
    _, selection, digest = _state(statement(quote))
    return policy_of(selection, digest)


def signature_scalars(data: bytes) -> tuple[int, int]:
    """(r, s) of a TPMT_SIGNATURE by ECDSA over SHA-256. Raises MalformedEvidence."""
    read = Reader("TPM signature", data, "big")
    read.expect(ECDSA, 2, "algorithm")
    read.expect(SHA_256, 2, "hash")
    r, s = read.sized(2), read.sized(2)
    read.end()
    return int.from_bytes(r, "big"), int.from_bytes(s, "big")


def signature_bytes(signature: tuple[bytes, bytes]) -> bytes:
    """The TPMT_SIGNATURE by ECDSA over SHA-256 of r and s."""
    head = ECDSA.to_bytes(2, "big") + SHA_256.to_bytes(2, "big")
    return head + b"".join(len(word).to_bytes(2, "big") + word for word in signature)


def verify_certified(
    certified: bytes,
    signature: bytes,
    public: bytes,
    attestation_key: ec.EllipticCurvePublicKey,
    policy: bytes,
) -> ec.EllipticCurvePublicKey:
    """The P-256 key of a TPMT_PUBLIC that the attestation key certified (TPM2_Certify): it was made
    in that TPM, cannot leave it, and signs only in the state of `policy` (`quoted_policy` of a
    quote that `verify` took). Raises AttestationError."""
    scalars = signature_scalars(signature)
    verify_ecdsa("TPM certification", attestation_key, ec.SECP256R1, scalars, certified, SHA256())
    said = statement(certified)
    if said.kind != CERTIFY:
        raise UnexpectedValue("TPM statement", hex(CERTIFY), hex(said.kind))
    name = said.body.sized(2)
    said.body.sized(2)  # qualified name
    said.body.end()
    expected = SHA_256.to_bytes(2, "big") + sha256(public).digest()
    if name != expected:
        raise UnexpectedValue("TPM certified name", expected.hex(), name.hex())
    return signing_key(public, policy)


def signing_key(public: bytes, policy: bytes) -> ec.EllipticCurvePublicKey:
    """The key of a TPMT_PUBLIC: P-256, for ECDSA over SHA-256, with the attributes of ANSWERS and
    this policy. Raises MalformedEvidence, UnexpectedValue."""
    read = Reader("TPM public area", public, "big")
    read.expect(ECC, 2, "type")
    read.expect(SHA_256, 2, "name's hash")
    attributes = read.number(4)
    if attributes != ANSWERS:
        raise UnexpectedValue("TPM key's attributes", hex(ANSWERS), hex(attributes))
    held = read.sized(2)
    if held != policy:
        raise UnexpectedValue("TPM key's policy", policy.hex(), held.hex() or "none")
    read.expect(NULL, 2, "symmetric algorithm")
    read.expect(ECDSA, 2, "scheme")
    read.expect(SHA_256, 2, "scheme's hash")
    read.expect(P_256, 2, "curve")
    read.expect(NULL, 2, "key derivation")
    x, y = read.sized(2), read.sized(2)
    read.end()
    try:
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
        )
        return numbers.public_key()
    except ValueError as error:
        raise MalformedEvidence("TPM key", "a point on P-256", f"{x.hex()}, {y.hex()}") from error


def _state(said: Statement) -> tuple[list[int], bytes, bytes]:
    """What a quote is of: its registers, their selection in bytes, and their digest."""
    if said.kind != QUOTE:
        raise UnexpectedValue("TPM statement", hex(QUOTE), hex(said.kind))
    read, start = said.body, said.body.at
    numbers = _selection(read)
    selection, digest = read.data[start : read.at], read.sized(2)
    read.end()
    if len(digest) != DIGEST:
        raise MalformedEvidence("TPM registers' digest", f"{DIGEST} bytes", len(digest))
    return numbers, selection, digest


def _selection(read: Reader) -> list[int]:
    """The registers of a TPML_PCR_SELECTION of one bank, SHA-256."""
    read.expect(1, 4, "banks")
    read.expect(SHA_256, 2, "bank's hash")
    bitmap = read.sized(1)
    chosen = [8 * i + bit for i, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1]
    if not chosen or max(chosen) >= REGISTERS:
        raise MalformedEvidence("TPM registers", f"some below {REGISTERS}", chosen)
    return chosen
