"""The board over HTTP: `POST /words` puts a word, `GET /words/REQUEST/EPOCH` reads a round's.

Words carry their authors' signatures and hold no secret, so plain HTTP changes nothing but who sees
them first; put a proxy with TLS before it on an open network.
"""

import asyncio
import json
import sys
import threading
import urllib.request
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as Overdue
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from oracle.adapters.codec import plain, typed
from oracle.adapters.fetch import Refused, Source
from oracle.domain.committee import Word
from oracle.domain.errors import BoardUnavailable, PortInUse
from oracle.ports import Board
from prover.errors import EinproofError

log = structlog.get_logger("board")

#: Most bytes of a word in JSON, and of a round: outputs are in them.
LARGEST_WORD, LARGEST_ROUND = 1 << 20, 1 << 26
#: Of a round: one a member, and no committee has more places (Seats).
MOST_WORDS = 64
#: Seconds for each read of the server's, and for its answer.
TIMEOUT = 10.0


class RemoteBoard:
    """A board at a URL."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._server = Source()

    async def put(self, word: Word) -> None:
        await self._ask("/words", json.dumps(plain(word)).encode())

    async def read(self, request_id: bytes, epoch: int) -> list[Word]:
        found = await self._ask(f"/words/0x{request_id.hex()}/{epoch}")
        try:
            listed = json.loads(found)
            if len(listed) > MOST_WORDS:  # each is checked: that takes its while
                raise ValueError(f"expected {MOST_WORDS} words at most, got {len(listed)}")
            return [typed(Word, each) for each in listed]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BoardUnavailable(f"the board at {self._url} speaks no words: {error!r}") from None

    async def _ask(self, path: str, body: bytes | None = None) -> bytes:
        try:
            kind = {"Content-Type": "application/json"}
            asked = urllib.request.Request(self._url + path, body, kind)
            return await self._server.fetch(asked, LARGEST_ROUND)
        except Refused as error:
            raise BoardUnavailable(f"the board at {self._url} refuses: {error}") from error
        except (OSError, ValueError) as error:
            raise BoardUnavailable(f"the board at {self._url} does not answer: {error}") from error


class _Server(ThreadingHTTPServer):
    """Says in a line that whoever asked has hung up: killed, or tired of waiting."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            super().handle_error(request, client_address)
            return
        log.info("who asked has hung up", reason=str(error))


class BoardServer:
    """Serves a board that lives on this event loop, until closed. Raises PortInUse."""

    def __init__(self, board: Board, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()

        def on_loop(work: Coroutine[Any, Any, Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(work, loop).result(TIMEOUT)

        class Handler(BaseHTTPRequestHandler):
            timeout = TIMEOUT

            def do_GET(self) -> None:
                self._do(self._read)

            def do_POST(self) -> None:
                self._do(self._put)

            def _do(self, work: Any) -> None:
                try:
                    self._answer(200, json.dumps(work()).encode())
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    self._answer(400, f"no word: {error!r}\n".encode())
                except EinproofError as error:
                    self._answer(409, f"{error}\n".encode())
                except (Overdue, RuntimeError):
                    self._answer(503, b"stopping, or too busy\n")

            def _read(self) -> list[Any]:
                _, kind, request_id, epoch = self.path.split("/")
                if kind != "words":
                    raise ValueError(f"expected /words/REQUEST/EPOCH, got {self.path}")
                found = on_loop(board.read(bytes.fromhex(request_id[2:]), int(epoch)))
                return [plain(word) for word in found]

            def _put(self) -> str:
                size = int(self.headers["Content-Length"])
                if self.path != "/words" or not 0 < size <= LARGEST_WORD:
                    raise ValueError(f"expected a word of at most {LARGEST_WORD} bytes at /words")
                on_loop(board.put(typed(Word, json.loads(self.rfile.read(size)))))
                return "taken"

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        try:
            self._server = _Server((host, port), Handler)
        except OSError as error:
            raise PortInUse(
                f"cannot listen on {host}:{port} ({error.strerror}): choose another with "
                "EINPROOF_BOARD_PORT"
            ) from error
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
