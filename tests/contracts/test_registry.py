"""ModelRegistry: blobs, registration, and what it checks."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.contracts.desk import POINT, SRS, ZERO, Desk, program
from tests.evm import reverts

Q = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
CHUNK = 24_575
AUX = keccak(b"quantiser")


class Shelf:
    """Stores and registers on the desk's registry."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.functions = desk.registry.functions

    def store(self, data: bytes) -> str:
        self.desk.chain.send(self.functions.store(data))
        return str(self.desk.chain.call(self.functions.addressOf(data)))

    def chunks(self, data: bytes) -> list[str]:
        return [self.store(data[i : i + CHUNK]) for i in range(0, len(data), CHUNK)]

    def registering(self, code: bytes, points: bytes = POINT, srs: bytes = SRS) -> Any:
        return self.functions.register(self.chunks(code), self.chunks(points), srs, AUX)

    def register(self, code: bytes, points: bytes = POINT) -> tuple[bytes, Any]:
        function = self.registering(code, points)
        model_id = self.desk.chain.call(function)
        return bytes(model_id), self.desk.chain.send(function)

    def events(self, receipt: Any, name: str) -> list[Any]:
        event = self.desk.registry.events[name]()
        found = []
        for log in receipt["logs"]:
            if bytes(log["topics"][0]) == bytes.fromhex(event.topic[2:]):
                found.append(event.process_log(log)["args"])
        return found


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    return Shelf(desk)


def expected_id(code: bytes, points: bytes, k: int) -> bytes:
    words = [keccak(b"einproof/model/v1"), keccak(code), keccak(points), SRS, k, AUX]
    return keccak(encode(["bytes32", "bytes32", "bytes32", "bytes32", "uint256", "bytes32"], words))


