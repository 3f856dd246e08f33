"""Makers of hardware of our own: roots, chains, revocation lists, and evidence in each format."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey
USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass
class Holder:
    """A key, and its certificates up to the root."""

    key: Key
    chain: list[x509.Certificate]

    @property
    def pem(self) -> bytes:
        return b"".join(c.public_bytes(Encoding.PEM) for c in self.chain)

    @property
    def der(self) -> list[bytes]:
        return [c.public_bytes(Encoding.DER) for c in self.chain]

    @property
    def root(self) -> bytes:
        return self.chain[-1].fingerprint(hashes.SHA256())

    def sign(self, data: bytes, size: int, order: str = "big") -> bytes:
        """r and s, `size` bytes each, under the curve's usual hash; the same each time."""
        how = ec.ECDSA(_hash(self.key), deterministic_signing=True)
        r, s = decode_dss_signature(self.key.sign(data, how))
        return r.to_bytes(size, order) + s.to_bytes(size, order)  # type: ignore[arg-type]

    def issue(
        self,
        name: str,
        *,
        ca: bool = False,
        until: datetime = NOW + 30 * DAY,
        since: datetime = NOW - DAY,
        extensions: tuple[tuple[str, bytes], ...] = (),
        serial: int | None = None,
        **more: Any,
    ) -> Holder:
        """A holder whose certificate this one signs."""
        key = ec.generate_private_key(self.key.curve)
        return Holder(
            key,
            [
                certificate(name, key, self.key, self.chain[0].subject, ca, since, until,
                            extensions, serial, **more),
                *self.chain,
            ],
        )  # fmt: skip

    def revoking(
        self,
        *certificates: x509.Certificate,
        until: datetime = NOW + DAY,
        since: datetime = NOW - DAY,
        critical: tuple[x509.ExtensionType, ...] = (),
    ) -> bytes:
        """A revocation list, DER."""
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.chain[0].subject)
            .last_update(since)
            .next_update(until)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        for odd in critical:
            made = made.add_extension(odd, critical=True)
        for one in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number)
            made = made.add_revoked_certificate(entry.revocation_date(NOW - DAY / 2).build())
        return made.sign(self.key, _hash(self.key)).public_bytes(Encoding.DER)


def root(name: str, curve: ec.EllipticCurve, until: datetime = NOW + 3650 * DAY) -> Holder:
    key = ec.generate_private_key(curve)
    subject = _name(name)
    return Holder(key, [certificate(name, key, key, subject, True, NOW - DAY, until)])


def certificate(
    name: str,
    key: Key,
    issuer_key: Key,
    issuer: x509.Name,
    ca: bool,
    since: datetime,
    until: datetime,
    extensions: tuple[tuple[str, bytes], ...] = (),
    serial: int | None = None,
    *,
    usage: Collection[str] | None = None,
    basic: bool = True,
    path_length: int | None = None,
    critical: Collection[str] = (),
) -> x509.Certificate:
    """`usage`: names in place of the usual ones; none at all if it is empty. `basic`: whether it
    has basic constraints; `critical`: extensions of ours that are so."""
    if usage is None:
        usage = ("key_cert_sign", "crl_sign") if ca else ("digital_signature",)
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
    )
    if basic:
        made = made.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if usage:
        uses = x509.KeyUsage(**{name: name in usage for name in USES})
        made = made.add_extension(uses, critical=True)
    for oid, value in extensions:
        made = made.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), oid in critical
        )
    return made.sign(issuer_key, _hash(issuer_key), ecdsa_deterministic=True)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _hash(key: Key) -> hashes.HashAlgorithm:
    return hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA256()


# -- AMD -------------------------------------------------------------------------------------------

AMD = "1.3.6.1.4.1.3704.1."
LEVELS = {"3.1": 3, "3.2": 0, "3.3": 10, "3.8": 169}
CHIP = bytes(range(64))


def vcek(ask: Holder, **more: Any) -> Holder:
    levels = tuple((AMD + oid, bytes([2, 2, 0, n]) if n > 127 else bytes([2, 1, n]))
                   for oid, n in LEVELS.items())  # fmt: skip
    return ask.issue("VCEK of the tests", extensions=(*levels, (AMD + "4", CHIP)), **more)


