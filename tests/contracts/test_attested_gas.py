"""Gas of the attested tier against a committed snapshot (whole transactions, no callback).

With EINPROOF_UPDATE_SNAPSHOTS=1 the snapshot is written anew: look at the difference, commit it.
Keys and signatures are derived from fixed numbers, so that calldata is the same in every run.
"""

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from oracle.domain.attested import Hardware
from tests.attestation.authority import NOW, Intel
from tests.contracts import hall as module
from tests.contracts.hall import WINDOW, Hall
from tests.evm import Chain

SNAPSHOT = Path(__file__).parent / "gas_attested.json"
CREATED = 1_750_000_000


def sign(key: ec.EllipticCurvePrivateKey, digest: bytes) -> tuple[bytes, bytes]:
    """RFC 6979: the same bytes each time."""
    prehashed = module.utils.Prehashed(hashes.SHA256())
    signature = key.sign(digest, ec.ECDSA(prehashed, deterministic_signing=True))
    r, s = module.utils.decode_dss_signature(signature)
    return r.to_bytes(32, "big"), s.to_bytes(32, "big")


@pytest.fixture
def hall(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hall]:
    """A chain of its own: addresses and times are the same in every run."""
    monkeypatch.setattr(module, "sign", sign)
    with Chain.start("--timestamp", str(CREATED)) as chain:
        hall = Hall(chain, guarded=True)
        hall.key, hall.tpm = (ec.derive_private_key(n, ec.SECP256R1()) for n in (11, 12))
        hall.until = CREATED + 300 * 86_400
        yield hall


@pytest.fixture
def quoting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hall]:
    """The same at the time of Intel's certificates, all of whose keys are fixed as well."""
    numbers, derive = itertools.count(21), ec.derive_private_key
    monkeypatch.setattr(ec, "generate_private_key", lambda curve: derive(next(numbers), curve))
    monkeypatch.setattr(x509, "random_serial_number", lambda: (1 << 159) // 3 + next(numbers))
    monkeypatch.setattr(module, "INTEL", Intel())
    with Chain.start("--timestamp", str(int(NOW.timestamp()))) as chain:
        hall = Hall(chain, guarded=True)
        hall.until = int(NOW.timestamp()) + 300 * 86_400
        yield hall


def measure_quotes(hall: Hall) -> dict[str, int]:
    gas = {}
    for kind in (Hardware.SGX, Hardware.TDX):
        hall.key = module.new_key()
        enrolment, evidence, level = hall.intel_evidence(kind)
        hall.admit_level(enrolment, level)
        enrolling = hall.enrolling(enrolment, evidence.encoded)
        gas[f"enrol, {kind.name}"] = hall.chain.send(enrolling, sender=hall.operator)["gasUsed"]
    return gas


def measure(hall: Hall) -> dict[str, int]:
    gas = {}
    hall.admit_all()
    enrolment = hall.enrolment()
    enrolling = hall.enrolling(enrolment, hall.evidence(enrolment).encoded)
    gas["enrol, TPM"] = hall.chain.send(enrolling, sender=hall.operator)["gasUsed"]
    hall.wait(2 * 86_400)
    hall.stake()
    deadline = CREATED + 22 * 86_400
    for nonce in range(2):
        request = hall.request(nonce=nonce, deadline=deadline)
        gas["request"] = hall.ask(request)["gasUsed"]
        gas["answer"] = hall.post(request)["gasUsed"]
    hall.wait(WINDOW + 1)
    gas["finalise"] = hall.post(request)["gasUsed"]
    gas["answer + finalise"] = gas["answer"] + gas["finalise"]
    gas["revoke"] = hall.revoke()["gasUsed"]
    return gas


def test_gas_is_that_of_the_snapshot(hall: Hall, quoting: Hall) -> None:
    measured = measure(hall) | measure_quotes(quoting)
    if os.environ.get("EINPROOF_UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n")
    assert measured == json.loads(SNAPSHOT.read_text())
    assert measured["request"] <= 70_000
    assert measured["answer"] <= 100_000
