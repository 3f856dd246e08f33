"""Real evidence of five makers, at a time when it was valid, to the pinned roots."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from oracle.attestation import (
    ROOTS,
    AttestationError,
    Attested,
    DebugMode,
    Expired,
    Kind,
    Policy,
    SignatureInvalid,
    TcbRefused,
    UnexpectedValue,
    UntrustedRoot,
    verify,
)

VARIABLE = "EINPROOF_ATTESTATION_VECTORS"
FOLDER = os.environ.get(VARIABLE)
pytestmark = pytest.mark.skipif(
    not FOLDER, reason=f"{VARIABLE} names no folder with samples of real evidence"
)
TIMES = {
    Kind.SGX: datetime(2025, 6, 20, tzinfo=UTC),
    Kind.TDX: datetime(2025, 6, 20, tzinfo=UTC),
    Kind.SNP: datetime(2023, 6, 1, tzinfo=UTC),
    Kind.NITRO: datetime(2026, 1, 3, 20, 45, tzinfo=UTC),
    Kind.NVIDIA: datetime(2026, 1, 3, tzinfo=UTC),
}
HARDENING = "ConfigurationAndSWHardeningNeeded"


def read(name: str) -> bytes:
    return (Path(str(FOLDER)) / name).read_bytes()


def parts(kind: Kind) -> dict[str, bytes]:
    match kind:
        case Kind.SGX | Kind.TDX:
            names = (f"{kind}_quote", f"{kind}_quote_collateral.json")
            return {"quote": read(names[0]), "collateral": read(names[1])}
        case Kind.SNP:
            leaf = read("snp_vcek.testcer")
            return {
                "report": read("snp_attestation.bin"),
                "chain": pem(leaf) + read("snp_milan.testcer"),
            }
        case Kind.NITRO:
            return {"document": read("nitro_doc_fixed.bin")}
        case _:
            return {
                "report": bytes.fromhex(read("nv_hopperAttestationReport.txt").decode()),
                "chain": read("nv_hopperCertChain.txt"),
            }


def pem(der: bytes) -> bytes:
    import ssl

    return der if der.startswith(b"-----") else ssl.DER_cert_to_PEM_cert(der).encode()


def policy(kind: Kind) -> Policy:
    """The sample of SNP is of a guest that its host could debug."""
    statuses = frozenset({"UpToDate", HARDENING})
    return Policy(ROOTS[kind], TIMES[kind], statuses=statuses, allow_debug=kind is Kind.SNP)


def decide(kind: Kind) -> Attested:
    return verify(kind, parts(kind), policy(kind))


@pytest.mark.parametrize("kind", TIMES)
def test_accepted(kind: Kind) -> None:
    attested = decide(kind)
    assert attested.kind is kind and attested.measurements
    assert attested.valid_until > TIMES[kind]
    wanted = replace(
        policy(kind),
        report_data=attested.report_data,
        measurements=attested.measurements,
    )
    assert verify(kind, parts(kind), wanted) == attested


def test_what_they_say() -> None:
    sgx, tdx = decide(Kind.SGX), decide(Kind.TDX)
    assert (sgx.status, len(sgx.advisories)) == (HARDENING, 2)
    assert tdx.status == "UpToDate" and len(tdx.measurements["mr_td"]) == 48
    assert len(decide(Kind.SNP).measurements["measurement"]) == 48
    assert any(decide(Kind.NITRO).measurements["pcr0"])
    assert "driver_version" in decide(Kind.NVIDIA).measurements


@pytest.mark.parametrize("kind", TIMES)
def test_another_root_is_refused(kind: Kind) -> None:
    with pytest.raises(UntrustedRoot):
        verify(kind, parts(kind), replace(policy(kind), roots=frozenset({bytes(32)})))


@pytest.mark.parametrize("kind", [k for k in TIMES if k is not Kind.NVIDIA])
def test_late_is_refused(kind: Kind) -> None:
    """NVIDIA's certificates do not end."""
    with pytest.raises(Expired):
        verify(kind, parts(kind), replace(policy(kind), at=datetime(2099, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize("kind", TIMES)
def test_early_is_refused(kind: Kind) -> None:
    with pytest.raises(Expired):
        verify(kind, parts(kind), replace(policy(kind), at=datetime(2001, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize("kind", TIMES)
def test_another_nonce_or_measurement_is_refused(kind: Kind) -> None:
    attested = decide(kind)
    other = bytes([*attested.report_data, 1])
    with pytest.raises(UnexpectedValue):
        verify(kind, parts(kind), replace(policy(kind), report_data=other))
    for name in attested.measurements:
        with pytest.raises(UnexpectedValue):
            verify(kind, parts(kind), replace(policy(kind), measurements={name: b"another"}))


def test_a_guest_under_debugging_is_refused() -> None:
    with pytest.raises(DebugMode):
        verify(Kind.SNP, parts(Kind.SNP), replace(policy(Kind.SNP), allow_debug=False))


def test_a_level_that_the_policy_does_not_take() -> None:
    with pytest.raises(TcbRefused):
        verify(Kind.SGX, parts(Kind.SGX), Policy(ROOTS[Kind.SGX], TIMES[Kind.SGX]))
    with pytest.raises(TcbRefused):
        most = replace(policy(Kind.SNP), tcb={"microcode": 255})
        verify(Kind.SNP, parts(Kind.SNP), most)


@pytest.mark.parametrize("kind", TIMES)
def test_tampered_bytes_are_refused(kind: Kind) -> None:
    """A bit of every 13th byte of what is signed."""
    given = parts(kind)
    name = next(iter(given))
    data = given[name]
    end = {Kind.SGX: 1018, Kind.TDX: 1218, Kind.SNP: 0x2A0 + 144}.get(kind, len(data))
    for at in range(0, end, 13):
        bent = bytearray(data)
        bent[at] ^= 1
        with pytest.raises(AttestationError):
            verify(kind, {**given, name: bytes(bent)}, policy(kind))


@pytest.mark.parametrize("kind", TIMES)
def test_cut_bytes_are_refused(kind: Kind) -> None:
    given = parts(kind)
    for name, data in given.items():
        for end in (0, 1, 40, len(data) // 2, len(data) - 1):
            if end == len(data) - 1 and name in ("quote", "chain"):
                continue  # padding after a quote, the last line's end
            with pytest.raises(AttestationError):
                verify(kind, {**given, name: data[:end]}, policy(kind))


def test_a_signature_is_checked_before_what_it_signs() -> None:
    given = parts(Kind.SNP)
    report = bytearray(given["report"])
    report[0x90] ^= 1
    with pytest.raises(SignatureInvalid):
        verify(Kind.SNP, {**given, "report": bytes(report)}, policy(Kind.SNP))
