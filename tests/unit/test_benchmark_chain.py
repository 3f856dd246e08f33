"""A row of `einproof bench chain`, but for the proof and the chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oracle.benchmarks import chain


def test_a_chains_row_says_which_kernels_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {"kernel_tier": "scalar", "k": 12, "proof_bytes": 3104}
    trace = {"to": "0xA", "gasUsed": hex(50_000), "input": "0x"}
    sent = SimpleNamespace(gas_used=50_000, txn_hash="0x")
    verify = SimpleNamespace(transact=lambda *statement, sender: sent)
    asked = SimpleNamespace(make_request=lambda *call: {"result": trace})
    desk = SimpleNamespace(
        account=None,
        contracts=["TensorVerifier"],
        contract=lambda name: SimpleNamespace(verify=verify),
        address=lambda name: "0xA",
        web3=SimpleNamespace(provider=asked),
    )
    claim = SimpleNamespace(model_id=b"", context=b"", input=b"", output=b"", proof=b"")

    @contextmanager
    def registered(folder: Path) -> Iterator[tuple[Any, Any]]:
        yield desk, claim

    monkeypatch.setattr(chain, "child", lambda *given: json.dumps(measured))
    monkeypatch.setattr(chain, "registered", registered)
    monkeypatch.setattr(chain, "paid_once", lambda desk: {})
    row = chain.chain_row("digits-mlp", 1, lambda words: None)
    assert row["kernel_tier"] == "scalar"
    assert row["parts"] == {"TensorVerifier": 29_000, "transaction": 21_000, "calldata": 0}
