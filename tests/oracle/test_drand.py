"""Rounds of drand's networks from a relay, which here is a server of our own with real rounds."""

import asyncio
import itertools
import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from py_ecc.bls.point_compression import decompress_G1
from py_ecc.bls.typing import G1Compressed
from py_ecc.optimized_bls12_381 import normalize

from oracle.adapters import fetch
from oracle.adapters.board import MOST_WORDS, RemoteBoard
from oracle.adapters.codec import plain
from oracle.adapters.drand import DrandRounds, decompressed
from oracle.domain.chain import Round
from oracle.domain.committee import Word
from oracle.domain.errors import BeaconUnavailable, BoardUnavailable
from tests.contracts.test_random import EVMNET, QUICKNET
from tests.oracle.world import run

EVM, QUICK = "0x" + "e0" * 20, "0x" + "90" * 20
BEACONS = {EVM: "DrandEvmnet", QUICK: "DrandQuicknet"}
#: Round 1000 of quicknet, as drand has it: 48 bytes.
COMPRESSED = bytes.fromhex(
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
)


def unpublished(beacon, round=1000, development=False):
    return Round(beacon, development, round, False, 0)


def test_signatures_are_what_the_contracts_take(relay):
    """test_random has both contracts accept these bytes."""
    rounds = DrandRounds(relay.url + "/", BEACONS)
    relay.say("DrandEvmnet", 1000, EVMNET[1000][0])
    relay.say("DrandQuicknet", 1000, COMPRESSED)
    assert run(rounds.signature(unpublished(EVM))) == EVMNET[1000][0]
    x, y = QUICKNET[1000][0][:64], QUICKNET[1000][0][64:]
    assert run(rounds.signature(unpublished(QUICK))) == x + y
    assert run(rounds.signature(unpublished("0x00", development=True))) == b""


def test_what_is_not_had_is_said(relay):
    rounds = DrandRounds(relay.url, BEACONS)
    relay.say("DrandEvmnet", 7, EVMNET[1000][0], told=8)
    relay.say("DrandQuicknet", 7, EVMNET[1000][0])
    for wrong, reason in (
        (unpublished(EVM), "HTTP 404"),
        (unpublished(EVM, 7), "expected round 7, got 8"),
        (unpublished(QUICK, 7), "expected a compressed point"),
        (unpublished("0x01"), "no beacon of this deployment"),
    ):
        with pytest.raises(BeaconUnavailable, match=reason):
            run(rounds.signature(wrong))
    with pytest.raises(BeaconUnavailable, match="gives no signature"):
        run(DrandRounds("http://127.0.0.1:9", BEACONS).signature(unpublished(EVM)))


@pytest.mark.parametrize("larger", [False, True])
def test_points_are_decompressed_as_py_ecc_does(larger):
    data = bytes([COMPRESSED[0] & ~0x20 | 0x20 * larger]) + COMPRESSED[1:]
    x, y = normalize(decompress_G1(G1Compressed(int.from_bytes(data, "big"))))
    assert decompressed(data) == int(x).to_bytes(64, "big") + int(y).to_bytes(64, "big")


@pytest.mark.parametrize(
    "data",
    [
        COMPRESSED[:-1],
        bytes([COMPRESSED[0] & 0x7F]) + COMPRESSED[1:],  # no flag
        bytes([0xC0]) + bytes(47),  # infinity
        bytes([0x9F]) + b"\xff" * 47,  # above the field
        bytes([0x80]) + bytes(46) + b"\x01",  # x^3 + 4 is no square
    ],
)
def test_what_is_no_point_is_refused(data):
    with pytest.raises(BeaconUnavailable):
        decompressed(data)


