"""MercuryVerifier.sol against prover/opening.py: what each accepts and refuses, how; gas."""

from __future__ import annotations

from typing import Any

import pytest
from web3.contract import Contract
from web3.exceptions import Web3RPCError

from prover import curve
from prover.curve import GENERATOR_G2, PointG2
from prover.errors import ProofError
from prover.field import P, Q
from prover.kernels import get
from prover.srs import development_id
from tests.evm import Chain, Reverted, artifact, reverts
from tests.openings import NOT_IN_G2, Statement, honest, reference_srs, tampered

FILE = "contracts/verifier/MercuryVerifier.sol"
K_MAX = 8

pytestmark = pytest.mark.chain


def words(point: PointG2) -> list[int]:
    """As EIP-197 and the constructor have them."""
    assert point is not None
    (x0, x1), (y0, y1) = point
    return [x1, x0, y1, y0]


def deploy(chain: Chain, k_max: int) -> Contract:
    srs = reference_srs(K_MAX)
    return chain.deploy(FILE, list(srs.s_g1), words(srs.s_g2), k_max)


@pytest.fixture(scope="module")
def verifier(anvil: Chain) -> Contract:
    return deploy(anvil, K_MAX)


def call(verifier: Contract, statement: Statement) -> Any:
    return verifier.functions.verify(
        statement.state,
        *statement.commitment,
        statement.value,
        statement.point,
        statement.proof,
    )


def test_it_names_its_srs(anvil: Chain, verifier: Contract) -> None:
    assert anvil.call(verifier.functions.srsId()) == development_id()
    assert anvil.call(verifier.functions.srsDevelopment()) is True
    assert anvil.call(verifier.functions.kMax()) == K_MAX
    other = anvil.deploy(FILE, list(curve.GENERATOR), words(GENERATOR_G2), 7)  # s = 1
    assert anvil.call(other.functions.srsDevelopment()) is False


@pytest.mark.parametrize("k", range(2, K_MAX + 1))
def test_it_accepts_what_python_makes(anvil: Chain, verifier: Contract, k: int) -> None:
    anvil.call(call(verifier, honest(k)))


@pytest.mark.parametrize("k", [2, 3, 6, 7])
def test_it_refuses_every_tampering_as_python_does(
    anvil: Chain, verifier: Contract, k: int
) -> None:
    count = 0
    for label, statement, expected in tampered(honest(k), K_MAX):
        with pytest.raises(Reverted) as caught:
            anvil.call(call(verifier, statement))
        got = caught.value.name, caught.value.arguments
        assert got == (type(expected).__name__, expected.args), label
        count += 1
    assert count > 80


def test_the_first_wrong_part_is_named_by_both(anvil: Chain, verifier: Contract) -> None:
    """With everything after the first wrong part wrong too, the order of the checks shows."""
    base = honest(3)
    srs = reference_srs(K_MAX)
    wrong: list[dict[str, Any]] = [
        {"proof": b"\xff" * 640},
        {"proof": b""},
        {"point": [P, 0, P + 1]},
        {"value": P + 5},
        {"commitment": (Q, 0)},
        {"point": [P]},
    ]
    names = []
    statement = base
    for change in wrong:
        statement = statement._replace(**change)
        with pytest.raises(ProofError) as python:
            statement.verify(srs)
        with pytest.raises(Reverted) as solidity:
            anvil.call(call(verifier, statement))
        assert solidity.value.name == type(python.value).__name__
        assert solidity.value.arguments == python.value.args
        names.append(solidity.value.name)
    assert names == [
        "NonCanonicalCoordinate",
        "WrongLength",
        "NonCanonicalScalar",
        "NonCanonicalScalar",
        "NonCanonicalCoordinate",
        "UnsupportedSize",
    ]


def test_proof_bytes_flipped_one_at_a_time_are_refused(anvil: Chain, verifier: Contract) -> None:
    base = honest(4)
    for i in range(0, 640, 7):
        flipped = bytearray(base.proof)
        flipped[i] ^= 1 << i % 8
        with pytest.raises(Reverted) as caught:
            anvil.call(call(verifier, base._replace(proof=bytes(flipped))))
        assert caught.value.name in {
            "OpeningRejected",
            "PointNotOnCurve",
            "NonCanonicalCoordinate",
            "NonCanonicalScalar",
        }


def test_too_little_gas_reverts_and_never_accepts(anvil: Chain, verifier: Contract) -> None:
    statement = honest(4)._replace(value=0)
    for gas in range(60_000, 240_000, 10_000):
        with pytest.raises((Reverted, Web3RPCError)) as caught:
            anvil.call(call(verifier, statement), gas=gas)
        if isinstance(caught.value, Web3RPCError):
            assert "OutOfGas" in str(caught.value)


@pytest.mark.parametrize("k", [6, 7])
def test_gas_stays_below_its_bound(anvil: Chain, verifier: Contract, k: int) -> None:
    function = call(verifier, honest(k))
    receipt = anvil.send(function)
    data = bytes.fromhex(function._encode_transaction_data()[2:])
    intrinsic = 21_000 + sum(16 if byte else 4 for byte in data)
    assert receipt["gasUsed"] - intrinsic < 190_000


def test_the_code_is_small() -> None:
    assert len(artifact(FILE).runtime) < 24_576 // 2


def test_the_constructor_refuses_what_is_no_srs(anvil: Chain) -> None:
    srs = reference_srs(K_MAX)
    s1, s2 = list(srs.s_g1), words(srs.s_g2)
    with reverts("MalformedSrs"):
        anvil.deploy(FILE, list(curve.GENERATOR), s2, 7)
    with reverts("MalformedSrs"):
        anvil.deploy(FILE, s1, words(GENERATOR_G2), 7)
    with reverts("PointNotOnCurve", s1[0], 1):
        anvil.deploy(FILE, [s1[0], 1], s2, 7)
    with reverts("PointAtInfinity"):
        anvil.deploy(FILE, [0, 0], [0, 0, 0, 0], 7)
    for bad in (words(NOT_IN_G2), [s2[1], s2[0], s2[2], s2[3]], [s2[0] + Q, *s2[1:]]):
        with reverts("PrecompileFailed", 8):
            anvil.deploy(FILE, s1, bad, 7)
    for k_max in (0, 1, 29):
        with reverts("UnsupportedSize", 28, k_max):
            anvil.deploy(FILE, s1, s2, k_max)


@pytest.mark.parametrize("k", [5, 12])
def test_it_accepts_what_the_scalar_tier_makes(anvil: Chain, k: int) -> None:
    verifier = deploy(anvil, 12)
    statement = honest(k, get("scalar"))
    anvil.call(call(verifier, statement))
    with reverts("OpeningRejected"):
        anvil.call(call(verifier, statement._replace(value=(statement.value + 1) % P)))
