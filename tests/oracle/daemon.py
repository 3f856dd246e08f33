"""The service as a process of its own, with the verifier's double in place of prover and engine:

python -m tests.oracle.daemon SECONDS_A_PROOF [lying]
"""

import asyncio
import signal
import sys

from oracle.bootstrap import Parts, serve
from oracle.logs import configure_logs
from oracle.settings import read_settings
from tests.oracle.desk import EchoEngine, EchoModels, EchoProver, LyingEngine


async def main(seconds: float, lying: bool) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    engine = LyingEngine() if lying else EchoEngine()
    parts = Parts(EchoModels(), engine, EchoProver(seconds), tracer=engine)
    await serve(read_settings(), stop, parts)


if __name__ == "__main__":
    configure_logs("json")
    asyncio.run(main(float(sys.argv[1]), "lying" in sys.argv))
