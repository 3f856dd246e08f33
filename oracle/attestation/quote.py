"""The parts of Intel's quotes, as contracts/attested/Dcap.sol takes them.

dcap-qvl decides a quote by its collateral (dcap.py); here it is only taken apart, and what the
contract makes of it is made a second time. Source: Intel SGX and TDX DCAP Quoting Library API,
appendix A (versions 3, 4 and 5); Intel SGX PCK Certificate Specification, 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oracle.attestation.chain import Certificate, from_pem
from oracle.attestation.evidence import Kind, MalformedEvidence
from oracle.attestation.reader import Reader
from oracle.domain.attested import Hardware, Level

HEADER, ENCLAVE, MACHINE, MACHINE_1_5 = 48, 384, 584, 648
#: Version 5 says of a body which it is, and how long.
BODIES = {2: MACHINE, 3: MACHINE_1_5}
VERSIONS = {Kind.SGX: (3,), Kind.TDX: (4, 5)}
ENGINE_DATA, CHAIN = 6, 5  # kinds of certification data
SIGNATURE, POINT, REPORT_DATA = 64, 64, 64
#: Where the fields lie that `measured` hashes: of an enclave's report, of a machine's.
FIELDS = {
    Kind.SGX: {
        "misc_select": (16, 20),
        "isv_ext_prod_id": (32, 48),
        "attributes": (48, 64),
        "mr_enclave": (64, 96),
        "mr_signer": (128, 160),
        "config_id": (192, 256),
        "isv_prod_id": (256, 258),
        "isv_svn": (258, 260),
        "config_svn": (260, 262),
        "isv_family_id": (304, 320),
    },
    Kind.TDX: {
        "td_attributes": (120, 128),
        "xfam": (128, 136),
        "mr_td": (136, 184),
        "mr_config_id": (184, 232),
        "mr_owner": (232, 280),
        "mr_owner_config": (280, 328),
        "rt_mr0": (328, 376),
        "rt_mr1": (376, 424),
        "rt_mr2": (424, 472),
        "rt_mr3": (472, 520),
        "mr_service_td": (600, 648),
    },
}
#: Zeros in an enclave's report, and hashed all the same.
RESERVED = ((20, 32), (96, 128), (160, 192), (262, 304))
SGX = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
#: The same in DER, without its head; .2, .3 and .4 follow by one byte.
SGX_BYTES = bytes.fromhex("2a864886f84d010d01")


@dataclass(frozen=True)
class Quote:
    """What is signed, by whom, and the certificates that say so. `signed`: header and body;
    `body`: the report alone; signatures are r and s, keys x and y, in 64 bytes."""

    signed: bytes
    body: bytes
    signature: bytes
    key: bytes
    engine: bytes
    engine_signature: bytes
    extra: bytes
    chain: tuple[Certificate, ...]

    @property
    def pck(self) -> Certificate:
        return self.chain[0]

    @property
    def authority(self) -> Certificate:
        return self.chain[1]


def split(kind: Kind, data: bytes) -> Quote:
    """A quote's parts; what follows it, and is no part, is left. Raises MalformedEvidence."""
    read = Reader(f"{kind} quote", data, "little")
    version = read.number(2)
    if version not in VERSIONS[kind]:
        raise MalformedEvidence(f"{kind} quote version", f"one of {VERSIONS[kind]}", version)
    read.take(HEADER - 2)
    size = ENCLAVE if kind is Kind.SGX else MACHINE
    if version == 5:
        sort, size = read.number(2), read.number(4)
        if BODIES.get(sort) != size:
            raise MalformedEvidence(f"{kind} quote body", BODIES, {sort: size})
    body = read.take(size)
    signed = data[: read.at]
    auth = Reader(f"{kind} quote's signatures", read.sized(4), "little")
    signature, key = auth.take(SIGNATURE), auth.take(POINT)
    inner = auth
    if version > 3:
        auth.expect(ENGINE_DATA, 2, "certification data")
        inner = Reader(f"{kind} quote's engine", auth.sized(4), "little")
        auth.end()
    engine, engine_signature = inner.take(ENCLAVE), inner.take(SIGNATURE)
    extra = inner.sized(2)
    inner.expect(CHAIN, 2, "certificates")
    chain = from_pem(inner.sized(4).rstrip(b"\0"))
    inner.end()
    if len(chain) < 2:
        raise MalformedEvidence(f"{kind} quote's chain", "PCK and authority", len(chain))
    return Quote(signed, body, signature, key, engine, engine_signature, extra, tuple(chain))