@pytest.mark.parametrize(
    "said",
    [
        b"nobody speaks HTTP here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\ncut off",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"",
    ],
)
def test_whatever_a_server_says_is_no_signature_and_no_word(said):
    """An error of another kind would stop the writer, and all that it has yet to post."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            for _ in range(2):
                with server.accept()[0] as line:
                    line.recv(1 << 16)
                    line.sendall(said)

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BeaconUnavailable):
            run(DrandRounds(url, BEACONS).signature(unpublished(EVM)))
        with pytest.raises(BoardUnavailable):
            run(RemoteBoard(url).read(bytes(32), 1))


@contextmanager
def serving(first, rest=b""):
    """A server that answers whoever comes with `first`, and `rest` again and again until it is hung
    up on; its URL, and how many it still talks to."""
    lines = []

    def talk(line):
        with line, suppress(OSError):
            line.recv(1 << 16)
            line.sendall(first)
            while rest:
                line.sendall(rest)
                time.sleep(0.01)
        lines.remove(line)

    def accept(server):
        with suppress(OSError):
            while True:
                lines.append(server.accept()[0])
                threading.Thread(target=talk, args=(lines[-1],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", lines
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("http", b"HTTP/1.1 200 OK\r\n\r\n{"),
        ("http", b"HTTP/1.1 200 OK\r\n"),
        ("http", b"HTTP/1.1 409 Conflict\r\n\r\nno"),
        ("http", b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"),
        ("https", b"\x16\x03\x03\x3f\xff"),
    ],
    ids=["body", "headers", "refusal", "elsewhere", "handshake"],
)
def test_who_drips_is_not_waited_for(kind, first, monkeypatch):
    """Nor does it hold what engines wait for, a thread, or a connection."""
    monkeypatch.setattr(fetch, "PATIENCE", 0.2)

    async def story(url):
        asked = [DrandRounds(url, BEACONS).signature(unpublished(EVM)) for _ in range(20)]
        asked += [RemoteBoard(url).read(bytes(32), 1) for _ in range(20)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(each) for each in found} == {BeaconUnavailable, BoardUnavailable}
        await asyncio.to_thread(lambda: None)

    with serving(first, b" ") as (url, lines):
        run(story(url.replace("http", kind, 1)))
        for _ in range(1000):
            if not lines:
                break
            time.sleep(0.01)
        assert not lines


def signature(url):
    rounds = DrandRounds(url, BEACONS)
    return lambda: rounds.signature(unpublished(EVM))


def words(url):
    board = RemoteBoard(url)
    return lambda: board.read(bytes(32), 1)


@pytest.mark.parametrize("again", [signature, words])
def test_who_is_silent_is_waited_for_once_a_minute(again, monkeypatch):
    """Jobs come one after the other, and each would wait for it anew."""
    ticks, skipped = itertools.count(0, 0.2), []
    monkeypatch.setattr(fetch, "PATIENCE", 2.0)  # in which a thread has begun
    monkeypatch.setattr(fetch, "SLOW", 0.1)
    monkeypatch.setattr(fetch, "monotonic", lambda: next(ticks) + sum(skipped))
    with socket.create_server(("127.0.0.1", 0)) as server:  # nobody takes what waits there
        server.setblocking(False)

        def asked():
            times = 0
            with suppress(BlockingIOError):
                while True:
                    server.accept()[0].close()
                    times += 1
            return times

        ask = again(f"http://127.0.0.1:{server.getsockname()[1]}")
        for rest in (0, fetch.REST):
            skipped.append(rest)
            said = set()
            for _ in range(10):
                with pytest.raises((BeaconUnavailable, BoardUnavailable)) as found:
                    run(ask())
                said.add(str(found.value))
            assert asked() == 1
            assert len(said) == 1 and "not asked for 60 s" in said.pop()


def test_a_quick_refusal_has_nobody_rest(relay, monkeypatch):
    monkeypatch.setattr(fetch, "monotonic", lambda: 0.0)
    rounds = DrandRounds(relay.url, BEACONS)
    with pytest.raises(BeaconUnavailable, match="HTTP 404"):
        run(rounds.signature(unpublished(EVM)))
    relay.say("DrandEvmnet", 1000, EVMNET[1000][0])
    assert run(rounds.signature(unpublished(EVM))) == EVMNET[1000][0]


def test_what_is_put_on_a_slow_board_is_put(monkeypatch):
    """It is read before, so that one that rests after each answer would never be told a word; and
    it rests for no longer than it took."""
    ticks = iter([0, 6, 7, 8, 9, 12, 13])
    monkeypatch.setattr(fetch, "monotonic", ticks.__next__)
    with serving(b"HTTP/1.1 200 OK\r\n\r\n[]") as (url, _):
        board = RemoteBoard(url)
        assert run(board.read(bytes(32), 1)) == []
        with pytest.raises(BoardUnavailable, match="until an answer: not asked for 6 s"):
            run(board.read(bytes(32), 1))
        run(board.put(Word(bytes(32), 1, "0x" + "11" * 20, bytes(32), bytes(65))))
        assert run(board.read(bytes(32), 1)) == []


def test_a_round_has_no_more_words_than_a_committee_members():
    word = Word(bytes(32), 1, "0x" + "11" * 20, bytes(32), bytes(65))
    for many, refused in ((MOST_WORDS, False), (MOST_WORDS + 1, True)):
        body = json.dumps([plain(word)] * many).encode()
        with serving(b"HTTP/1.1 200 OK\r\n\r\n" + body) as (url, _):
            reading = RemoteBoard(url).read(bytes(32), 1)
            if refused:
                with pytest.raises(BoardUnavailable, match="at most, got 65"):
                    run(reading)
            else:
                assert run(reading) == [word] * many


def test_a_relay_is_who_its_certificate_says(relay, tmp_path, monkeypatch):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay")])
    day, now = timedelta(days=1), datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    at = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = made.add_extension(at, False).sign(key, SHA256())
    pem = tmp_path / "relay.pem"
    form = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    pem.write_bytes(key.private_bytes(*form) + signed.public_bytes(Encoding.PEM))
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(pem)
    relay.speaks(own)
    relay.say("DrandEvmnet", 1000, EVMNET[1000][0])
    rounds = DrandRounds(relay.url, BEACONS)
    with pytest.raises(BeaconUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        run(rounds.signature(unpublished(EVM)))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert run(rounds.signature(unpublished(EVM))) == EVMNET[1000][0]
