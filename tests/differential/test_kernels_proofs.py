"""A proof has the same bytes whichever tier makes it."""

import pytest

from prover.kernels import features
from tests.programs import mlp
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
