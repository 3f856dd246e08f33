"""Dcap: quotes of SGX and TDX, decided on-chain as dcap-qvl decides them."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import astuple, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from eth_abi.abi import encode
from eth_hash.auto import keccak

from oracle.attestation import ROOTS, AttestationError, Kind, Policy, verify
from oracle.attestation.quote import measured, split
from oracle.attestation.roots import INTEL_KEY
from oracle.domain.attested import DcapEvidence, Hardware
from tests.attestation.authority import (
    DAY,
    NOW,
    SGX,
    Holder,
    Intel,
    der,
    object_id,
    pck_extension,
    root,
)
from tests.contracts.hall import INTEL, Hall, point, words
from tests.evm import Chain, Reverted, reverts

VECTORS = os.environ.get("EINPROOF_ATTESTATION_VECTORS")
KINDS = [Hardware.SGX, Hardware.TDX]
QUOTE, ENGINE, PCK, AUTHORITY = range(4)
BINDING = sha256(b"bound").digest()


def decide(hall: Hall, kind: Hardware, evidence: DcapEvidence) -> Any:
    return hall.chain.call(hall.dcap.functions.decide(kind, evidence.encoded))


def framed(evidence: DcapEvidence) -> bytes:
    """The quote that has these parts, as Intel's software writes it."""
    pem = b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(each) + b"-----END CERTIFICATE-----\n"
        for each in (evidence.pck, evidence.authority, INTEL.root.der[0])
    )
    inner = evidence.engine + b"".join(evidence.engine_signature)
    inner += len(evidence.extra).to_bytes(2, "little") + evidence.extra
    inner += b"\5\0" + len(pem).to_bytes(4, "little") + pem
    if evidence.signed[:2] != b"\3\0":
        inner = b"\6\0" + len(inner).to_bytes(4, "little") + inner
    auth = b"".join(evidence.signature) + b"".join(evidence.key) + inner
    return evidence.signed + len(auth).to_bytes(4, "little") + auth


def in_python(kind: Hardware, quote: bytes, **how: Any) -> None:
    """As oracle.attestation has it, with collateral by the tests' authority."""
    collateral = INTEL.collateral(kind is Hardware.TDX, how.pop("revoked", False))
    policy = Policy(frozenset({INTEL.root.root}), NOW, report_data=how.pop("said", None))
    verify(Kind[kind.name], {"quote": quote, "collateral": collateral}, policy)


# --- what is good, and what it says ---------------------------------------------------------------


def later(part: str, data: bytes) -> bytes:
    """TDX 1.5: a second level of the module, and a service machine."""
    return data + b"\5\5" + bytes(range(7, 21)) + bytes(48) if part == "body" else data


GOOD = {
    "sgx 3": (Hardware.SGX, {}),
    "tdx 4": (Hardware.TDX, {}),
    "tdx 5": (Hardware.TDX, {"version": 5}),
    "tdx 5, body 1.5": (Hardware.TDX, {"version": 5, "bend": later}),
}


@pytest.mark.parametrize("name", GOOD)
def test_decide_good_quote_says_what_python_says(hall: Hall, name: str) -> None:
    kind, how = GOOD[name]
    data = hall.intel.quote(BINDING, kind is Hardware.TDX, **how)
    in_python(kind, data)
    enrolment, evidence, level = hall.taken_apart(kind, data, 2**40)
    said, measurement, found, certificates, until = decide(hall, kind, evidence)
    assert said == [BINDING, bytes(32)] and measurement == enrolment.measurement
    assert tuple(found) == astuple(level)
    chain = hall.intel.platform.chain
    issuers = [hall.intel.authority.key, hall.intel.root.key]
    assert certificates == [
        keccak(encode(["bytes32", "bytes32", "uint256"], [*words(key), each.serial_number]))
        for key, each in zip(issuers, chain[:2], strict=True)
    ]
    assert until == int(min(each.not_valid_after_utc for each in chain[:2]).timestamp())


def test_decide_ends_with_the_level(hall: Hall) -> None:
    _, evidence, _ = hall.intel_evidence(Hardware.SGX, until=5)
    assert decide(hall, Hardware.SGX, evidence)[4] == 5


