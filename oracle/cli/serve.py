"""einproof serve: the service, until SIGTERM or Ctrl-C."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from oracle.bootstrap import serve as run
from oracle.logs import configure_logs
from oracle.settings import read_settings


def serve(
    rpc: Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Keystore file (dev:N on chain id 31337).")
    ] = None,
    roles: Annotated[
        str | None, typer.Option(help="operator, challenger, or both with a comma.")
    ] = None,
    models: Annotated[Path | None, typer.Option(help="Folder of model folders.")] = None,
    database: Annotated[str | None, typer.Option(help="Database URL.")] = None,
    monitor_port: Annotated[
        int | None, typer.Option(help="Port for /metrics and /healthz.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log JSON lines.")] = False,
) -> None:
    """Answer requests, or check answers, until SIGTERM or Ctrl-C; all settings: EINPROOF_*."""
    settings = read_settings(
        rpc=rpc,
        key=key,
        roles=roles,
        models=models,
        database=database,
        monitor_port=monitor_port,
        log="json" if as_json else None,
    )
    configure_logs(settings.log)

    async def until_told() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run(settings, stop)

    asyncio.run(until_told())