def measured(kind: Kind, body: bytes) -> bytes:
    """SHA-256 of a report without the platform's level and the report data: of an enclave all from
    MISCSELECT on, of a machine TD attributes to RTMR3, and MR_SERVICETD where there is one."""
    if kind is Kind.SGX:
        return sha256(body[16 : ENCLAVE - REPORT_DATA]).digest()
    return sha256(body[120 : MACHINE - REPORT_DATA] + body[MACHINE + 16 :]).digest()


def fields(kind: Kind, body: bytes) -> dict[str, bytes]:
    """What `measured` hashes, by name; `reserved` is there only if it is not zero."""
    found = {name: body[start:end] for name, (start, end) in FIELDS[kind].items()}
    if kind is Kind.SGX:
        rest = b"".join(body[start:end] for start, end in RESERVED)
        found |= {"reserved": rest} if any(rest) else {}
    return {name: value for name, value in found.items() if value}


def body_of(kind: Kind, data: bytes) -> bytes:
    """The report in a quote that was verified."""
    if data[:2] == b"\5\0":
        start = HEADER + 6
        return data[start : start + int.from_bytes(data[HEADER + 2 : start], "little")]
    return data[HEADER : HEADER + (ENCLAVE if kind is Kind.SGX else MACHINE)]


def level(kind: Kind, quote: Quote, until: int) -> Level:
    """The level of the firmware that vouches, for which attesters take it until a second. Raises
    MalformedEvidence."""
    machine = quote.body if kind is Kind.TDX else b""
    return Level(
        Hardware[kind.name],
        platform(quote.pck),
        machine[:16].ljust(16, b"\0"),
        machine[MACHINE : MACHINE + 16].ljust(16, b"\0"),
        quote.engine[128:160],
        quote.engine[256:258],
        quote.engine[258:260],
        until,
    )


def platform(pck: Certificate) -> bytes:
    """SHA-256 over levels (.2), PCE's id (.3) and FMSPC (.4), as elements of the certificate's SGX
    extension. Raises MalformedEvidence."""
    try:
        found = pck.extensions.get_extension_for_oid(SGX).value
    except x509.ExtensionNotFound:
        raise MalformedEvidence("PCK", f"the extension {SGX.dotted_string}", "none") from None
    value = getattr(found, "value", b"")
    parts: dict[bytes, bytes] = {}
    for pair in _elements(_contents(value)):
        name, *rest = _elements(_contents(pair))
        parts[_contents(name)] = b"".join(rest)
    names = [SGX_BYTES + bytes([number]) for number in (2, 3, 4)]
    if any(name not in parts for name in names):
        raise MalformedEvidence("PCK", "levels, PCE id and FMSPC", len(parts))
    return sha256(b"".join(parts[name] for name in names)).digest()


def point(certificate: Certificate) -> bytes:
    """x and y of a certificate's P-256 key. Raises MalformedEvidence."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MalformedEvidence("certificate's key", "one on P-256", type(key).__name__)
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def _elements(data: bytes) -> list[bytes]:
    """The DER elements that follow each other in some bytes. Raises MalformedEvidence."""
    read, found = Reader("DER", data, "big"), []
    while not read.is_done:
        begin = read.at
        read.take(1)
        size = read.number(1)
        read.take(read.number(size & 127) if size > 127 else size)
        found.append(data[begin : read.at])
    return found


def _contents(element: bytes) -> bytes:
    read = Reader("DER", element, "big")
    read.take(1)
    size = read.number(1)
    return read.take(read.number(size & 127) if size > 127 else size)
