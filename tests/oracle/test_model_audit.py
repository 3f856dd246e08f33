"""einproof model audit ID, against a real registry on Anvil."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from oracle.adapters import deployment
from oracle.cli import main
from prover import kernels as tiers
from prover.folder import MODEL_JSON
from prover.model import Model
from prover.srs import development_srs
from tests import digits
from tests.evm import Chain

pytestmark = pytest.mark.chain
CHUNK = 24_575


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    made, kernels = digits.compiled(), tiers.get("scalar")
    srs = development_srs(kernels, 12, tmp_path_factory.mktemp("srs"))
    return Model.create(made.program, made.weights, made.quantizer, kernels, srs)


def store(chain: Chain, registry, data: bytes) -> list[str]:
    chunks = []
    for at in range(0, len(data), CHUNK):
        part = data[at : at + CHUNK]
        chain.send(registry.functions.store(part))
        chunks.append(chain.call(registry.functions.addressOf(part)))
    return chunks


def audit(chain: Chain, registry: str, model_id: str, *options: str) -> Result:
    arguments = ["model", "audit", model_id, "--rpc", chain.url, "--registry", registry, *options]
    return CliRunner().invoke(main.app, arguments)


def register(chain: Chain, model: Model, program: bytes) -> tuple[str, str]:
    """The registry's address and the model's id."""
    registry = chain.deploy("contracts/oracle/ModelRegistry.sol")
    chunks = store(chain, registry, program), store(chain, registry, model.point_bytes)
    call = registry.functions.register(*chunks, model.srs_id, model.aux_hash)
    made = chain.call(call)
    chain.send(call)
    return registry.address, "0x" + made.hex()


def test_a_registered_model_passes(chain: Chain, model: Model, tmp_path: Path) -> None:
    registry, model_id = register(chain, model, model.program_bytes)
    assert model_id == "0x" + model.id.hex()
    model.export_public(tmp_path / "public")
    given = ["--quantizer", str(tmp_path / "public" / MODEL_JSON)]
    result = audit(chain, registry, model_id, *given, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["passed"] is True
    assert [f["name"] for f in report["findings"] if f["ok"]] == [
        "program",
        "verifier section",
        "commitments",
        "public tables",
        "model id",
        "quantiser",
    ]


def test_a_registered_swindle_fails(chain: Chain, model: Model) -> None:
    """The registry takes any program with a header; the audit does not."""
    program = bytearray(model.program_bytes)
    program[4 * 32 + 11] ^= 1  # the first kernel's constant
    registry, model_id = register(chain, model, bytes(program))
    result = audit(chain, registry, model_id)
    assert result.exit_code == 1 and "do not rely on" in result.stdout


def test_the_registry_comes_from_the_deployment(
    chain: Chain, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment, "FOLDER", tmp_path)
    monkeypatch.delenv("EINPROOF_REGISTRY", raising=False)
    registry, model_id = register(chain, model, model.program_bytes)
    result = audit(chain, "", model_id)
    assert result.exit_code == 1 and "run einproof deploy" in result.stderr
    chain_id = chain.web3.eth.chain_id
    data = {"chain_id": chain_id, "block": 0, "contracts": {"ModelRegistry": registry}}
    (tmp_path / f"{chain_id}.json").write_text(json.dumps(data))
    assert audit(chain, "", model_id).exit_code == 0


def test_a_malformed_address_is_one_line(chain: Chain, model: Model) -> None:
    result = audit(chain, "0x12", "0x" + model.id.hex())
    assert result.exit_code == 1 and result.stderr.count("\n") == 1


def test_unknown_ids_and_foreign_addresses_are_one_line(chain: Chain, model: Model) -> None:
    registry, _ = register(chain, model, model.program_bytes)
    for address, model_id, error in (
        (registry, "0x" + "ab" * 32, "[ModelMissing]"),
        (chain.accounts[0], "0x" + model.id.hex(), "[RegistryForeign]"),
    ):
        result = audit(chain, address, model_id)
        assert result.exit_code == 1 and error in result.stderr
        assert result.stderr.count("\n") == 1
