"""The examples outside the chain: ABIs are the contracts', and web3_request.py gets answers."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from web3.contract import Contract

from examples import web3_request
from scripts.export_abi import FOLDER, abis
from tests.contracts.bench import ETHER
from tests.evm import ROOT, Chain
from tests.oracle.desk import LOGITS, Office
from tests.oracle.test_kill import Daemon
from tests.oracle.test_ladder import OPERATOR, address

CELLS = [int.from_bytes(LOGITS[i : i + 2], "big", signed=True) for i in range(0, len(LOGITS), 2)]


def test_exported_abis_are_the_contracts() -> None:
    for name, abi in abis().items():
        assert json.loads((FOLDER / f"{name}.json").read_text()) == abi, (
            f"{name}: run python -m scripts.export_abi"
        )


def test_the_word_that_there_is_no_answer_is_not_shown_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither by the plain script nor by Brownie's, which needs no Brownie for that."""
    assert web3_request.shown(LOGITS) == str(CELLS)
    assert web3_request.shown(b"\0").startswith("none")
    brownie = ModuleType("brownie")
    for name in ("accounts", "chain", "interface", "web3"):
        setattr(brownie, name, None)
    monkeypatch.setitem(sys.modules, "brownie", brownie)
    path = ROOT / "examples/brownie/scripts/request.py"
    spec = importlib.util.spec_from_file_location("brownie_request", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.logits(LOGITS) == CELLS
    with pytest.raises(LookupError, match="no provable answer"):
        script.logits(b"\0")


@pytest.mark.slow
@pytest.mark.chain
def test_web3_request_prints_answer_and_trust_under_both_tiers(tmp_path: Path) -> None:
    with Chain.start() as chain:
        office = Office(chain, staked=True)
        office.desk.stake(10 * ETHER, address(OPERATOR))
        daemon = Daemon(office, tmp_path, EINPROOF_KEY=OPERATOR)
        daemon.start()

        def request(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "examples/web3_request.py", "--input", "0x1234", *words]
            return subprocess.run(
                command, cwd=ROOT, env=daemon.environment, capture_output=True, text=True
            )

        model = ("--model", "0x" + office.desk.model_id.hex())
        proved, staked = (request(*model, "--tier", tier) for tier in ("proof", "optimistic"))
        assert proved.returncode == staked.returncode == 0, proved.stderr + staked.stderr
        for ran in (proved, staked):
            assert f"output     {CELLS}" in ran.stdout
            assert f"payee      {address(OPERATOR)}" in ran.stdout
        assert "standing   final" in proved.stdout
        assert "proved     the registered program" in proved.stdout
        assert "standing   provisional" in staked.stdout
        assert "of which you get 100000000" in staked.stdout

        unknown = request("--model", "0x" + "11" * 32, "--tier", "proof")
        assert unknown.returncode != 0
        assert "output" not in unknown.stdout

        tiers = (office.desk.tier, office.desk.optimistic)
        for tier, ran in zip(tiers, (proved, staked), strict=True):
            assert "\n".join(trusted(office, tier)) in ran.stdout
        code = chain.web3.eth.get_code(office.desk.verifier.address)
        chain.rpc("anvil_setCode", office.desk.verifier.address, "0x" + bytes(code).hex() + "00")
        changed = request(*model, "--tier", "proof", "--seconds", "5")
        assert changed.returncode != 0
        assert "output" not in changed.stdout, "another verifier than the tier pins"
        for tier in tiers:
            with pytest.raises(SystemExit, match="pin is not of the verifier's code"):
                trusted(office, tier)
        daemon.end(signal.SIGTERM)


def trusted(office: Office, tier: Contract) -> list[str]:
    """What the script says of the first answer under a tier, by the code that is there now."""
    web3, events = office.evm.web3, office.desk.oracle.events

    def contract(name: str, address: str) -> Contract:
        return web3.eth.contract(address, abi=json.loads((FOLDER / f"{name}.json").read_text()))

    asked = [event["args"] for event in events.Requested().get_logs(from_block=0)]
    one = next(each for each in asked if each["request"]["assurance"] == tier.address)
    about = {"requestId": one["requestId"]}
    answered = events.Answered().get_logs(argument_filters=about, from_block=0)[-1]["args"]
    return web3_request.trust(web3, contract, tier, answered, tuple(one["request"].values()))
