"""Chunks that look like the registry's blobs but were made by somebody else."""

from __future__ import annotations

from eth_hash.auto import keccak
from web3.contract import Contract

from tests.contracts.desk import POINT, SRS, Desk, program
from tests.evm import reverts


def code_at(desk: Desk, address: str) -> bytes:
    return bytes(desk.chain.web3.eth.get_code(address))


def shifter(desk: Desk) -> Contract:
    return desk.chain.deploy("tests/contracts/harness/Shifting.sol", name="Shifter")


def blob(desk: Desk, data: bytes) -> str:
    desk.chain.send(desk.registry.functions.store(data))
    return str(desk.chain.call(desk.registry.functions.addressOf(data)))


def test_a_chunk_that_is_deleted_and_made_anew_is_refused(desk: Desk) -> None:
    """Registered in the transaction that creates it, deleted when that ends, then created with
    other bytes at the same address: the id of an audited program would name any other."""
    made, points = shifter(desk), blob(desk, POINT)
    audited, other = b"\0" + program(), b"\0" + program(verifier_bytes=32)
    passing = made.functions.make(audited, False)
    address = desk.chain.call(passing)
    desk.chain.send(passing)
    assert code_at(desk, address) == b"", "it is gone with its transaction"
    registering = made.functions.register(desk.registry.address, audited, points, SRS)
    with reverts("NotABlob", address):
        desk.chain.send(registering)
    desk.chain.send(made.functions.make(other, True))
    assert code_at(desk, address) == other, "and back with other bytes"
    lasting = desk.registry.functions.register([address], [points], SRS, keccak(b"aux"))
    with reverts("NotABlob", address):
        desk.chain.send(lasting)


def test_a_chunk_of_the_same_bytes_elsewhere_is_refused(desk: Desk) -> None:
    """Also where it stays for good: where a chunk lies follows from its bytes."""
    made, points, good = shifter(desk), blob(desk, POINT), blob(desk, program())
    copying = made.functions.make(b"\0" + POINT, True)
    copy = desk.chain.call(copying)
    desk.chain.send(copying)
    assert code_at(desk, copy) == code_at(desk, points) and copy != points
    with reverts("NotABlob", copy):
        desk.chain.send(desk.registry.functions.register([good], [copy], SRS, bytes(32)))
