"""AMD SEV-SNP: a virtual machine's report, signed by a chip's VCEK.

Source: AMD 56860, SEV Secure Nested Paging Firmware ABI, section 7.3 (ATTESTATION_REPORT) and
tables of section 8; AMD 57230 for the certificate's extensions.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384

from oracle.attestation.chain import Certificate, from_pem, verify_chain, verify_ecdsa
from oracle.attestation.evidence import (
    Attested,
    DebugMode,
    Kind,
    MalformedEvidence,
    Policy,
    TcbRefused,
    UnexpectedValue,
    check,
)
from oracle.attestation.reader import Reader

REPORT_BYTES, SIGNED_BYTES = 0x4A0, 0x2A0
ECDSA_P384 = 1
DEBUG, MIGRATION = 1 << 19, 1 << 18  # of the guest's policy
MASKED_CHIP, SIGNING_KEY = 1 << 1, 0b111 << 2
AMD = "1.3.6.1.4.1.3704.1"
LEVELS = {"boot_loader": 0, "tee": 1, "snp": 6, "microcode": 7}  # bytes of a TCB_VERSION
LEVEL_OIDS = {"boot_loader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8"}
CHIP_OID = "4"


def verify(report: bytes, chain: bytes, policy: Policy) -> Attested:
    """report: 1184 bytes; chain: VCEK, ASK, ARK in PEM. Raises AttestationError."""
    if len(report) != REPORT_BYTES:
        raise MalformedEvidence("SNP report", f"{REPORT_BYTES} bytes", len(report))
    certificates = from_pem(chain)
    if len(certificates) != 3:
        raise MalformedEvidence("SNP chain", "VCEK, ASK and ARK", f"{len(certificates)}")
    until = verify_chain(certificates, policy)
    vcek = certificates[0]
    signature = Reader("SNP signature", report[SIGNED_BYTES:], "little")
    scalars = signature.number(72), signature.number(72)
    key = vcek.public_key()
    verify_ecdsa("SNP report", key, ec.SECP384R1, scalars, report[:SIGNED_BYTES], SHA384())

    read = Reader("SNP report", report, "little")
    version = read.number(4)
    if version < 2:
        raise MalformedEvidence("SNP report version", "2 or later", version)
    read.take(4)  # guest's security version
    guest_policy = read.number(8)
    if guest_policy & DEBUG and not policy.allow_debug:
        raise DebugMode("SNP guest policy", "no debugging", hex(guest_policy))
    if guest_policy & MIGRATION:  # its agent, another guest, has this one's memory and keys
        raise UnexpectedValue("SNP guest policy", "no migration agent", hex(guest_policy))
    measurements = {"policy": guest_policy.to_bytes(8, "big")}
    measurements |= {"family_id": read.take(16), "image_id": read.take(16)}
    measurements["vmpl"] = read.number(4).to_bytes(4, "big")
    read.expect(ECDSA_P384, 4, "signature algorithm")
    read.take(8 + 8)  # current TCB, platform
    flags = read.number(4)
    if flags & SIGNING_KEY:
        raise UnexpectedValue("SNP signing key", "the chip's VCEK", hex(flags))
    read.take(4)
    report_data = read.take(64)
    measurements |= {"measurement": read.take(48), "host_data": read.take(32)}
    measurements |= {"id_key_digest": read.take(48), "author_key_digest": read.take(48)}
    read.take(32 + 32)  # report ids
    reported = read.take(8)
    read.take(24)
    chip = read.take(64)
    _check_levels(reported, vcek, policy)
    if not flags & MASKED_CHIP and _extension(vcek, CHIP_OID) != chip:
        raise UnexpectedValue("SNP chip", _extension(vcek, CHIP_OID).hex(), chip.hex())
    levels = {name: reported[at] for name, at in LEVELS.items()}
    status = ", ".join(f"{name} {number}" for name, number in levels.items())
    attested = Attested(
        Kind.SNP,
        measurements,
        report_data,
        until,
        status=status,
        levels=levels,
        certificates=tuple(certificates),
    )
    return check(attested, policy)


def _check_levels(reported: bytes, vcek: Certificate, policy: Policy) -> None:
    """The report's levels are those that the certificate is for, and not below the policy's."""
    for name, at in LEVELS.items():
        certified = _extension(vcek, LEVEL_OIDS[name])
        if len(certified) < 3 or certified[0] != 2 or certified[1] != len(certified) - 2:
            raise MalformedEvidence(f"VCEK's level of {name}", "an INTEGER", certified.hex())
        level = int.from_bytes(certified[2:], "big", signed=True)
        if reported[at] != level:
            raise UnexpectedValue(f"SNP level of {name}", level, reported[at])
        if level < policy.tcb.get(name, 0):
            raise TcbRefused(f"SNP level of {name}", f"{policy.tcb[name]} or more", level)


def _extension(certificate: Certificate, suffix: str) -> bytes:
    oid = x509.ObjectIdentifier(f"{AMD}.{suffix}")
    try:
        found = certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        raise MalformedEvidence("VCEK", f"the extension {oid.dotted_string}", "none") from None
    if not isinstance(found, x509.UnrecognizedExtension):
        raise MalformedEvidence("VCEK", f"the extension {oid.dotted_string}", f"{found}")
    return found.value
