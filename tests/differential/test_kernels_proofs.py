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
def test_what_is_sent_does_not_depend_on_where_tiles_are_cut(
    seed: int, k: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs of every gadget, in one tile and in many; not cut, as small tiles are; a cut before
    all coordinates: rounds on field elements alone."""
    made = setup(random_case(seed), k)
    assert made.layout.k <= rounds.WHOLE_K
    proofs = {made.prove()}
    monkeypatch.setattr(rounds, "WHOLE_K", 0)
    for low in (1, 2, made.layout.k // 2, made.layout.k):
        monkeypatch.setattr(rounds, "last_coordinates", lambda k, terms, low=low: low)
        proofs.add(made.prove())
    assert len(proofs) == 1
