"""The board's server, and those that ask it and do not wait."""

import asyncio
import socket
import struct
import threading

from oracle.adapters import board as adapter
from oracle.adapters.board import BoardServer, RemoteBoard


class Log:
    def __init__(self):
        self.lines = []

    def info(self, event, **_):
        self.lines.append(event)


class SlowBoard:
    """Has no words; answers once it is told to."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    async def put(self, word):
        raise AssertionError("nobody puts a word here")

    async def read(self, request_id, epoch):
        self.asked.set()
        await asyncio.to_thread(self.go.wait, 10)
        return []


def test_who_asks_and_hangs_up_is_told_in_a_line_and_the_next_is_answered(capfd, monkeypatch):
    log = Log()
    monkeypatch.setattr(adapter, "log", log)

    async def scene():
        board = SlowBoard()
        server = BoardServer(board, "127.0.0.1", 0)
        killed = socket.create_connection(("127.0.0.1", server.port))
        killed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        killed.sendall(b"GET /words/0x00/1 HTTP/1.0\r\n\r\n")
        assert await asyncio.to_thread(board.asked.wait, 10)
        killed.close()  # a reset, as of a process that was killed
        board.go.set()
        asked = RemoteBoard(f"http://127.0.0.1:{server.port}")
        assert await asked.read(bytes(32), 1) == []
        for _ in range(100):
            if log.lines:
                break
            await asyncio.sleep(0.05)
        server.close()

    asyncio.run(scene())
    assert log.lines == ["who asked has hung up"]
    assert "Traceback" not in "".join(capfd.readouterr())
