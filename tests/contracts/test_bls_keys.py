"""BlsKeys against py_ecc: possession, sums and what they signed, attacks on both, gas."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381 import G1, G2, Z1, Z2, add, multiply, neg
from web3.contract import Contract

from tests.contracts.bls import POSSESSION, encoded, secret, sign, total
from tests.evm import Chain, Reverted, reverts

MESSAGE = b"epoch 20000, request 1, claim 2"
SNAPSHOT = Path(__file__).parent / "gas_bls.json"
MOST = 9


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

    def total(self, count: int) -> bytes:
        """The sum of the first keys, as the contract makes it."""
        return bytes(self.chain.call(self.summing(range(count))))

    def summing(self, numbers: Sequence[int]) -> Any:
        return self.contract.functions.sum([self.owners[n] for n in numbers])

    def signed(self, summed: bytes, absent: Sequence[int], signature: bytes, **how: Any) -> Any:
        owners = [self.owners[n] for n in absent]
        message = how.get("message", MESSAGE)
        return self.contract.functions.signed(summed, owners, message, signature)


@pytest.fixture(scope="module")
def club() -> Iterator[Club]:
    with Chain.start() as chain:
        yield Club(chain)


@pytest.fixture(scope="module")
def signatures() -> list[Any]:
    return [sign(n, MESSAGE) for n in range(MOST)]


@pytest.fixture(scope="module")
def summed(club: Club) -> bytes:
    return club.total(8)


@pytest.fixture
def fresh(club: Club) -> Iterator[Club]:
    snapshot = club.chain.snapshot()
    yield club
    club.chain.restore(snapshot)


def test_sum_is_that_of_py_ecc(club: Club, summed: bytes) -> None:
    assert summed == encoded(multiply(G2, sum(secret(n) for n in range(8))))
    twice = club.chain.call(club.summing((0, 1, 0)))
    assert twice == encoded(multiply(G2, 2 * secret(0) + secret(1)))
    for number in range(8):
        held = club.chain.call(club.contract.functions.keyOf(club.owners[number]))
        assert bytes(held) == club.keys[number]
        owner = club.chain.call(club.contract.functions.ownerOf(keccak(club.keys[number])))
        assert owner == club.owners[number]


@pytest.mark.parametrize("absent", [(), (3,), (0, 7), (1, 2, 3, 4, 5, 6, 7)])
def test_signed_by_all_who_are_present(
    club: Club, summed: bytes, signatures: list[Any], absent: Sequence[int]
) -> None:
    present = [n for n in range(8) if n not in absent]
    signature = encoded(total([signatures[n] for n in present]))
    assert club.chain.call(club.signed(summed, absent, signature)) is True


def test_signed_with_one_signature_missing_doubled_or_over_another_message_is_false(
    club: Club, summed: bytes, signatures: list[Any]
) -> None:
    everyone = signatures[:8]
    for wrong in (everyone[:7], [*everyone, everyone[0]], [neg(s) for s in everyone], []):
        assert club.chain.call(club.signed(summed, (), encoded(total(wrong)))) is False
    good = encoded(total(everyone))
    assert club.chain.call(club.signed(summed, (), good, message=MESSAGE + b"!")) is False
    other = [sign(n, MESSAGE, POSSESSION) for n in range(8)]  # a proof of possession is no word
    assert club.chain.call(club.signed(summed, (), encoded(total(other)))) is False


def test_signed_by_nobody_is_at_infinity(club: Club, summed: bytes) -> None:
    """The signature at infinity would hold for no keys at all."""
    with reverts("AtInfinity"):
        club.chain.call(club.signed(summed, range(8), encoded(Z1)))


def test_signed_with_what_is_too_short_is_refused(
    club: Club, summed: bytes, signatures: list[Any]
) -> None:
    signature = encoded(total(signatures[:7]))
    with reverts("WrongSize"):
        club.chain.call(club.signed(summed, (7,), signature[:-1]))
    with reverts("WrongSize"):
        club.chain.call(club.signed(summed[:-1], (7,), signature))


@pytest.mark.parametrize("how", ["off the curve", "not canonical"])
def test_signed_with_what_is_no_signature_is_refused(
    club: Club, summed: bytes, signatures: list[Any], how: str
) -> None:
    from py_ecc.optimized_bls12_381 import field_modulus

    signature = bytearray(encoded(total(signatures[:8])))
    if how == "off the curve":
        signature[127] ^= 1
    else:
        number = int.from_bytes(signature[:64], "big") + field_modulus
        signature[:64] = number.to_bytes(64, "big")
    with reverts("PrecompileRefused"):
        club.chain.call(club.signed(summed, (), bytes(signature)))


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


def test_register_on_a_chain_without_the_precompiled_contracts_is_refused() -> None:
    """Such a chain answers a call to them with success and nothing: that is no yes."""
    with Chain.start(hardfork="cancun") as chain, reverts("PrecompileRefused"):
        Club(chain)


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


def test_keys_of_owners_without_one_are_refused(club: Club, summed: bytes) -> None:
    nobody = club.chain.accounts[1]
    functions = club.contract.functions
    assert not club.chain.call(functions.hasKey(nobody))
    for call in (
        functions.keyOf(nobody),
        functions.sum([nobody]),
        functions.signed(summed, [nobody], MESSAGE, encoded(G1)),
    ):
        with reverts("NoKey", nobody):
            club.chain.call(call)


def test_gas_of_a_registration_is_the_snapshot(club: Club) -> None:
    """A whole transaction; what quorums cost is measured with their tier."""
    found = {"register": _gas_of_register(club)}
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
