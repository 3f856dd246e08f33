"""Beacons: real rounds of drand's two networks, and everything near them refused.

The rounds are public (https://api.drand.sh/v2/beacons/quicknet and evmnet), their signatures
check under py_ecc's pairings, and their values are drand's published `randomness`.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from eth_hash.auto import keccak
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381 import G2, multiply, normalize
from web3.contract import Contract

from tests.contracts.desk import HARNESS
from tests.evm import Chain, Reverted, reverts

Q381 = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf"
    "6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    16,
)
Q254 = 21888242871839275222246405745257275088696311157297823662689037894645226208583
QUICKNET_X = int(
    "144679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b1957"
    "6350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
    16,
)
QUICKNET_Y = int(
    "11f92e4521ef54f047b64b85fa98db2d46f0f44add1f60b9"
    "3f8a0dbddd63b34f238657c2d93aed18b90bddd60a01b6d2",
    16,
)
#: round: signature, randomness
QUICKNET = {
    1000: (
        QUICKNET_X.to_bytes(64, "big") + QUICKNET_Y.to_bytes(64, "big"),
        "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",
    )
}
EVMNET = {
    1000: (
        bytes.fromhex(
            "06fd5996329504d3a56b482d9222bf7205857d0a9559ddd216ca31a286f6a8cc"
            "0a120f021aac2f13553fb164f62bc3a5ca32c76dea88a777b39bcf3cac5fdbd6"
        ),
        "0e6745667465a6f9dce5d5f994656955080be14c469ff17fc4fc588c925a8504",
    ),
    10_000_000: (
        bytes.fromhex(
            "2c7b65b5acfe55256910ca71cf0a0fa71ac34c2a1167f86a22930a03e70ebec0"
            "0f7a530796e7ee38600b06da0390634a9b154e3eebc3b323dde2111e1c8ebdf3"
        ),
        "",  # sha256 of the signature
    ),
    18_710_192: (
        bytes.fromhex(
            "174c481ee5453aa002b6a5e4e4b3bad70c62933a286285b5c22e1d6b9304b4d4"
            "0720072ba15a5c6dfe9f271bd48fd36b9d488334da388da85e45451f95ad1427"
        ),
        "7e4275a00825f58a689a547e8a728ca497c85cb2b08af3f8b6e75776bd64f385",
    ),
}
TAG = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"


@pytest.fixture(scope="module")
def quicknet(anvil: Chain) -> Contract:
    return anvil.deploy("contracts/random/DrandQuicknet.sol")


@pytest.fixture(scope="module")
def evmnet(anvil: Chain) -> Contract:
    return anvil.deploy("contracts/random/DrandEvmnet.sol")


@pytest.fixture(scope="module")
def hashes(anvil: Chain) -> Contract:
    return anvil.deploy(f"{HARNESS}/Hashes.sol")


def published(chain: Chain, beacon: Contract, round: int, signature: bytes) -> bytes:
    chain.send(beacon.functions.publish(round, signature))
    return bytes(chain.call(beacon.functions.valueOf(round)))


def g1(point: Any) -> bytes:
    x, y = normalize(point)
    return int(x).to_bytes(64, "big") + int(y).to_bytes(64, "big")


def g2(point: Any) -> bytes:
    x, y = normalize(point)
    return b"".join(int(c).to_bytes(64, "big") for c in (*x.coeffs, *y.coeffs))


# --- quicknet -------------------------------------------------------------------------------------


@pytest.mark.parametrize("round", QUICKNET)
def test_publish_quicknet_round_has_drands_value(
    chain: Chain, quicknet: Contract, round: int
) -> None:
    signature, randomness = QUICKNET[round]
    assert bytes(chain.call(quicknet.functions.valueOf(round))) == bytes(32)
    assert published(chain, quicknet, round, signature).hex() == randomness


def test_publish_quicknet_other_round_is_refused(chain: Chain, quicknet: Contract) -> None:
    signature, _ = QUICKNET[1000]
    with reverts("WrongSignature", 1001):
        published(chain, quicknet, 1001, signature)


def test_publish_quicknet_negated_signature_is_refused(chain: Chain, quicknet: Contract) -> None:
    signature = QUICKNET_X.to_bytes(64, "big") + (Q381 - QUICKNET_Y).to_bytes(64, "big")
    with reverts("WrongSignature", 1000):
        published(chain, quicknet, 1000, signature)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (QUICKNET_X, QUICKNET_Y + 1),  # off the curve
        (QUICKNET_X + Q381, QUICKNET_Y),  # not canonical
        (QUICKNET_X, QUICKNET_Y + Q381),
        (0, 2),  # on the curve, not in the subgroup
    ],
)
def test_publish_quicknet_no_point_is_refused(
    chain: Chain, quicknet: Contract, x: int, y: int
) -> None:
    with reverts("PrecompileRefused"):
        published(chain, quicknet, 1000, x.to_bytes(64, "big") + y.to_bytes(64, "big"))


def test_publish_quicknet_infinity_is_refused(chain: Chain, quicknet: Contract) -> None:
    with reverts("WrongSignature", 1000):
        published(chain, quicknet, 1000, bytes(128))


@pytest.mark.parametrize("size", [0, 48, 96, 127, 129])
def test_publish_quicknet_wrong_size_is_refused(
    chain: Chain, quicknet: Contract, size: int
) -> None:
    with reverts("WrongSignatureSize", 128, size):
        published(chain, quicknet, 1000, bytes(size))


def test_constructor_quicknet_without_precompiles_is_refused() -> None:
    """A chain before Prague answers calls to the precompiled contracts with success and no data."""
    with Chain.start(hardfork="cancun") as chain, reverts("PrecompileRefused"):
        chain.deploy("contracts/random/DrandQuicknet.sol")


# --- evmnet ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("round", EVMNET)
def test_publish_evmnet_round_has_drands_value(chain: Chain, evmnet: Contract, round: int) -> None:
    signature, randomness = EVMNET[round]
    expected = randomness or hashlib.sha256(signature).hexdigest()
    assert published(chain, evmnet, round, signature).hex() == expected


@pytest.mark.parametrize("round", [1, 999, 1001, 2**64 - 1])
def test_publish_evmnet_other_round_is_refused(chain: Chain, evmnet: Contract, round: int) -> None:
    with reverts("WrongSignature", round):
        published(chain, evmnet, round, EVMNET[1000][0])


def test_publish_evmnet_changed_signature_is_refused(chain: Chain, evmnet: Contract) -> None:
    signature, _ = EVMNET[1000]
    x, y = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    for other in ((x, Q254 - y), (x, y + 1), (x + Q254, y), (x, y + Q254), (0, 0), (1, 2)):
        with reverts("WrongSignature", 1000):
            published(chain, evmnet, 1000, b"".join(c.to_bytes(32, "big") for c in other))
    with reverts("WrongSignatureSize", 64, 63):
        published(chain, evmnet, 1000, signature[:63])


# --- all ------------------------------------------------------------------------------------------


def test_round_after_is_the_first_later_one(chain: Chain, evmnet: Contract) -> None:
    genesis, period = 1_727_521_075, 3
    for timestamp in [0, genesis - 1, *range(genesis, genesis + 8), 2_000_000_000]:
        round = chain.call(evmnet.functions.roundAfter(timestamp))
        assert chain.call(evmnet.functions.timeOf(round)) > timestamp
        assert round == 1 or timestamp >= chain.call(evmnet.functions.timeOf(round - 1))
        assert round == 1 or chain.call(evmnet.functions.timeOf(round)) - timestamp <= period
    for move in (evmnet.functions.timeOf(0), evmnet.functions.publish(0, b"")):
        with reverts("NoSuchRound", 0):
            chain.call(move)


def test_development_beacon_answers_on_time_and_says_what_it_is(chain: Chain) -> None:
    beacon = chain.deploy("contracts/random/DevelopmentBeacon.sol")
    assert chain.call(beacon.functions.development()) is True
    round = chain.call(beacon.functions.roundAfter(chain.now() + 100))
    due = chain.call(beacon.functions.timeOf(round))
    chain.next_timestamp(due - 1)
    with reverts("RoundNotMade", due, due - 1):
        published(chain, beacon, round, b"")
    chain.next_timestamp(due)
    value = published(chain, beacon, round, b"")
    assert value != published(chain, beacon, round - 1, b"") != bytes(32)
    with reverts("WrongSignatureSize", 0, 1):
        published(chain, beacon, round, b"x")


def test_development_beacon_on_another_chain_is_refused() -> None:
    with Chain.start("--chain-id", "5") as chain, reverts("DevelopmentOnly", 31337, 5):
        chain.deploy("contracts/random/DevelopmentBeacon.sol")


def test_real_beacons_are_not_labelled_development(
    chain: Chain, quicknet: Contract, evmnet: Contract
) -> None:
    assert [chain.call(b.functions.development()) for b in (quicknet, evmnet)] == [False, False]


# --- hashes to curves -----------------------------------------------------------------------------


@pytest.mark.parametrize("message", [b"", b"abc", bytes(range(200))])
def test_hash_to_g1_is_py_eccs(chain: Chain, hashes: Contract, message: bytes) -> None:
    for tag in (TAG, b"einproof"):
        got = chain.call(hashes.functions.hashToG1(message, tag))
        assert bytes(got) == g1(hash_to_G1(message, tag, hashlib.sha256))


def test_bls_signature_of_another_key_or_message_is_refused(chain: Chain, hashes: Contract) -> None:
    secret = int.from_bytes(keccak(b"a test key"), "big")
    key, other = g2(multiply(G2, secret)), g2(multiply(G2, secret + 1))
    signature = g1(multiply(hash_to_G1(b"message", TAG, hashlib.sha256), secret))
    verify = hashes.functions.verify
    assert chain.call(verify(key, b"message", TAG, signature)) is True
    assert chain.call(verify(other, b"message", TAG, signature)) is False
    assert chain.call(verify(key, b"massage", TAG, signature)) is False
    assert chain.call(verify(key, b"message", TAG + b"+", signature)) is False
    with pytest.raises(Reverted, match="PrecompileRefused"):
        chain.call(verify(key[:-1] + bytes([key[-1] ^ 1]), b"message", TAG, signature))


def svdw(u: int) -> tuple[int, int]:
    """RFC 9380, section 6.6.1, by its definition; A = 0, B = 3, Z = 1."""
    q, z = Q254, 1

    def g(x: int) -> int:
        return (x**3 + 3) % q

    def inverse(x: int) -> int:
        return pow(x, q - 2, q)

    def root(x: int) -> int | None:
        y = pow(x, (q + 1) // 4, q)
        return y if y * y % q == x % q else None

    tv1 = u * u * g(z) % q
    tv2, tv1 = (1 + tv1) % q, (1 - tv1) % q
    tv3 = inverse(tv1 * tv2 % q)
    tv4 = root(-g(z) * 3 * z * z % q)
    assert tv4 is not None
    tv4 = -tv4 if tv4 % 2 else tv4
    tv5 = u * tv1 * tv3 * tv4 % q
    tv6 = -4 * g(z) * inverse(3 * z * z) % q
    for x in (-z * inverse(2) - tv5, -z * inverse(2) + tv5, z + tv6 * (tv2 * tv2 * tv3) ** 2):
        y = root(g(x % q))
        if y is not None:
            return x % q, y if y % 2 == u % 2 else q - y
    raise AssertionError("one of the three is a square")


@pytest.mark.parametrize(
    "u",
    [
        0,
        1,
        2,
        3,
        Q254 - 1,
        Q254 - 2,
        *(int.from_bytes(keccak(bytes([i])), "big") % Q254 for i in range(12)),
    ],
)
def test_map_bn254_is_the_rfcs(chain: Chain, hashes: Contract, u: int) -> None:
    x, y = chain.call(hashes.functions.mapBn254(u))
    assert (x, y) == svdw(u)
    assert y * y % Q254 == (x**3 + 3) % Q254