def test_what_is_measured_is_all_but_level_and_report_data() -> None:
    """Of a machine, the module's identity and level are not, nor is its second level."""
    cases = {
        Kind.SGX: (bytes(384), {*range(16), *range(320, 384)}),
        Kind.TDX: (bytes(648), {*range(120), *range(520, 600)}),
    }
    for kind, (body, apart) in cases.items():
        whole = measured(kind, body)
        for at in range(len(body)):
            bent = body[:at] + b"\1" + body[at + 1 :]
            assert (measured(kind, bent) == whole) == (at in apart), (kind, at)


@pytest.mark.parametrize("kind", [0, Hardware.SNP, Hardware.NITRO, Hardware.NVIDIA, Hardware.TPM])
def test_decide_another_kind_is_refused(hall: Hall, kind: int) -> None:
    _, evidence, _ = hall.intel_evidence(Hardware.SGX)
    with reverts("WrongKind", kind):
        hall.chain.call(hall.dcap.functions.decide(kind, evidence.encoded))


def test_decide_a_quote_of_the_other_kind_is_refused(hall: Hall) -> None:
    for kind, other in (KINDS, KINDS[::-1]):
        _, evidence, _ = hall.intel_evidence(kind)
        with reverts("WrongHeader"):
            decide(hall, other, evidence)
    for how in ({}, {"bend": later}):
        _, evidence, _ = hall.intel_evidence(Hardware.TDX, version=5, **how)
        with reverts("WrongHeader"):
            decide(hall, Hardware.SGX, evidence)


# --- bent, and signed all the same: only the reader is there to refuse it ------------------------


def put(part: str, at: int, value: bytes) -> Callable[[str, bytes], bytes]:
    def bend(named: str, data: bytes) -> bytes:
        return data[:at] + value + data[at + len(value) :] if named == part else data

    return bend


