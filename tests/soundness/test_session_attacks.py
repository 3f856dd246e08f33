"""Provers that cheat on a step of a session: another token, place, noise or cache than the
statement's, a mask of places lifted, rows that no token wrote let in. Refused by Python and on a
chain; and of the sessions that verify_session refuses for a proof, the same proofs there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from oracle.generation import CACHE, IDS, NEXT_CACHE, NOISE, PLACE, Chain, TextSession
from oracle.zoo.cached import compiled
from prover import kernels
from prover.api import Claim as Proved
from prover.api import Session, check
from prover.errors import ProofError
from prover.program.interpret import interpret
from prover.srs import development_srs
from tests import evm
from tests.onchain import Deployment
from tests.programs import Case
from tests.proving import Setup, setup, srs_of
from tests.soundness.malice import Claim
from tests.soundness.small import refusal
from tests.unit import test_generation as sessions
from tests.unit.test_compiler_transformer_attacks import (
    assert_steps_are_bound,
    one_less,
    one_more,
    rewritten,
)

TOKENS, K = 2, 13
SHARES = "scaled_dot_product_attention.shares"
Change = Callable[[np.ndarray], np.ndarray]


def second_step() -> Case:
    """Places 2 and 3 of a text, over the cache that its first step left."""
    made = compiled(sessions.entry(TOKENS, layers=1))
    shapes = {t.name: t.shape for t in made.program.tensors}
    noise = np.random.default_rng(1).integers(-40, 40, shapes[NOISE])
    given = {CACHE: np.zeros(shapes[CACHE], np.int64), NOISE: noise, **made.weights}
    values = given
    for place in (0, TOKENS):
        ids = sessions.texts()[0][place : place + TOKENS].reshape(shapes[IDS])
        given = {**given, IDS: ids, PLACE: np.array([place]).reshape(shapes[PLACE])}
        if place:
            given[CACHE] = values[NEXT_CACHE]
        values = interpret(made.program, given)
    return Case(made.program, given)


@pytest.fixture(scope="module")
def ready() -> tuple[Case, Setup]:
    made = second_step()
    return made, setup(made)


def without_row(cells: np.ndarray) -> np.ndarray:
    """The row of the token before this step's gone."""
    changed = cells.copy()
    changed[:, -TOKENS - 1] = 0
    return changed


def without_place(seen: np.ndarray) -> np.ndarray:
    """That of the token before this step's hidden, too."""
    changed = seen.copy()
    changed[:, -TOKENS - 1] = 0
    return changed


ATTACKS: dict[str, tuple[str, Change]] = {
    "another token": ("input.copy", lambda ids: (ids + 1) % len(sessions.LETTERS)),
    "another place": ("place.copy", lambda place: place + 1),
    "no noise": ("noise.copy", np.zeros_like),
    "the rows of other tokens": ("embedding.rows", lambda rows: rows[::-1].copy()),
    "the rows of other places": ("embedding_1.rows", lambda rows: rows[::-1].copy()),
    "places that no token wrote let in": ("ge", np.ones_like),
    "a place that a token wrote left out": ("ge", without_place),
    "a mask of other places": ("ge", lambda flags: np.roll(flags, 1, axis=-1)),
    "keys of another head": ("cat", lambda keys: keys[::-1].copy()),
    "a key forgotten": ("cat", without_row),
    "a value forgotten": ("cat_1", without_row),
    "scores of what no token wrote": (f"{SHARES}.kept", lambda z: np.where(z == 0, 9, z)),
    "a shifted softmax": (f"{SHARES}.max", lambda m: m + 3),
    "another cache left": (NEXT_CACHE, lambda cells: np.roll(cells, 1, axis=2)),
    "a key of one step more": (NEXT_CACHE, one_less),
    "another choice": ("argmax", lambda at: (at + 1) % len(sessions.LETTERS)),
    "a greater logit": ("argmax.logits", one_more),
}


def lies(made: Case) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    for name, (tensor, change) in ATTACKS.items():
        values = rewritten(made, tensor, change)
        assert (np.asarray(values[tensor]) != made.values[tensor]).any(), name
        yield name, values


def test_every_step_that_is_wrong_breaks_a_relation(ready: tuple[Case, Setup]) -> None:
    made, own = ready
    assert_steps_are_bound(made, own)


def test_attacks_on_a_step_are_refused(ready: tuple[Case, Setup]) -> None:
    made, own = ready
    for name, values in lies(made):
        claim = Claim(own, values).refit()
        assert claim.broken(), name
        assert claim.refused() is not None, name


def test_a_step_over_another_cache_is_refused(ready: tuple[Case, Setup]) -> None:
    """All values are those of an empty cache, under the points of the true one."""
    made, own = ready
    empty = np.zeros_like(made.given[CACHE])
    told = interpret(made.program, made.given | {CACHE: empty}) | {CACHE: made.values[CACHE]}
    assert (told[NEXT_CACHE] != made.values[NEXT_CACHE]).any()
    claim = Claim(own, told).refit()
    assert claim.broken()
    assert claim.refused() is not None


@pytest.mark.chain
@pytest.mark.slow
def test_a_chain_refuses_them_too(anvil: evm.Chain) -> None:
    """With the same error as the Python verifier."""
    deployment, made = Deployment.make(anvil, srs_of(None, 14)), second_step()
    own = deployment.setup(made)
    deployment.verify(*Claim.honest(own).prove())
    for name, values in lies(made):
        statement, proof = Claim(own, values).refit().prove()
        with pytest.raises(evm.Reverted) as refused:
            deployment.verify(statement, proof)
        found = refusal(own.key, statement, proof)
        assert refused.value.name == found == "OpeningRejected", name


# --- sessions ---


@pytest.fixture(scope="module")
def proved() -> sessions.Proved:
    model = sessions.made(TOKENS, layers=1)
    session = Session(model)
    greedy = TextSession(session, [3, 1, 4], 4).prove()
    return sessions.Proved(model, session, greedy, greedy)


def registered(anvil: evm.Chain, proved: sessions.Proved) -> Deployment:
    deployment = Deployment.make(anvil, development_srs(kernels.get(), K))
    model = proved.model
    data = (model.program_bytes, model.points, model.srs_id, model.aux_hash)
    assert deployment.register(*data) == model.id
    return deployment


FORGED = [name for name, (_, error, _) in sessions.BROKEN.items() if error is ProofError]


def forged(proved: sessions.Proved, name: str) -> Iterator[Proved]:
    """The claims of a broken session that no honest one has."""
    chain: Chain = sessions.BROKEN[name][0](proved)
    true = set(proved.greedy.claims)
    yield from (claim for claim in chain.claims if claim not in true)


@pytest.mark.chain
@pytest.mark.slow
def test_a_chain_takes_a_sessions_steps_and_no_forged_one(
    anvil: evm.Chain, proved: sessions.Proved
) -> None:
    """Links are for whoever reads a session: a step of another one is a true proof."""
    deployment = registered(anvil, proved)
    for claim in (*proved.greedy.claims, sessions.spliced(proved).claims[1]):
        deployment.verify(claim.statement, claim.proof)
    assert len(FORGED) >= 4
    for name in FORGED:
        claims = list(forged(proved, name))
        assert claims, name
        for claim in claims:
            with pytest.raises(ProofError) as python:
                check(proved.model, claim)
            with pytest.raises(evm.Reverted) as refused:
                deployment.verify(claim.statement, claim.proof)
            assert refused.value.name == type(python.value).__name__ == "OpeningRejected", name
