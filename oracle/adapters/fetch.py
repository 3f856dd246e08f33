"""One answer over HTTP, from whom nobody trusts to give one."""

import asyncio
import http.client
import urllib.request

#: Seconds for each read, and for the whole: a server could give a byte now and then, for days.
TIMEOUT, PATIENCE = 10.0, 30.0


async def fetch(asked: urllib.request.Request, largest: int) -> bytes:
    """Its body, `largest` bytes of it at most. Raises OSError, also for what is no HTTP and for
    what takes too long; urllib's HTTPError is one."""
    return await asyncio.wait_for(asyncio.to_thread(_read, asked, largest), PATIENCE)


def _read(asked: urllib.request.Request, largest: int) -> bytes:
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:
            return bytes(answer.read(largest))
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP: {error!r}") from error