def snp_report(signer: Holder, data: bytes, **fields: Any) -> bytes:
    """An ATTESTATION_REPORT, version 2."""
    levels = bytes([3, 0, 0, 0, 0, 0, 10, 169])
    body = b"".join(
        [
            (fields.get("version", 2)).to_bytes(4, "little"),
            bytes(4),
            fields.get("policy", 0x30000).to_bytes(8, "little"),
            bytes(32),
            bytes(4),
            (1).to_bytes(4, "little"),
            levels,
            bytes(8),
            fields.get("flags", 0).to_bytes(4, "little"),
            bytes(4),
            data.ljust(64, b"\0"),
            fields.get("measurement", b"m" * 48),
            bytes(32 + 48 + 48 + 32 + 32),
            fields.get("levels", levels),
            bytes(24),
            fields.get("chip", CHIP),
        ]
    ).ljust(0x2A0, b"\0")
    signature = signer.sign(body, 72, "little")
    return (body + signature).ljust(0x4A0, b"\0")


# -- AWS -------------------------------------------------------------------------------------------


def nitro_document(signer: Holder, data: bytes, /, **fields: Any) -> bytes:
    """COSE_Sign1 over a payload; `fields` replaces what is in it."""
    leaf, *above = signer.der
    payload: dict[str, Any] = {
        "module_id": "i-1234-enc5678",
        "digest": "SHA384",
        "timestamp": int(NOW.timestamp() * 1000),
        "pcrs": {i: bytes([i + 1]) * 48 for i in range(5)},
        "certificate": leaf,
        "cabundle": above[::-1],
        "public_key": b"key of the enclave",
        "user_data": b"model",
        "nonce": data,
    } | fields
    protected = cbor2.dumps({1: -35})
    body = cbor2.dumps(payload)
    signature = signer.sign(cbor2.dumps(["Signature1", protected, b"", body]), 48)
    return cbor2.dumps([protected, {}, body, signature])


# -- NVIDIA ----------------------------------------------------------------------------------------


def nvidia_report(signer: Holder, nonce: bytes, **fields: Any) -> bytes:
    """GET_MEASUREMENTS and its answer, SPDM 1.1."""

    def sized(value: bytes, size: int) -> bytes:
        return len(value).to_bytes(size, "little") + value

    values: Mapping[int, bytes] = fields.get("values", {i: bytes([i]) * 48 for i in range(1, 5)})
    record = b"".join(
        bytes([index, 1]) + sized(b"\x01" + sized(value, 2), 2) for index, value in values.items()
    )
    opaque = b"".join(
        number.to_bytes(2, "little") + sized(value, 2)
        for number, value in {3: b"535.86.09", 6: b"\x00\x01"}.items()
    )
    request = bytes([0x11, 0xE0, 1, 0xFF]) + nonce.ljust(32, b"\0") + b"\0"
    response = bytes([0x11, fields.get("code", 0x60), 0, 0, len(values)]) + sized(record, 3)
    body = request + response + bytes(32) + sized(opaque, 2)
    return body + signer.sign(body, 48)


# -- TPM -------------------------------------------------------------------------------------------


def sized(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def tpm_statement(kind: int, extra: bytes, body: bytes, magic: int = 0xFF544347) -> bytes:
    clock = bytes(8) + bytes(4) + bytes(4) + b"\x01" + bytes(8)
    head = magic.to_bytes(4, "big") + kind.to_bytes(2, "big")
    return head + sized(b"signer") + sized(extra) + clock + body


def tpm_quote(nonce: bytes, registers: Mapping[int, bytes], /, **more: Any) -> tuple[bytes, bytes]:
    """(TPMS_ATTEST of a quote, the registers one after another)."""
    bitmap = sum(1 << number for number in registers).to_bytes(3, "little")
    pcrs = b"".join(registers[number] for number in sorted(registers))
    selection = (1).to_bytes(4, "big") + (0x000B).to_bytes(2, "big") + b"\x03" + bitmap
    digest = sized(more.pop("digest", sha256(pcrs).digest()))
    return tpm_statement(more.pop("says", 0x8018), nonce, selection + digest, **more), pcrs


def tpm_signature(signer: Key, data: bytes) -> bytes:
    r, s = decode_dss_signature(signer.sign(data, ec.ECDSA(hashes.SHA256())))
    return b"\x00\x18\x00\x0b" + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))


