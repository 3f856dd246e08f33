"""A TPM 2.0 by plain commands: over a socket (a software TPM's) or the kernel's device.

Every reply is read to its last byte: its tag, its length, its code, and each part's own length.
Keys are made anew from their template at each use, and flushed; a TPM makes the same key of the
same template until its seed is cleared, so there is nothing to keep. The machine's state is in an
answer key's template: in another state the TPM makes that key, and lets nobody sign with it.
Source: TCG, Trusted Platform Module Library, Part 3: Commands, the sections named below; Part 2:
Structures.
"""

from __future__ import annotations

import socket
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from oracle.attestation.reader import Reader
from oracle.attestation.tpm import ANSWERS, POLICY_PCR, Sealed, policy_of, signature_scalars
from prover.errors import EinproofError

NO_SESSIONS, SESSIONS = 0x8001, 0x8002
CREATE_PRIMARY, CERTIFY, QUOTE, SIGN = 0x131, 0x148, 0x158, 0x15D
FLUSH, START_SESSION, CAPABILITY, PCR_READ, PCR_EXTEND = 0x165, 0x176, 0x17A, 0x17E, 0x182
OWNER, NOTHING, PASSWORD = 0x40000001, 0x40000007, 0x40000009
HASH_CHECK, NULL, SHA_256, DIGEST = 0x8024, 0x0010, 0x000B, 32
PROPERTIES, MANUFACTURER, VENDOR_STRINGS = 6, 0x105, range(0x106, 0x10A)
#: As ANSWERS, but by an empty password, and restricted: it signs only what the TPM itself says.
ATTESTS = 0x50072
SECONDS, MOST, TRIES, RETRY = 30, 4096, 10, 0x922
#: TPM_RC_POLICY_FAIL of the first session.
POLICY_FAILED = 0x99D
#: TPM_RC_PCR_CHANGED: since the session began, whichever register it was; with IMA, at each file.
REGISTER_MOVED = 0x128
HEADER = 10


class TpmFailed(EinproofError):
    """A TPM that cannot be reached, refuses a command, or answers what is no reply to it."""


class CommandRefused(TpmFailed):
    """What a TPM gave as its reason not to do something."""

    def __init__(self, command: int, code: int) -> None:
        super().__init__(f"the TPM refused command {command:#x} with code {code:#x}")
        self.code = code


class StateChanged(TpmFailed):
    """The machine is not in the state that an answer key was made for: the TPM lets it sign
    nothing."""


@dataclass(frozen=True)
class Quoted:
    """What a TPM said, signed by its attestation key."""

    statement: bytes
    signature: tuple[bytes, bytes]


