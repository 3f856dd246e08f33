"""BlsKeys against py_ecc: possession, quorums of large committees, attacks on both, their gas."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381 import G1, G2, Z1, Z2, add, multiply, neg, normalize
from web3.contract import Contract

from tests.evm import Chain, Reverted, reverts

POSSESSION = b"EINPROOF_POSSESSION_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
QUORUM = b"EINPROOF_QUORUM_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
MESSAGE = b"epoch 20000, request 1, claim 2"
SNAPSHOT = Path(__file__).parent / "gas_bls.json"
#: Members, and how many of them sign.
SIZES = {32: 22, 64: 43}
MOST = 64


def encoded(point: Any) -> bytes:
    """As EIP-2537 has points of either group."""
    if point[2] == type(point[2]).zero():
        return bytes(64 * 2 * (len(getattr(point[0], "coeffs", (0,)))))
    coordinates = [c for part in normalize(point) for c in getattr(part, "coeffs", (part,))]
    return b"".join(int(getattr(c, "n", c)).to_bytes(64, "big") for c in coordinates)


def secret(number: int) -> int:
    return 10**9 + 7 * number


def sign(number: int, message: bytes, tag: bytes = QUORUM) -> Any:
    return multiply(hash_to_G1(message, tag, hashlib.sha256), secret(number))


def total(points: Sequence[Any], zero: Any = Z1) -> Any:
    for point in points:
        zero = add(zero, point)
    return zero


class Club:
    """Members of a BlsKeys contract, each an account of its own; by number, owners ascending."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract: Contract = chain.deploy("contracts/committee/BlsKeys.sol")
        self.keys = [encoded(multiply(G2, secret(n))) for n in range(MOST)]
        self.owners = [f"0x{0xB15 + n:040x}" for n in range(MOST)]
        self.owners = [chain.web3.to_checksum_address(owner) for owner in self.owners]
        for owner in self.owners:
            chain.set_balance(owner, 10**19)
            chain.rpc("anvil_impersonateAccount", owner)
        for number in range(MOST):
            self.register(number)

    def possession(self, owner: str, key: bytes) -> bytes:
        return bytes(self.chain.call(self.contract.functions.possessionOf(owner, key)))

    def register(self, number: int) -> Any:
        owner, key = self.owners[number], self.keys[number]
        proof = encoded(sign(number, self.possession(owner, key), POSSESSION))
        return self.chain.send(self.contract.functions.register(key, proof), sender=owner)

    def pin(self, count: int) -> tuple[list[bytes], bytes]:
        receipt = self.chain.send(
            self.contract.functions.pin(self.owners[:count], self.keys[:count])
        )
        (event,) = self.contract.events.Pinned().process_receipt(receipt)
        return tuple(event["args"]["members"].values())

    def signers(self, roll: Any, absent: Sequence[int], signature: bytes, **how: Any) -> Any:
        keys = how.get("keys", [self.keys[n] for n in absent])
        bits = how.get("bits", sum(1 << n for n in absent))
        message = how.get("message", MESSAGE)
        return self.contract.functions.signers(roll, bits, keys, message, signature)


@pytest.fixture(scope="module")
def club() -> Iterator[Club]:
    with Chain.start() as chain:
        yield Club(chain)


@pytest.fixture(scope="module")
def signatures() -> list[Any]:
    return [sign(n, MESSAGE) for n in range(MOST)]


@pytest.fixture(scope="module")
def roll(club: Club) -> Any:
    return club.pin(8)


@pytest.fixture
def fresh(club: Club) -> Iterator[Club]:
    snapshot = club.chain.snapshot()
    yield club
    club.chain.restore(snapshot)


def test_pin_sums_the_keys_as_py_ecc_does(club: Club, roll: Any) -> None:
    keys, summed = roll
    assert summed == encoded(multiply(G2, sum(secret(n) for n in range(8))))
    for number, key in enumerate(keys):
        assert key == bytes(club.chain.call(club.contract.functions.keyOf(club.owners[number])))


