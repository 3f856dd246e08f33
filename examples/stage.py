"""A stage to try the examples on, as `make test-brownie` does:

    python -m examples.stage COMMAND...

A fresh Anvil with the contracts deployed and the digits model registered, and one operator with
stake that serves it. Then COMMAND runs, with EINPROOF_RPC, EINPROOF_DEPLOYMENT and three more in
its environment: EINPROOF_MODEL (an id), EINPROOF_INPUT (a held-out image, as statement bytes) and
EINPROOF_LABEL (what it shows). Its exit code is this program's. The chain is gone afterwards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from oracle.examples import digits
from oracle.story.desk import Desk
from oracle.story.digits import Story
from oracle.story.process import service
from oracle.story.staked import OPERATOR, Ladder
from oracle.toolchain import ROOT, activate
from prover.api import Session


class Stage(Story):
    """The demo's story, up to where somebody asks; from there it is the command's."""

    command: Sequence[str]
    code = 1

    def _on_chain(self, desk: Desk, session: Session) -> None:
        desk.command("register", self.folder / "models/digits")
        Ladder(desk).stake(OPERATOR)
        _, held_out = digits.load()
        environment = {
            **desk.environment,
            "EINPROOF_RPC": desk.url,
            "EINPROOF_MODEL": "0x" + session.model.id.hex(),
            "EINPROOF_INPUT": "0x" + session.model.encode_input(held_out.images[:1]).hex(),
            "EINPROOF_LABEL": str(held_out.labels[0]),
        }
        with service(desk, "operator", OPERATOR):
            self.code = subprocess.run([*self.command], env=environment, cwd=ROOT).returncode


def main(command: Sequence[str]) -> int:
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    activate()
    stage = Stage(
        ROOT / f".build/stage-{os.getpid()}",
        lambda step: print(f"== {step}", file=sys.stderr),
        lambda step, found: None,
    )
    stage.command = command
    stage.tell()
    if stage.code == 0:  # else its logs are of use
        shutil.rmtree(stage.folder)
    return stage.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