class Tpm:
    """`where` is HOST:PORT, or the path of a socket or a device. One connection a use: a software
    TPM serves one at a time."""

    def __init__(self, where: str) -> None:
        self.where = where

    @property
    def maker(self) -> str:
        """Manufacturer and model, as the TPM gives them (TPM2_GetCapability, 30.2)."""
        with self._open() as line:
            first = line.property(MANUFACTURER)
            return f"{first.strip()} {''.join(map(line.property, VENDOR_STRINGS)).strip()}"

    @property
    def is_software(self) -> bool:
        """libtpms says so of itself; what claims to be hardware is believed only by its
        certificate."""
        return "SW" in self.maker

    def attestation_point(self) -> bytes:
        """x and y of the key that signs what this TPM says."""
        with self._open() as line, line.key(ATTESTS, b"") as (_, point, _):
            return point

    def attestation_area(self) -> bytes:
        """TPMT_PUBLIC of that key: that it signs nothing but what the TPM says is in it."""
        with self._open() as line, line.key(ATTESTS, b"") as (_, _, area):
            return area

    def sealed(self, label: bytes, registers: Sequence[int]) -> Sealed:
        """The answer key of a label for the state that these registers show now."""
        digest = sha256(b"".join(self.registers(registers))).digest()
        return Sealed(label, tuple(registers), policy_of(_selection(registers), digest))

    def answer_point(self, key: Sealed) -> bytes:
        """x and y of an answer key."""
        with self._open() as line, line.answer_key(key) as (_, point, _):
            return point

    def sign(self, key: Sealed, digest: bytes) -> tuple[bytes, bytes]:
        """(r, s) of a SHA-256 by an answer key (TPM2_Sign, 20.2). Raises StateChanged."""
        ticket = _number(HASH_CHECK, 2) + _number(NOTHING, 4) + _sized(b"")
        what = _sized(digest) + _number(NULL, 2) + ticket
        with self._open() as line, line.answer_key(key) as (handle, _, _):
            tries = 0
            while True:
                tries += 1
                try:
                    with line.policy(key.registers) as session:
                        return _signature(line.ask(SIGN, [handle], what, session))
                except CommandRefused as error:
                    if error.code == REGISTER_MOVED and tries < TRIES:
                        continue
                    if error.code != POLICY_FAILED:
                        raise
                    raise StateChanged(
                        f"expected registers {sorted(key.registers)} as they were when answer key "
                        f"{key.label.decode(errors='replace')} was made, got others: it signs "
                        "nothing"
                    ) from error

    def quote(self, nonce: bytes, registers: Sequence[int]) -> Quoted:
        """The registers' digest under a nonce (TPM2_Quote, 18.4)."""
        what = _sized(nonce) + _number(NULL, 2) + _selection(registers)
        with self._open() as line, line.key(ATTESTS, b"") as (handle, _, _):
            return _quoted(line.ask(QUOTE, [handle], what))

    def certify(self, key: Sealed, nonce: bytes) -> Quoted:
        """That an answer key is this TPM's own (TPM2_Certify, 18.2), in whatever state: the empty
        password is enough for that, since it is no use of the key."""
        with (
            self._open() as line,
            line.answer_key(key) as (answers, _, _),
            line.key(ATTESTS, b"") as (attests, _, _),
        ):
            return _quoted(line.ask(CERTIFY, [answers, attests], _sized(nonce) + _number(NULL, 2)))

    def public(self, key: Sealed) -> bytes:
        """TPMT_PUBLIC of an answer key."""
        with self._open() as line, line.answer_key(key) as (_, _, area):
            return area

    def extend(self, register: int, digest: bytes) -> None:
        """Measures: a register becomes SHA-256 of itself and the digest (TPM2_PCR_Extend, 22.2)."""
        what = _number(1, 4) + _number(SHA_256, 2) + digest
        with self._open() as line:
            line.ask(PCR_EXTEND, [register], what).end()

    def registers(self, numbers: Sequence[int]) -> list[bytes]:
        """The SHA-256 registers of these numbers, ascending (TPM2_PCR_Read, 22.4)."""
        with self._open() as line:
            read = line.ask(PCR_READ, [], _selection(numbers), None)
            read.number(4)  # how often registers changed
            if read.take(len(_selection(numbers))) != _selection(numbers):
                raise TpmFailed(f"expected registers {sorted(numbers)}, got others")
            found = [read.sized(2) for _ in range(read.number(4))]
            read.end()
            return found

    @contextmanager
    def _open(self) -> Iterator[_Line]:
        try:
            with _connect(self.where) as stream:
                yield _Line(stream)
        except OSError as error:
            raise TpmFailed(f"no TPM at {self.where}: {error}") from error


