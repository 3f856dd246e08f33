"""A proof has the same bytes whichever tier makes it."""

import pytest

from prover.kernels import features
from prover.proving import rounds
from tests.programs import mlp, random_case
from tests.proving import setup


@pytest.mark.skipif(
    bool(features.missing_for_ifma()),
    reason=f"this processor lacks {', '.join(features.missing_for_ifma())}",
)
@pytest.mark.parametrize("batch", [1, 3])
def test_ifma_proves_as_scalar_does(batch: int) -> None:
    case = mlp([24, 12, 5], batch)
    made = setup(case, tier="ifma")
    proof = made.prove()
    made.verify(proof)
    assert proof == setup(case, tier="scalar").prove()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [None, 9])
def test_rounds_on_integers_send_what_rounds_on_elements_send(
    seed: int, k: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs of every gadget, in one tile and in many, of every number of rounds on integers."""
    made = setup(random_case(seed), k)
    proofs = set()
    for span in range(min(made.layout.k, 5) + 1):
        monkeypatch.setattr(rounds, "SPAN", span)
        monkeypatch.setattr(rounds, "LEAST", 0)
        proofs.add(made.prove())
    assert len(proofs) == 1