BENT: dict[str, tuple[Hardware, dict[str, Any], str, list[Any]]] = {
    "enclave under debugging": (Hardware.SGX, {"debug": True}, "Debuggable", [QUOTE]),
    "machine under debugging": (Hardware.TDX, {"debug": True}, "Debuggable", [QUOTE]),
    "machine, other bits of debugging": (
        Hardware.TDX, {"bend": put("body", 120, b"\x02")}, "Debuggable", [QUOTE]
    ),
    "engine under debugging": (
        Hardware.SGX, {"bend": put("engine", 48, b"\x13")}, "Debuggable", [ENGINE]
    ),
    "engine without the provisioning key": (
        Hardware.SGX, {"bend": put("engine", 48, b"\x01")}, "WrongEngine", []
    ),
    "engine with more than it may": (
        Hardware.SGX, {"bend": put("engine", 49, b"\x01")}, "WrongEngine", []
    ),
    "engine with exceptions reported": (
        Hardware.SGX, {"bend": put("engine", 16, b"\x01")}, "WrongEngine", []
    ),
    "module that another signed": (
        Hardware.TDX, {"bend": put("body", 64, b"\x01")}, "WrongEngine", []
    ),
    "module that another signed, at the end": (
        Hardware.TDX, {"bend": put("body", 111, b"\x01")}, "WrongEngine", []
    ),
    "module with attributes": (
        Hardware.TDX, {"bend": put("body", 119, b"\x01")}, "WrongEngine", []
    ),
    "engine that binds another key": (
        Hardware.SGX, {"bend": put("bound", 0, bytes(32))}, "KeyNotBound", []
    ),
    "version 2": (Hardware.SGX, {"bend": put("head", 0, b"\2\0")}, "WrongHeader", []),
    "version 3 of a machine": (Hardware.TDX, {"version": 3}, "WrongHeader", []),
    "version 6": (Hardware.SGX, {"bend": put("head", 0, b"\6\0")}, "WrongHeader", []),
    "another kind of key": (
        Hardware.SGX, {"bend": put("head", 2, b"\3\0")}, "WrongHeader", []
    ),
    "version 6, as long as 5": (
        Hardware.TDX, {"version": 5, "bend": put("head", 0, b"\6\0")}, "WrongHeader", []
    ),
    "another kind of key in version 5": (
        Hardware.TDX, {"version": 5, "bend": put("head", 2, b"\3\0")}, "WrongHeader", []
    ),
    "report of another's in version 5": (
        Hardware.TDX, {"version": 5, "bend": put("head", 4, b"\0")}, "WrongHeader", []
    ),
    "another vendor": (Hardware.SGX, {"bend": put("head", 12, b"\0")}, "WrongHeader", []),
    "version 4 of an enclave": (
        Hardware.SGX, {"bend": put("head", 0, b"\4\0")}, "WrongHeader", []
    ),
    "body that calls itself another": (
        Hardware.TDX, {"version": 5, "bend": put("head", 48, b"\1\0")}, "WrongHeader", []
    ),
    "body that calls itself longer": (
        Hardware.TDX, {"version": 5, "bend": put("head", 48, b"\3\0\x88\2")}, "WrongSize",
        [QUOTE, 54 + 648, 54 + 584],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_decide_bent_evidence_is_refused_by_both(hall: Hall, name: str) -> None:
    kind, how, error, arguments = BENT[name]
    data = hall.intel.quote(BINDING, kind is Hardware.TDX, **how)
    with pytest.raises(AttestationError):
        in_python(kind, data)
    honest = hall.intel_evidence(kind)[1]
    with reverts(error, *arguments):
        decide(hall, kind, parts(honest, data, kind, how.get("version", 0)))


def parts(honest: DcapEvidence, data: bytes, kind: Hardware, version: int) -> DcapEvidence:
    """Cut at fixed places, since the head may say what it likes; certificates as in `honest`."""
    size = (384 if kind is Hardware.SGX else 584) + (54 if version == 5 else 48)
    rest = data[size + 4 :]
    key, rest = rest[:128], rest[128:]
    if (version or (3 if kind is Hardware.SGX else 4)) > 3:
        rest = rest[6:]
    engine, signature, extra = rest[:384], rest[384:448], rest[450 : 450 + len(honest.extra)]
    return replace(
        honest,
        signed=data[:size],
        signature=(key[:32], key[32:64]),
        key=(key[64:96], key[96:]),
        engine=engine,
        engine_signature=(signature[:32], signature[32:]),
        extra=extra,
    )


def test_decide_engine_that_binds_more_than_a_key_is_refused(hall: Hall) -> None:
    """32 zeros follow the hash. dcap-qvl does not look at them."""
    _, evidence, _ = hall.intel_evidence(Hardware.SGX, bend=put("bound", 63, b"\1"))
    with reverts("KeyNotBound"):
        decide(hall, Hardware.SGX, evidence)


# --- every byte, every length ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_decide_every_byte_counts_for_both(hall: Hall, kind: Hardware) -> None:
    """A bit of each third byte. What Python takes the contract takes, and the other way round."""
    _, honest, _ = hall.intel_evidence(kind, until=2**40)
    in_python(kind, framed(honest))
    decide(hall, kind, honest)
    for number, (name, value) in enumerate(zip(NAMES, astuple(honest)[:-1], strict=True)):
        whole = b"".join(value) if isinstance(value, tuple) else value
        for at in range(number % 3, len(whole), 3):
            bent = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
            made = (bent[:32], bent[32:]) if isinstance(value, tuple) else bent
            changed = replace(honest, **{name: made})
            with pytest.raises(AttestationError):
                in_python(kind, framed(changed))
            with pytest.raises(Reverted) as refused:
                decide(hall, kind, changed)
            assert refused.value.name in ERRORS, (name, at, refused.value)


NAMES = (
    "signed", "signature", "key", "engine", "engine_signature", "extra", "pck", "authority"
)  # fmt: skip
ERRORS = {
    "WrongSize", "WrongHeader", "KeyNotBound", "BadSignature", "Debuggable", "WrongEngine",
    "WrongAuthority", "OutOfTime", "NotDer", "WrongCertificate",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_decide_parts_cut_or_longer_are_refused(hall: Hall, kind: Hardware) -> None:
    _, honest, _ = hall.intel_evidence(kind, until=2**40)
    for name in ("signed", "engine", "extra", "pck", "authority"):
        whole = getattr(honest, name)
        sizes = {0, 1, 2, 31, 32, 48, 383, len(whole) // 2, len(whole) - 1} - {len(whole)}
        cuts = [whole[:size] for size in sizes if size < len(whole)]
        for made in [*cuts, whole + b"\0", whole + b"\0" * 64]:
            with pytest.raises(Reverted) as refused:
                decide(hall, kind, replace(honest, **{name: made}))
            assert refused.value.name in ERRORS, (name, len(made), refused.value)


# --- certificates ---------------------------------------------------------------------------------


def quoted_by(hall: Hall, platform: Holder, **how: Any) -> DcapEvidence:
    return hall.intel_evidence(Hardware.SGX, platform=platform, **how)[1]


PCK_NAME, LEVELS = "Intel SGX PCK Certificate", ((SGX, pck_extension()),)


def test_decide_engine_by_a_stolen_certificate_is_refused(hall: Hall) -> None:
    """Another platform's key, under an honest platform's certificates."""
    thief = hall.intel.authority.issue(PCK_NAME, extensions=LEVELS)
    data = hall.intel.quote(BINDING, platform=thief, signer=hall.intel.platform)
    with pytest.raises(AttestationError):
        in_python(Hardware.SGX, data)
    _, evidence, _ = hall.taken_apart(Hardware.SGX, data, 2**40)
    with reverts("BadSignature", ENGINE):
        decide(hall, Hardware.SGX, evidence)


def test_decide_quote_by_another_key_is_refused(hall: Hall) -> None:
    """The attestation key of one quote, the signature of another."""
    one, other = (hall.intel_evidence(Hardware.SGX)[1] for _ in range(2))
    with reverts("BadSignature", QUOTE):
        decide(hall, Hardware.SGX, replace(one, signature=other.signature))
    with reverts("KeyNotBound"):
        decide(hall, Hardware.SGX, replace(one, signature=other.signature, key=other.key))


def test_decide_another_root_of_the_same_names_is_refused(hall: Hall) -> None:
    stranger = Intel(root=root("Root of the tests", ec.SECP256R1()))
    data = stranger.quote(BINDING)
    with pytest.raises(AttestationError):
        in_python(Hardware.SGX, data)
    _, evidence, _ = hall.taken_apart(Hardware.SGX, data, 2**40)
    with reverts("BadSignature", AUTHORITY):
        decide(hall, Hardware.SGX, evidence)
    with reverts("BadSignature", PCK):  # the honest authority above it
        authority = hall.intel_evidence(Hardware.SGX)[1].authority
        decide(hall, Hardware.SGX, replace(evidence, authority=authority))


def test_decide_who_is_no_authority_cannot_make_platforms(hall: Hall) -> None:
    """Intel's root also signs the key that signs levels; and a platform's key is the platform's."""
    for maker in (hall.intel.signer, hall.intel.platform):
        forged = quoted_by(hall, maker.issue(PCK_NAME, extensions=LEVELS))
        with reverts("WrongAuthority", AUTHORITY):
            decide(hall, Hardware.SGX, forged)


def test_decide_an_authority_is_no_platform(hall: Hall) -> None:
    forged = quoted_by(hall, hall.intel.authority.issue(PCK_NAME, ca=True, extensions=LEVELS))
    with reverts("WrongAuthority", PCK):
        decide(hall, Hardware.SGX, forged)


def test_decide_certificates_out_of_time_are_refused(hall: Hall) -> None:
    now = hall.chain.now()
    authority = hall.intel.authority
    late = authority.issue(PCK_NAME, extensions=LEVELS, until=NOW - DAY / 4)
    early = authority.issue(PCK_NAME, extensions=LEVELS, since=NOW + DAY)
    for platform in (late, early):
        data = hall.intel.quote(BINDING, platform=platform)
        with pytest.raises(AttestationError):
            in_python(Hardware.SGX, data)
        _, evidence, _ = hall.taken_apart(Hardware.SGX, data, 2**40)
        span = platform.chain[0].not_valid_before_utc, platform.chain[0].not_valid_after_utc
        with reverts("OutOfTime", PCK, *(int(each.timestamp()) for each in span)):
            decide(hall, Hardware.SGX, evidence)
    old = hall.intel.root.issue("old authority", ca=True, until=NOW - DAY / 4)
    with reverts("OutOfTime", AUTHORITY):
        decide(hall, Hardware.SGX, quoted_by(hall, old.issue(PCK_NAME, extensions=LEVELS)))
    edge = authority.issue(
        PCK_NAME, extensions=LEVELS, until=datetime.fromtimestamp(now + 1000, UTC)
    )
    hall.chain.next_timestamp(now + 1000)
    hall.chain.rpc("evm_mine")
    decide(hall, Hardware.SGX, quoted_by(hall, edge))
    hall.chain.next_timestamp(now + 1001)
    hall.chain.rpc("evm_mine")
    with reverts("OutOfTime", PCK):
        decide(hall, Hardware.SGX, quoted_by(hall, edge))


@pytest.mark.parametrize("year", [1970, 1971, 1999, 2000, 2049, 2050, 2096, 2100, 2101, 2400, 9999])
def test_times_are_those_of_the_calendar(hall: Hall, year: int) -> None:
    """Both forms, all months, leap years of all sorts; read from what the refusal says."""
    for month, day in [(1, 1), (2, 28), (3, 1), (4, 30), (12, 31), (2, 29)]:
        if (month, day) == (2, 29) and (year % 4 or (year % 100 == 0 and year % 400)):
            continue
        since = datetime(year, month, day, 23, 58, 57, tzinfo=UTC)
        form = b"%02d" % (year % 100) if 1950 <= year < 2050 else b"%04d" % year
        text = form + b"%02d%02d235857Z" % (month, day)
        tag = 0x17 if len(text) == 13 else 0x18
        forged = crafted(hall.intel.authority, validity=der(tag, text) + der(tag, text))
        with pytest.raises(Reverted) as refused:
            decide(hall, Hardware.SGX, with_pck(hall, forged))
        seconds = int(since.timestamp())
        assert refused.value.name == "OutOfTime", refused.value
        assert refused.value.arguments[1:3] == (seconds, seconds)


TIMES = [
    b"", b"26060112000Z", b"260601120000", b"260601120000+", b"261301120000Z", b"260001120000Z",
    b"260600120000Z", b"260632120000Z", b"260601240000Z", b"260601126000Z", b"260601120060Z",
    b"26060112000:Z", b"2606011200/0Z", b"690601120000Z", b"20260601120000Z",
]  # fmt: skip


@pytest.mark.parametrize("text", TIMES)
def test_times_that_are_none_are_refused(hall: Hall, text: bytes) -> None:
    good = der(0x17, b"250601120000Z")
    forged = crafted(hall.intel.authority, validity=good + der(0x17, text))
    with reverts("NotDer"):
        decide(hall, Hardware.SGX, with_pck(hall, forged))


# Certificates written by hand, and signed by the authority all the same.

SIGNED_BY = bytes.fromhex("300a06082a8648ce3d040302")
TIME = der(0x17, b"260531120000Z") + der(0x17, b"260630120000Z")
USAGE = der(0x30, object_id("2.5.29.15") + b"\1\1\xff" + der(4, b"\3\2\7\x80"))
PLAIN = der(0x30, object_id("2.5.29.19") + b"\1\1\xff" + der(4, b"\x30\0"))
OWN = der(0x30, object_id(SGX) + der(4, pck_extension()))
PLATFORM = ec.generate_private_key(ec.SECP256R1())


def crafted(issuer: Holder, **fields: Any) -> bytes:
    """A PCK's certificate, but for what is said otherwise; `own`: its SGX extension's value."""
    key = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004") + point(PLATFORM)
    own = fields.get("own")
    levels = OWN if own is None else der(0x30, object_id(SGX) + der(4, own))
    extensions = fields.get("extensions", [USAGE, PLAIN, levels])
    signed = b"".join(
        [
            fields.get("version", bytes.fromhex("a003020102")),
            der(2, fields.get("serial", b"\x11")),
            fields.get("algorithm", SIGNED_BY),
            der(0x30, b""),
            der(0x30, fields.get("validity", TIME)),
            der(0x30, b""),
            fields.get("key", key),
            der(0xA3, der(0x30, b"".join(extensions))),
        ]
    )
    signed = der(0x30, signed)
    signature = issuer.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    bits = der(3, fields.get("bits", b"\0" + signature))
    return der(0x30, signed + fields.get("outer", SIGNED_BY) + bits)


def with_pck(hall: Hall, pck: bytes) -> DcapEvidence:
    honest = hall.intel_evidence(Hardware.SGX, platform=Holder(PLATFORM, INTEL.platform.chain))[1]
    return replace(honest, pck=pck, until=2**40)


def pairs(*named: tuple[str, bytes]) -> bytes:
    return der(0x30, b"".join(der(0x30, object_id(f"{SGX}.{at}") + value) for at, value in named))


LEVEL = ("2", der(0x30, b"levels"))
PCE, FMSPC = ("3", der(4, bytes(2))), ("4", der(4, bytes(6)))
LONG = 128 * b"a"

CRAFTED: dict[str, tuple[str, dict[str, Any]]] = {
    "version 1": ("WrongCertificate", {"version": b""}),
    "version 2": ("WrongCertificate", {"version": bytes.fromhex("a003020101")}),
    "serial below zero": ("NotDer", {"serial": b"\x80"}),
    "serial in another form": ("NotDer", {"serial": b"\0\x11"}),
    "serial of nothing": ("NotDer", {"serial": b""}),
    "serial too long": ("NotDer", {"serial": b"\x11" * 33}),
    "SHA-384 inside": (
        "WrongCertificate", {"algorithm": bytes.fromhex("300a06082a8648ce3d040303")}
    ),
    "SHA-384 outside": ("WrongCertificate", {"outer": bytes.fromhex("300a06082a8648ce3d040303")}),
    "three times": ("NotDer", {"validity": TIME + TIME[:15]}),
    "times, and more": ("NotDer", {"validity": TIME + der(0x30, b"")}),
    "one time": ("NotDer", {"validity": TIME[:15]}),
    "a key cut short": ("WrongCertificate", {"key": bytes(20)}),
    "no usage": ("NotDer", {"extensions": [PLAIN, OWN]}),
    "another usage": (
        "WrongCertificate",
        {"extensions": [USAGE.replace(b"\7\x80", b"\1\6"), PLAIN, OWN]},
    ),
    "an authority that may not sign": (
        "WrongCertificate",
        {"extensions": [
            USAGE, der(0x30, object_id("2.5.29.19") + der(4, b"\x30\3\1\1\xff")), OWN
        ]},
    ),
    "usage twice": ("WrongCertificate", {"extensions": [USAGE, USAGE, PLAIN, OWN]}),
    "constraints twice": ("WrongCertificate", {"extensions": [USAGE, PLAIN, PLAIN, OWN]}),
    "levels twice": ("WrongCertificate", {"extensions": [USAGE, PLAIN, OWN, OWN]}),
    "a critical extension that nobody knows": (
        "WrongCertificate",
        {"extensions": [USAGE, PLAIN, OWN,
                        der(0x30, object_id("2.5.29.30") + b"\1\1\xff" + der(4, b"a"))]},
    ),
    "false in another form": (
        "WrongCertificate", {"extensions": [USAGE.replace(b"\1\1\xff", b"\1\1\0"), PLAIN, OWN]}
    ),
    "an empty extension": (
        "WrongCertificate",
        {"extensions": [USAGE, PLAIN, OWN, der(0x30, object_id("2.5.29.30") + der(4, b""))]},
    ),
    "no levels": ("NotDer", {"extensions": [USAGE, PLAIN]}),
    "no FMSPC": ("WrongCertificate", {"own": pairs(LEVEL, PCE)}),
    "no PCE": ("WrongCertificate", {"own": pairs(LEVEL, FMSPC)}),
    "no TCB": ("WrongCertificate", {"own": pairs(PCE, FMSPC)}),
    "two FMSPCs": ("WrongCertificate", {"own": pairs(LEVEL, PCE, FMSPC, FMSPC)}),
    "levels, and more": ("NotDer", {"own": pairs(LEVEL, PCE, FMSPC) + b"\0"}),
    "bits that are no bytes": ("NotDer", {"bits": b"\1" + der(0x30, der(2, b"\1") * 2)}),
    "no signature": ("NotDer", {"bits": b""}),
    "r without s": ("NotDer", {"bits": b"\0" + der(0x30, der(2, b"\1"))}),
    "r below zero": ("NotDer", {"bits": b"\0" + der(0x30, der(2, b"\x81") + der(2, b"\1"))}),
    "three numbers": ("NotDer", {"bits": b"\0" + der(0x30, der(2, b"\1") * 3)}),
    "small numbers": ("BadSignature", {"bits": b"\0" + der(0x30, der(2, b"\1") * 2)}),
    "zeros": ("BadSignature", {"bits": b"\0" + der(0x30, der(2, b"\0") * 2)}),
}  # fmt: skip


def test_decide_certificate_written_by_hand_is_read(hall: Hall) -> None:
    evidence = with_pck(hall, crafted(hall.intel.authority))
    decide(hall, Hardware.SGX, evidence)
    unknown = der(0x30, object_id("2.5.29.30") + der(4, LONG))  # not critical: passed over
    sparse = crafted(hall.intel.authority, extensions=[unknown, USAGE, OWN])
    decide(hall, Hardware.SGX, with_pck(hall, sparse))
    own = crafted(hall.intel.authority, own=pairs(("9", b"\5\0"), FMSPC, PCE, LEVEL))
    level = decide(hall, Hardware.SGX, with_pck(hall, own))[2]
    assert level[1] == sha256(LEVEL[1] + PCE[1] + FMSPC[1]).digest()


@pytest.mark.parametrize("name", CRAFTED)
def test_decide_certificate_that_is_none_is_refused(hall: Hall, name: str) -> None:
    error, fields = CRAFTED[name]
    with reverts(error):
        decide(hall, Hardware.SGX, with_pck(hall, crafted(hall.intel.authority, **fields)))


def test_decide_lengths_have_one_form(hall: Hall) -> None:
    """What is around the signed part is signed by nobody: each other form of it is refused."""
    honest = crafted(hall.intel.authority)
    assert honest[:2] == b"\x30\x82"
    inner = honest[4:]
    size = len(inner)
    for head in (
        b"\x30\x83\0" + size.to_bytes(2, "big"),
        b"\x30\x80",
        b"\x30\x81" + bytes([size & 255]),
        b"\x31\x82" + size.to_bytes(2, "big"),
        b"\x30\x82" + (size + 1).to_bytes(2, "big"),
        b"\x30\x82" + (size - 1).to_bytes(2, "big"),
        b"\x30\xff",
        b"\x30",
    ):
        with reverts("NotDer"):
            decide(hall, Hardware.SGX, with_pck(hall, head + inner))
    at = honest.rindex(SIGNED_BY) + len(SIGNED_BY)
    bits = honest[at:]
    for form in (b"\3\x81" + bits[1:], b"\3\x82\0" + bits[1:]):
        body = honest[4:at] + form
        with reverts("NotDer"):
            decide(hall, Hardware.SGX, with_pck(hall, der(0x30, body)))


def test_decide_a_key_on_another_curve_is_refused(hall: Hall) -> None:
    other = Holder(ec.generate_private_key(ec.SECP384R1()), hall.intel.root.chain)
    forged = other.issue(PCK_NAME, extensions=LEVELS).der[0]
    with reverts("WrongCertificate"):
        decide(hall, Hardware.SGX, with_pck(hall, forged))


# --- chains that cannot check, and the real thing -------------------------------------------------


def test_constructor_without_the_precompiled_contract_is_refused() -> None:
    with Chain.start(hardfork="prague") as chain, reverts("NoP256"):
        chain.deploy("contracts/attested/Dcap.sol", *words(INTEL.root.key))


@pytest.mark.skipif(
    not VECTORS,
    reason="EINPROOF_ATTESTATION_VECTORS names no folder with samples of real evidence",
)
@pytest.mark.parametrize("kind", KINDS)
def test_decide_real_quotes_up_to_intels_root(kind: Hardware) -> None:
    """On 2025-06-20, and not when their certificates have ended."""
    named = Kind[kind.name]
    data = (Path(str(VECTORS)) / f"{named}_quote").read_bytes()
    at = int(datetime(2025, 6, 20, tzinfo=UTC).timestamp())
    quote = split(named, data)
    top = quote.chain[-1]
    assert sha256(top.public_bytes(Encoding.DER)).digest() in ROOTS[named]
    with Chain.start("--timestamp", str(at)) as chain:
        hall = Hall(chain)
        hall.dcap = chain.deploy("contracts/attested/Dcap.sol", INTEL_KEY[:32], INTEL_KEY[32:])
        _, evidence, level = hall.taken_apart(kind, data, 2**40)
        said, measurement, found, _, until = decide(hall, kind, evidence)
        assert b"".join(said) == quote.body[-64:]
        assert measurement == measured(named, quote.body)
        assert tuple(found) == astuple(level)
        assert until == int(quote.pck.not_valid_after_utc.timestamp())
        for name, value in zip(NAMES, astuple(evidence)[:-1], strict=True):
            whole = b"".join(value) if isinstance(value, tuple) else value
            for place in range(0, len(whole), 61):
                bent = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
                made = (bent[:32], bent[32:]) if isinstance(value, tuple) else bent
                with pytest.raises(Reverted):
                    decide(hall, kind, replace(evidence, **{name: made}))
        chain.next_timestamp(until + 1)
        chain.rpc("evm_mine")
        with reverts("OutOfTime", PCK):
            decide(hall, kind, evidence)