class _Line:
    """One connection to a TPM."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def ask(
        self,
        code: int,
        handles: Sequence[int],
        parameters: bytes,
        session: int | None = PASSWORD,
    ) -> Reader:
        """Sends a command, each handle under a session (by default an empty password), or under
        none; the handle made, if one is, and the parameters of the reply."""
        body = b"".join(_number(handle, 4) for handle in handles)
        if session is not None:
            shown = _number(session, 4) + _sized(b"") + b"\1" + _sized(b"")
            body += _number(len(shown) * len(handles), 4) + shown * len(handles)
        tag = NO_SESSIONS if session is None else SESSIONS
        size = HEADER + len(body) + len(parameters)
        command = _number(tag, 2) + _number(size, 4) + _number(code, 4) + body + parameters
        reply = self._reply(command, tag)
        if session is None:
            return reply
        if code == CREATE_PRIMARY:
            handle = reply.take(4)
            return Reader("TPM reply", handle + _parameters(reply, len(handles)), "big")
        return Reader("TPM reply", _parameters(reply, len(handles)), "big")

    def _reply(self, command: bytes, tag: int) -> Reader:
        """Submits a command, again while the TPM says that it has not begun with it."""
        for _ in range(TRIES):
            self._stream.write(command)
            self._stream.flush()
            got, size, result = struct.unpack(">HII", self._take(HEADER))
            if not HEADER <= size <= MOST:
                raise TpmFailed(f"expected a reply of {HEADER} to {MOST} bytes, got {size}")
            body = self._take(size - HEADER)
            if result != RETRY:
                break
        if result:
            raise CommandRefused(int.from_bytes(command[6:10], "big"), result)
        if got != tag:
            raise TpmFailed(f"expected a reply with tag {tag:#x}, got {got:#x}")
        return Reader("TPM reply", body, "big")

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._stream.read(count - len(data))
            if not more:
                raise TpmFailed(f"expected {count} bytes of a reply, got {len(data)}")
            data += more
        return data

    @contextmanager
    def policy(self, registers: Sequence[int]) -> Iterator[int]:
        """A session that holds what these registers are now against a key's policy
        (TPM2_StartAuthSession, 11.1: of a policy, without salt; TPM2_PolicyPCR, 23.7)."""
        nonce = _sized(bytes(16))  # of the least size: the session has no key that it could serve
        what = nonce + _sized(b"") + b"\1" + _number(NULL, 2) + _number(SHA_256, 2)
        read = self.ask(START_SESSION, [NOTHING, NOTHING], what, None)
        handle = read.number(4)
        read.sized(2)  # the TPM's nonce
        read.end()
        try:
            self.ask(POLICY_PCR, [handle], _sized(b"") + _selection(registers), None).end()
            yield handle
        finally:
            self._flush(handle)

    def answer_key(self, key: Sealed) -> AbstractContextManager[tuple[int, bytes, bytes]]:
        return self.key(ANSWERS, key.label, key.policy)

    @contextmanager
    def key(
        self, attributes: int, label: bytes, policy: bytes = b""
    ) -> Iterator[tuple[int, bytes, bytes]]:
        """A P-256 key of its template, label and policy in it (TPM2_CreatePrimary, 24.1): handle, x
        and y, public area."""
        seed = sha256(label).digest() if label else b""
        area = _number(0x0023, 2) + _number(SHA_256, 2) + _number(attributes, 4) + _sized(policy)
        area += b"".join(_number(n, 2) for n in (NULL, 0x0018, SHA_256, 0x0003, NULL))
        template = area + _sized(seed) + _sized(b"")
        secret = _sized(_sized(b"") + _sized(b""))
        what = secret + _sized(template) + _sized(b"") + _number(0, 4)
        read = self.ask(CREATE_PRIMARY, [OWNER], what)
        handle, made = read.number(4), read.sized(2)
        try:
            public = Reader("TPM public area", made, "big")
            if public.take(len(area)) != area:
                raise TpmFailed("expected a key of the template, got another")
            x, y = public.sized(2), public.sized(2)
            public.end()
            yield handle, x.rjust(DIGEST, b"\0") + y.rjust(DIGEST, b"\0"), made
        finally:
            self._flush(handle)

    def _flush(self, handle: int) -> None:
        self.ask(FLUSH, [], _number(handle, 4), None).end()

    def property(self, number: int) -> str:
        """Four characters."""
        what = _number(PROPERTIES, 4) + _number(number, 4) + _number(1, 4)
        read = self.ask(CAPABILITY, [], what, None)
        read.take(1)  # whether there is more
        for value, name in ((PROPERTIES, "capability"), (1, "count"), (number, "property")):
            read.expect(value, 4, name)
        found = read.take(4)
        read.end()
        return found.replace(b"\0", b"").decode("ascii", "replace")


@contextmanager
def _connect(where: str) -> Iterator[BinaryIO]:
    host, _, port = where.rpartition(":")
    if host and port.isdecimal():
        with (
            socket.create_connection((host, int(port)), SECONDS) as line,
            line.makefile("rwb") as stream,  # closed with it: a software TPM serves one at a time
        ):
            yield stream  # type: ignore[misc]
    elif stat.S_ISSOCK(Path(where).stat().st_mode):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(SECONDS)
            line.connect(where)
            with line.makefile("rwb") as stream:
                yield stream  # type: ignore[misc]
    else:
        with Path(where).open("r+b", buffering=0) as device:
            yield _Device(device)  # type: ignore[misc]


class _Device:
    """A character device takes a command in one write, and gives its reply in one read."""

    def __init__(self, device: BinaryIO) -> None:
        self._device, self._out, self._in = device, b"", b""

    def write(self, data: bytes) -> None:
        self._out += data

    def flush(self) -> None:
        self._device.write(self._out)
        self._out, self._in = b"", self._device.read(MOST)

    def read(self, count: int) -> bytes:
        data, self._in = self._in[:count], self._in[count:]
        return data


def _parameters(reply: Reader, sessions: int) -> bytes:
    """What lies between their size and the sessions' answers, all of which must be empty."""
    found = reply.sized(4)
    for _ in range(sessions):
        reply.sized(2)
        reply.take(1)
        reply.sized(2)
    reply.end()
    return found


def _quoted(read: Reader) -> Quoted:
    return Quoted(read.sized(2), _signature(read))


def _signature(read: Reader) -> tuple[bytes, bytes]:
    r, s = signature_scalars(read.take(len(read.data) - read.at))
    return r.to_bytes(DIGEST, "big"), s.to_bytes(DIGEST, "big")


def _selection(numbers: Sequence[int]) -> bytes:
    """TPML_PCR_SELECTION of the SHA-256 bank."""
    bitmap = sum(1 << number for number in set(numbers)).to_bytes(3, "little")
    return _number(1, 4) + _number(SHA_256, 2) + b"\3" + bitmap


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def _sized(data: bytes) -> bytes:
    return _number(len(data), 2) + data
