"""Several members of a committee as one process, so that a demonstration of many fits a small
machine: `einproof serve` once for each key, with a database of its own, over one loop and the same
engines.

    python -m oracle.story.crowd [--corrupted] dev:4 dev:5 ...

Settings are EINPROOF_*'s, as einproof serve has them; KEY in DATABASE stands for each key's number.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence

from oracle.bootstrap import Parts, real_parts, serve
from oracle.logs import configure_logs
from oracle.settings import Settings, read_settings
from oracle.story.cheat import corrupted


async def play(settings: Settings, keys: Sequence[str], parts: Parts, stop: asyncio.Event) -> None:
    """Serves once for each key until `stop` is set. Raises what any of them raises."""
    async with asyncio.TaskGroup() as group:
        for key in keys:
            database = settings.database.replace("KEY", key.partition(":")[2])
            own = settings.model_copy(update={"key": key, "database": database})
            group.create_task(serve(own, stop, parts))


async def main(*words: str) -> None:
    settings, stop = read_settings(), asyncio.Event()
    configure_logs(settings.log)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    parts = real_parts(settings)
    keys = [word for word in words if word != "--corrupted"]
    await play(settings, keys, corrupted(parts) if "--corrupted" in words else parts, stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
