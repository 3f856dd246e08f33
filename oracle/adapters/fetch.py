"""One answer over HTTP, from whom nobody trusts to give one.

A thread of its own reads it, none of those that engines wait for; and when nobody waits for it any
more its socket is shut, so that who gives a byte now and then holds nothing.
"""

import asyncio
import contextlib
import http.client
import socket
import threading
import urllib.error
import urllib.request
from concurrent.futures import Future, InvalidStateError
from time import monotonic
from typing import Any

#: Seconds for each read, and for the whole.
TIMEOUT, PATIENCE = 10.0, 30.0
#: Seconds after which a server was slow, and for which it is left alone if it gave no answer.
SLOW, REST = 5.0, 60.0
#: Bytes of what is said with a refusal.
LONGEST_REFUSAL = 500


class Refused(OSError):
    """An HTTP status other than success, a redirection too, and what was said with it."""


class Resting(OSError):
    """Not asked: the last answer took too long."""


class Source:
    """A server that is asked for one job after the other, each of which would wait for its silence
    anew: once it was slow it rests, and nothing is asked of it. After an answer it does so for as
    long as that took: jobs wait half of the time at most, and get answers the other half."""

    def __init__(self) -> None:
        self._rests_until, self._why = 0.0, ""

    async def fetch(self, asked: urllib.request.Request, largest: int) -> bytes:
        """As `fetch`. Raises Resting, too, at once while the server rests; but what is handed in is
        for a server that has just answered, and is sent all the same."""
        began = monotonic()
        if asked.data is None and began < self._rests_until:
            raise Resting(self._why)
        try:
            found = await fetch(asked, largest)
        except OSError as error:
            if self._tires(began, repr(error), REST):
                raise Resting(self._why) from error
            raise
        self._tires(began, "an answer")
        return found

    def _tires(self, began: float, end: str, rest: float = 0.0) -> bool:
        now = monotonic()
        if now - began <= SLOW:
            return False
        rest = rest or now - began
        self._rests_until = now + rest
        self._why = f"longer than {SLOW:.0f} s until {end}: not asked for {rest:.0f} s"
        return True


async def fetch(asked: urllib.request.Request, largest: int) -> bytes:
    """Its body, `largest` bytes of it at most. Raises OSError, also for what is no HTTP and for
    what takes too long, Refused among them; ValueError for a URL that is none."""
    line = _Line()
    made: Future[bytes] = Future()
    threading.Thread(target=_into, args=(made, line, asked, largest), daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(made), PATIENCE)
    finally:
        line.end()


class _Line:
    """The connections of one answer, until nobody waits for it."""

    def __init__(self) -> None:
        self._lock, self._ended = threading.Lock(), False
        self._open: list[socket.socket] = []

    def add(self, made: socket.socket) -> None:
        with self._lock:
            self._open.append(made)
        if self._ended:
            self.end()

    def end(self) -> None:
        self._ended = True
        with self._lock:
            for made in self._open:
                with contextlib.suppress(OSError), made:
                    made.shutdown(socket.SHUT_RDWR)
            self._open.clear()


class _Plain(http.client.HTTPConnection):
    line: _Line

    def connect(self) -> None:
        super().connect()
        self.line.add(self.sock.dup())  # TLS takes the socket itself, and may take long over it


class _Tls(http.client.HTTPSConnection, _Plain):
    pass


class _Opens(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self._by(_Plain, req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self._by(_Tls, req)

    def _by(self, kind: type[_Plain], asked: urllib.request.Request) -> http.client.HTTPResponse:
        def connection(host: str, **how: Any) -> _Plain:
            made = kind(host, **how)
            made.line = self._line
            return made

        return self.do_open(connection, asked)  # type: ignore[arg-type]


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _into(made: "Future[bytes]", line: _Line, asked: urllib.request.Request, largest: int) -> None:
    with contextlib.suppress(InvalidStateError):  # nobody waits any more
        try:
            made.set_result(_read(line, asked, largest))
        except (OSError, ValueError) as error:
            made.set_exception(error)
        except Exception as error:  # http.client's, and whatever else there is
            made.set_exception(OSError(f"no HTTP: {error!r}"))


def _read(line: _Line, asked: urllib.request.Request, largest: int) -> bytes:
    opener = urllib.request.build_opener(_Opens(line), _Stays)
    try:
        with opener.open(asked, timeout=TIMEOUT) as answer:
            return bytes(answer.read(largest))
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(LONGEST_REFUSAL).decode(errors="replace").strip()
        raise Refused(f"HTTP {error.code}: {said}") from error