@pytest.mark.parametrize("absent", [(), (3,), (0, 7), (1, 2, 3, 4, 5, 6, 7)])
def test_signers_of_those_present_are_counted(
    club: Club, roll: Any, signatures: list[Any], absent: Sequence[int]
) -> None:
    present = [n for n in range(8) if n not in absent]
    signature = encoded(total([signatures[n] for n in present]))
    assert club.chain.call(club.signers(roll, absent, signature)) == 8 - len(absent)


def test_signers_with_one_signature_missing_doubled_or_over_another_message_are_none(
    club: Club, roll: Any, signatures: list[Any]
) -> None:
    everyone = signatures[:8]
    for wrong in (everyone[:7], [*everyone, everyone[0]], [neg(s) for s in everyone], []):
        assert club.chain.call(club.signers(roll, (), encoded(total(wrong)))) == 0
    good = encoded(total(everyone))
    assert club.chain.call(club.signers(roll, (), good, message=MESSAGE + b"!")) == 0
    other = [sign(n, MESSAGE, POSSESSION) for n in range(8)]  # a proof of possession is no word
    assert club.chain.call(club.signers(roll, (), encoded(total(other)))) == 0


def test_signers_that_are_all_absent_are_at_infinity(club: Club, roll: Any) -> None:
    """The signature at infinity would hold for no keys at all."""
    with reverts("AtInfinity"):
        club.chain.call(club.signers(roll, range(8), encoded(Z1)))


def test_signers_of_keys_or_rolls_that_are_not_pinned_are_refused(
    club: Club, roll: Any, signatures: list[Any]
) -> None:
    signature = encoded(total(signatures[:7]))
    keys, summed = roll
    for forged in ((keys, encoded(G2)), (keys[:7], summed), ([*keys[:7], bytes(32)], summed)):
        with reverts("NotPinned"):
            club.chain.call(club.signers(forged, (7,), signature))
    with reverts("WrongKey", 7):
        club.chain.call(club.signers(roll, (7,), signature, keys=[club.keys[6]]))
    for wrong in ([], [club.keys[7], club.keys[7]]):
        with reverts("WrongSize"):
            club.chain.call(club.signers(roll, (7,), signature, keys=wrong))
    with reverts("WrongAbsence"):
        club.chain.call(club.signers(roll, (7,), signature, bits=1 << 8))
    with reverts("WrongSize"):
        club.chain.call(club.signers(roll, (7,), signature[:-1]))


def test_register_a_rogue_key_is_refused(fresh: Club) -> None:
    """k G2 minus another's key: one could sign alone for the sum of both; it cannot be proved."""
    club, owner = fresh, fresh.chain.accounts[1]
    rogue = add(multiply(G2, 5), neg(multiply(G2, secret(0))))
    key = encoded(rogue)
    word = club.possession(owner, key)
    hashed = hash_to_G1(word, POSSESSION, hashlib.sha256)
    for proof in (multiply(hashed, 5), multiply(hashed, secret(0)), Z1):
        with reverts("NotPossessed", owner):
            club.chain.send(club.contract.functions.register(key, encoded(proof)), sender=owner)


def test_register_the_point_at_infinity_is_refused(fresh: Club) -> None:
    call = fresh.contract.functions.register(encoded(Z2), encoded(Z1))
    with reverts("AtInfinity"):
        fresh.chain.send(call, sender=fresh.chain.accounts[1])


def test_register_anothers_key_or_a_second_one_is_refused(fresh: Club) -> None:
    club, owner = fresh, fresh.chain.accounts[1]
    proof = encoded(sign(0, club.possession(owner, club.keys[0]), POSSESSION))
    with reverts("Taken", club.owners[0]):
        club.chain.send(club.contract.functions.register(club.keys[0], proof), sender=owner)
    key = encoded(multiply(G2, 99))
    hashed = hash_to_G1(club.possession(club.owners[0], key), POSSESSION, hashlib.sha256)
    with reverts("Taken", club.owners[0]):
        call = club.contract.functions.register(key, encoded(multiply(hashed, 99)))
        club.chain.send(call, sender=club.owners[0])


def test_register_with_anothers_proof_is_refused(fresh: Club) -> None:
    """A proof names its owner, contract and chain."""
    club, key = fresh, encoded(multiply(G2, 99))
    owner, thief = club.chain.accounts[1:3]
    hashed = hash_to_G1(club.possession(owner, key), POSSESSION, hashlib.sha256)
    call = club.contract.functions.register(key, encoded(multiply(hashed, 99)))
    with reverts("NotPossessed", thief):
        club.chain.send(call, sender=thief)
    club.chain.send(call, sender=owner)