# --- store ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 31, 32, 33, 255, 256, CHUNK])
def test_store_data_lies_behind_a_stop_byte(shelf: Shelf, size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    assert shelf.desk.chain.web3.eth.get_code(shelf.store(data)) == b"\0" + data


def test_store_address_follows_from_the_data(shelf: Shelf) -> None:
    data = b"some bytes"
    creation = b"\x61" + (len(data) + 1).to_bytes(2, "big") + bytes.fromhex("80600a3d393df300")
    seed = b"\xff" + bytes.fromhex(shelf.desk.registry.address[2:]) + bytes(32)
    wanted = keccak(seed + keccak(creation + data))[12:]
    assert bytes.fromhex(shelf.store(data)[2:]) == wanted


def test_store_twice_creates_once(shelf: Shelf) -> None:
    function = shelf.functions.store(b"twice")
    (event,) = shelf.events(shelf.desk.chain.send(function), "BlobStored")
    assert event["size"] == 5
    assert shelf.events(shelf.desk.chain.send(function), "BlobStored") == []


@pytest.mark.parametrize("size", [0, CHUNK + 1])
def test_store_wrong_size_is_refused(shelf: Shelf, size: int) -> None:
    with reverts("WrongBlobSize", CHUNK, size):
        shelf.desk.chain.send(shelf.functions.store(bytes(size)))


# --- register -------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [6, 12, 28])
def test_register_good_has_the_id_of_its_content(shelf: Shelf, k: int) -> None:
    code = program(k)
    model_id, receipt = shelf.register(code)
    assert model_id == expected_id(code, POINT, k)
    (event,) = shelf.events(receipt, "ModelRegistered")
    assert event == {
        "modelId": model_id,
        "registrant": shelf.desk.chain.accounts[0],
        "programHash": keccak(code),
        "srsId": SRS,
        "auxHash": AUX,
    }
    call = shelf.desk.chain.call
    assert call(shelf.functions.isRegistered(model_id)) is True
    assert call(shelf.functions.srsIdOf(model_id)) == SRS


def test_register_again_changes_nothing(shelf: Shelf) -> None:
    code = program(11)
    model_id, _ = shelf.register(code)
    manifest = shelf.desk.chain.call(shelf.functions.manifest(model_id))
    again, receipt = shelf.register(code)
    assert again == model_id and receipt["logs"] == []
    assert shelf.desk.chain.call(shelf.functions.manifest(model_id)) == manifest


@pytest.mark.parametrize(
    ("tail", "tiles"), [(0, 1), (CHUNK, 2), (2 * CHUNK, 384), (2 * CHUNK - 70, 385), (9, 900)]
)
def test_register_large_models_come_back_whole(shelf: Shelf, tail: int, tiles: int) -> None:
    code = program(20, tiles) + bytes(i % 253 for i in range(tail))
    points = POINT * tiles
    model_id, _ = shelf.register(code, points)
    call = shelf.desk.chain.call
    assert call(shelf.functions.program(model_id)) == code
    assert call(shelf.functions.points(model_id)) == points
    manifest = shelf.desk.chain.web3.eth.get_code(call(shelf.functions.manifest(model_id)))
    addresses = [bytes.fromhex(c[2:]) for c in shelf.chunks(code) + shelf.chunks(points)]
    counts = bytes([20, len(shelf.chunks(code)), len(shelf.chunks(points))])
    assert bytes(manifest) == b"\0" + SRS + counts + b"".join(addresses)


def test_register_without_fixed_tiles_is_possible(shelf: Shelf) -> None:
    code = program(fixed_tiles=0)
    model_id, _ = shelf.register(code, b"")
    assert shelf.desk.chain.call(shelf.functions.points(model_id)) == b""


@pytest.mark.parametrize(
    ("code", "error", "arguments"),
    [
        (b"EINP", "ProgramTooShort", (32, 4)),
        (program(magic=b"EINQ"), "WrongMagic", (b"EINP", b"EINQ")),
        (program(version=2), "WrongVersion", (1, 2)),
        (program(version=0x101), "WrongVersion", (1, 0x101)),
        (program(k=5), "TileSizeOutOfRange", (6, 28, 5)),
        (program(k=29), "TileSizeOutOfRange", (6, 28, 29)),
        (program(verifier_bytes=0), "WrongVerifierBytes", (198, 0)),
        (program(verifier_bytes=33), "WrongVerifierBytes", (198, 33)),
        (program(verifier_bytes=224), "WrongVerifierBytes", (198, 224)),
        (program(verifier_bytes=2**32 - 32), "WrongVerifierBytes", (198, 2**32 - 32)),
        (program(verifier_bytes=96), "BadProgram", (1,)),
        (program(verifier_bytes=128), "BadProgram", (3,)),
    ],
)
def test_register_bad_program_is_refused(
    shelf: Shelf, code: bytes, error: str, arguments: tuple[Any, ...]
) -> None:
    function = shelf.registering(code)
    with reverts(error, *arguments):
        shelf.desk.chain.send(function)


def test_register_without_a_program_is_refused(shelf: Shelf) -> None:
    with reverts("ProgramTooShort", 32, 0):
        shelf.desk.chain.send(shelf.functions.register([], [], SRS, AUX))


def point(x: int, y: int) -> bytes:
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


@pytest.mark.parametrize(
    ("bad", "error", "arguments"),
    [
        (point(0, 0), "PointAtInfinity", ()),
        (point(1, 3), "PointNotOnCurve", (1, 3)),
        (point(0, 1), "PointNotOnCurve", (0, 1)),
        (point(Q, 2), "NonCanonicalCoordinate", (Q,)),
        (point(Q + 1, 2), "NonCanonicalCoordinate", (Q + 1,)),
        (point(1, Q + 2), "NonCanonicalCoordinate", (Q + 2,)),
        (point(2**256 - 1, 2), "NonCanonicalCoordinate", (2**256 - 1,)),
        (POINT[:63], "WrongLength", (192, 191)),
        (b"", "WrongLength", (192, 128)),
        (POINT + POINT, "WrongLength", (192, 256)),
    ],
)
def test_register_bad_points_are_refused(
    shelf: Shelf, bad: bytes, error: str, arguments: tuple[Any, ...]
) -> None:
    function = shelf.registering(program(fixed_tiles=3), POINT + POINT + bad)
    with reverts(error, *arguments):
        shelf.desk.chain.send(function)


def test_register_chunk_that_is_no_blob_is_refused(shelf: Shelf) -> None:
    good, points = shelf.store(program()), shelf.store(POINT)
    for stranger in (shelf.desk.stranger, ZERO, shelf.desk.oracle.address):
        with reverts("NotABlob", stranger):
            shelf.desk.chain.send(shelf.functions.register([stranger], [points], SRS, AUX))
        with reverts("NotABlob", stranger):
            shelf.desk.chain.send(shelf.functions.register([good], [stranger], SRS, AUX))


def test_register_chunk_not_full_before_the_last_is_refused(shelf: Shelf) -> None:
    head, rest = shelf.store(program()), shelf.store(b"rest")
    function = shelf.functions.register([head, rest], [shelf.store(POINT)], SRS, AUX)
    with reverts("ChunkNotFull", head, CHUNK, len(program())):
        shelf.desk.chain.send(function)


def test_register_too_many_chunks_are_refused(shelf: Shelf) -> None:
    good = shelf.store(program())
    with reverts("TooManyChunks", 255, 256):
        shelf.desk.chain.send(shelf.functions.register([good], [good] * 256, SRS, AUX))


def test_views_of_an_unknown_model_are_refused_or_empty(shelf: Shelf) -> None:
    call = shelf.desk.chain.call
    assert call(shelf.functions.manifest(AUX)) == ZERO
    assert call(shelf.functions.isRegistered(AUX)) is False
    for view in ("program", "points", "srsIdOf"):
        with reverts("UnknownModel", AUX):
            call(shelf.functions[view](AUX))