def tpm_policy(registers: Mapping[int, bytes]) -> bytes:
    """authPolicy of a key that signs only while the registers are these: TPM2_PolicyPCR."""
    quote, _ = tpm_quote(b"", registers)
    selection, digest = quote[-44:-34], quote[-32:]
    return sha256(bytes(32) + b"\0\0\x01\x7f" + selection + digest).digest()


def tpm_public(key: Key, policy: bytes, attributes: int = 0x40032) -> bytes:
    """A TPMT_PUBLIC of a P-256 signing key."""
    point = key.public_key().public_numbers()
    return b"".join(
        [
            b"\x00\x23\x00\x0b",
            attributes.to_bytes(4, "big"),
            sized(policy),
            b"\x00\x10\x00\x18\x00\x0b\x00\x03\x00\x10",
            sized(point.x.to_bytes(32, "big")),
            sized(point.y.to_bytes(32, "big")),
        ]
    )


# -- Intel -----------------------------------------------------------------------------------------

SGX = "1.2.840.113741.1.13.1"
FMSPC, PCE_ID, SVN, PCE_SVN = bytes.fromhex("00906ed50000"), bytes(2), 5, 11
QE_SIGNER = bytes.fromhex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff")
STAMP = "%Y-%m-%dT%H:%M:%SZ"


def der(tag: int, value: bytes) -> bytes:
    size = len(value)
    long = size.to_bytes(1 if size < 256 else 2, "big")
    length = long if size < 128 else bytes([0x80 + len(long)]) + long
    return bytes([tag]) + length + value