@pytest.mark.parametrize("how", ["off the curve", "out of the subgroup", "not canonical", "short"])
def test_register_what_is_no_key_is_refused(fresh: Club, how: str) -> None:
    from py_ecc.fields import optimized_bls12_381_FQ2 as FQ2
    from py_ecc.optimized_bls12_381 import b2, field_modulus

    key = bytearray(encoded(multiply(G2, 99)))
    if how == "off the curve":
        key[255] ^= 1
    if how == "not canonical":
        key[:64] = (int.from_bytes(key[:64], "big") + field_modulus).to_bytes(64, "big")
    if how == "short":
        key = key[:-1]
    if how == "out of the subgroup":  # the first x with a point of the curve over it
        key = bytearray(_outside(FQ2, b2, field_modulus))
    with pytest.raises(Reverted, match=r"PrecompileRefused|WrongSize"):
        call = fresh.contract.functions.register(bytes(key), encoded(G1))
        fresh.chain.send(call, sender=fresh.chain.accounts[1])


def _outside(field: Any, b: Any, modulus: int) -> bytes:
    """A point of the curve over F_q^2, whose group is a large multiple of the subgroup."""
    for x in range(1, 50):
        point = field([x, 0])
        square = point * point * point + b
        root = square ** ((modulus**2 + 7) // 16)
        for shift in range(8):  # times the eighth roots of one, the powers of (1 + i)^((q^2-1)/8)
            y = root * field([1, 1]) ** ((modulus**2 - 1) // 8 * shift)
            if y * y == square:
                return encoded((point, y, field.one()))
    raise AssertionError("expected a point")


def test_pin_owners_out_of_order_or_without_a_key_are_refused(fresh: Club) -> None:
    club = fresh
    functions = club.contract.functions
    for owners in ((1, 0), (0, 0)):
        with reverts("WrongOrder"):
            club.chain.send(
                functions.pin([club.owners[n] for n in owners], [club.keys[n] for n in owners])
            )
    with reverts("WrongKey", 0):
        club.chain.send(functions.pin([club.chain.accounts[1]], [club.keys[0]]))
    with reverts("WrongKey", 0):
        club.chain.send(functions.pin([club.owners[0]], [club.keys[1]]))
    with reverts("WrongSize"):
        club.chain.send(functions.pin([club.owners[0]], []))


def test_gas_of_quorums_is_the_snapshot(club: Club, signatures: list[Any]) -> None:
    """Whole transactions, 21,000 and calldata included; the fewest who suffice sign."""
    found: dict[str, int] = {"register": _gas_of_register(club)}
    for count, quorum in SIZES.items():
        pin = club.contract.functions.pin(club.owners[:count], club.keys[:count])
        found[f"pin {count}"] = int(club.chain.send(pin)["gasUsed"])
        roll = club.pin(count)
        for absent in ((), range(quorum, count)):
            present = count - len(absent)
            signature = encoded(total(signatures[:present]))
            call = club.signers(roll, absent, signature)
            assert club.chain.call(call) == present
            receipt = call.transact({"from": club.chain.accounts[0], "gas": 10_000_000})
            mined = club.chain.web3.eth.wait_for_transaction_receipt(receipt)
            found[f"{present} of {count}"] = int(mined["gasUsed"])
    if os.environ.get("EINPROOF_SNAPSHOTS") == "write":
        SNAPSHOT.write_text(json.dumps(found, indent=2) + "\n")
    assert found == json.loads(SNAPSHOT.read_text())


def _gas_of_register(club: Club) -> int:
    snapshot = club.chain.snapshot()
    owner, key = club.chain.accounts[1], encoded(multiply(G2, 99))
    hashed = hash_to_G1(club.possession(owner, key), POSSESSION, hashlib.sha256)
    call = club.contract.functions.register(key, encoded(multiply(hashed, 99)))
    used = int(club.chain.send(call, sender=owner)["gasUsed"])
    club.chain.restore(snapshot)
    return used