def object_id(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    out = bytearray([40 * first + second])
    for number in rest:
        parts = [number & 127]
        while number := number >> 7:
            parts.append(number & 127 | 128)
        out += bytes(reversed(parts))
    return der(6, bytes(out))


def pck_extension(svn: int = SVN) -> bytes:
    def pair(suffix: str, value: bytes) -> bytes:
        return der(0x30, object_id(f"{SGX}.{suffix}") + value)

    levels = b"".join(pair(f"2.{i}", der(2, bytes([svn]))) for i in range(1, 17))
    levels += pair("2.17", der(2, bytes([PCE_SVN]))) + pair("2.18", der(4, bytes([svn]) * 16))
    parts = pair("1", der(4, bytes(16))) + pair("2", der(0x30, levels))
    parts += pair("3", der(4, PCE_ID)) + pair("4", der(4, FMSPC)) + pair("5", der(10, b"\0"))
    return der(0x30, parts)


@dataclass
class Intel:
    """Root, the authority over platforms, the signer of levels, one platform."""

    root: Holder = field(default_factory=lambda: root("Root of the tests", ec.SECP256R1()))
    status: str = "UpToDate"
    next_update: datetime = NOW + 20 * DAY
    #: Of the list of platforms, where it is another.
    lists_until: datetime | None = None

    def __post_init__(self) -> None:
        self.authority = self.root.issue("Intel SGX PCK Platform CA", ca=True)
        self.signer = self.root.issue("Intel SGX TCB Signing")
        self.platform = self.authority.issue(
            "Intel SGX PCK Certificate", extensions=((SGX, pck_extension()),)
        )

    def collateral(self, tdx: bool = False, revoked: bool = False) -> bytes:
        times = {
            "issueDate": (NOW - DAY).strftime(STAMP),
            "nextUpdate": self.next_update.strftime(STAMP),
            "tcbEvaluationDataNumber": 17,
        }
        when = {"tcbDate": (NOW - 30 * DAY).strftime(STAMP), "tcbStatus": self.status}
        svn = [{"svn": SVN}] * 16
        level: dict[str, Any] = {"sgxtcbcomponents": svn, "pcesvn": PCE_SVN}
        tcb_info: dict[str, Any] = {
            "id": "TDX" if tdx else "SGX", "version": 3, **times, "fmspc": FMSPC.hex().upper(),
            "pceId": PCE_ID.hex(), "tcbType": 0,
        }  # fmt: skip
        if tdx:
            level["tdxtcbcomponents"] = svn
            module: dict[str, Any] = {
                "mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8,
            }  # fmt: skip
            current = {**when, "tcb": {"isvsvn": SVN}, "tcbStatus": "UpToDate"}
            tcb_info["tdxModule"] = module
            tcb_info["tdxModuleIdentities"] = [
                {"id": f"TDX_{SVN:02}", **module, "tcbLevels": [current]}
            ]
        tcb_info["tcbLevels"] = [{"tcb": level, **when}]
        identity = {
            "id": "TD_QE" if tdx else "QE", "version": 2, **times,
            "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
            "attributes": "11" + "00" * 15, "attributesMask": "FB" + "FF" * 7 + "00" * 8,
            "mrsigner": QE_SIGNER.hex().upper(), "isvprodid": 2 if tdx else 1,
            "tcbLevels": [{"tcb": {"isvsvn": 8}, **when, "tcbStatus": "UpToDate"}],
        }  # fmt: skip
        texts = [json.dumps(part, separators=(",", ":")) for part in (tcb_info, identity)]
        signatures = [self.signer.sign(text.encode(), 32).hex() for text in texts]
        taken, until = self.platform.chain[:1] if revoked else [], self.next_update
        return json.dumps(
            {
                "pck_crl_issuer_chain": self.authority.pem.decode(),
                "root_ca_crl": self.root.revoking(until=until).hex(),
                "pck_crl": self.authority.revoking(*taken, until=self.lists_until or until).hex(),
                "tcb_info_issuer_chain": self.signer.pem.decode(),
                "tcb_info": texts[0],
                "tcb_info_signature": signatures[0],
                "qe_identity_issuer_chain": self.signer.pem.decode(),
                "qe_identity": texts[1],
                "qe_identity_signature": signatures[1],
            }
        ).encode()

    def quote(
        self,
        data: bytes,
        tdx: bool = False,
        debug: bool = False,
        version: int = 0,
        bend: Callable[[str, bytes], bytes] = lambda part, data: data,
        platform: Holder | None = None,
        signer: Holder | None = None,
    ) -> bytes:
        """DCAP version 3 of an enclave, 4 of a virtual machine, or 5. `bend` changes the parts
        "head", "body" and "engine" before they are signed, "bound" before it is bound; `platform`
        signs for the engine, with `signer`'s certificates where it steals them."""
        version = version or (4 if tdx else 3)
        vendor = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
        head = version.to_bytes(2, "little") + (2).to_bytes(2, "little")
        head += (0x81 if tdx else 0).to_bytes(4, "little") + bytes(4) + vendor + bytes(20)
        body = td_report(data, debug) if tdx else enclave(data, b"E" * 32, b"S" * 32, debug)
        body = bend("body", body)
        if version == 5:
            sort = {384: 1, 584: 2, 648: 3}.get(len(body), 4)
            head += sort.to_bytes(2, "little") + len(body).to_bytes(4, "little")
        head = bend("head", head)
        key = ec.generate_private_key(ec.SECP256R1())
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        signature = Holder(key, []).sign(head + body, 32)
        more = bytes(range(32))  # what the quoting engine binds too
        bound = bend("bound", sha256(point + more).digest().ljust(64, b"\0"))
        engine = enclave(bound, b"Q" * 32, QE_SIGNER, False, product=2 if tdx else 1, level=8)
        engine = bend("engine", engine)
        platform = platform or self.platform
        certified = engine + platform.sign(engine, 32) + len(more).to_bytes(2, "little")
        pem = (signer or platform).pem
        chain = (5).to_bytes(2, "little") + len(pem).to_bytes(4, "little") + pem
        inner = certified + more + chain
        if version > 3:
            inner = (6).to_bytes(2, "little") + len(inner).to_bytes(4, "little") + inner
        auth = signature + point + inner
        return head + body + len(auth).to_bytes(4, "little") + auth


def enclave(
    data: bytes, measured: bytes, signer: bytes, debug: bool, product: int = 0, level: int = 0
) -> bytes:
    """An enclave's report, 384 bytes."""
    attributes = bytes([0x11 | (2 if debug else 0)]).ljust(16, b"\0")
    made = bytes([SVN]) * 16 + bytes(4 + 28) + attributes + measured + bytes(32) + signer
    made += bytes(96) + product.to_bytes(2, "little") + level.to_bytes(2, "little") + bytes(60)
    return made + data.ljust(64, b"\0")


def td_report(data: bytes, debug: bool) -> bytes:
    """A virtual machine's report, version 1.0, 584 bytes."""
    made = bytes([SVN]) * 16 + bytes(48) + bytes(48) + bytes(8)
    made += bytes([1 if debug else 0, 0, 0, 0x10]).ljust(8, b"\0") + bytes(8)
    made += b"T" * 48 + bytes(48 * 3) + b"".join(bytes([i]) * 48 for i in range(4))
    return made + data.ljust(64, b"\0")
