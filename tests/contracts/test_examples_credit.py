"""CreditLimit on the Proof tier: limits come from the latest proved answer, and age."""

from __future__ import annotations

import pytest
from web3.contract import Contract

from tests.contracts.desk import FINAL, REENTER, REFUNDED, Desk, Request
from tests.contracts.examples import answer_of, asked, credit, proof_of, registered
from tests.evm import Chain, reverts
from tests.onchain import Deployment
from tests.proving import srs_of

ETHER, DAY = 10**18, 86_400
STEP, CAP = 10**14, 2 * ETHER
FEATURES = bytes(20)


def lender(desk: Desk, **other: object) -> Contract:
    parts = {"tier": desk.tier, "model_id": desk.model_id, **other}
    made = desk.chain.deploy(
        "contracts/examples/CreditLimit.sol",
        desk.oracle.address,
        parts["tier"].address,
        parts["model_id"],
        STEP,
        CAP,
    )
    desk.chain.pay(made.address, 5 * ETHER)
    return made


@pytest.fixture
def credits(desk: Desk) -> Contract:
    return lender(desk)


def assess(
    desk: Desk, credits: Contract, borrower: str = "", features: bytes = FEATURES
) -> Request:
    function = credits.functions.assess(
        borrower or desk.stranger, features, desk.chain.now() + 3600
    )
    return asked(desk, desk.chain.send(function, value=ETHER // 100))[0]


def score(value: int) -> bytes:
    return value.to_bytes(2, "big", signed=True)


def delivered(desk: Desk, request: Request, output: bytes) -> bool:
    receipt = desk.answer(request, image=FEATURES, output=output)
    (event,) = desk.events(receipt, "CalledBack")
    return bool(event["delivered"])


def available(desk: Desk, credits: Contract, borrower: str = "") -> int:
    return int(desk.chain.call(credits.functions.available(borrower or desk.stranger)))


@pytest.mark.parametrize(
    ("value", "limit"), [(3000, 3000 * STEP), (-1, 0), (0, 0), (-32768, 0), (32767, CAP)]
)
def test_fulfil_score_sets_the_limit_within_its_bounds(
    desk: Desk, credits: Contract, value: int, limit: int
) -> None:
    request = assess(desk, credits)
    assert delivered(desk, request, score(value))
    assert available(desk, credits) == limit


def test_draw_and_repay_keep_the_books(desk: Desk, credits: Contract) -> None:
    delivered(desk, assess(desk, credits), score(10_000))
    before = desk.chain.balance(credits.address)
    desk.chain.send(credits.functions.draw(ETHER // 4), sender=desk.stranger)
    assert before - desk.chain.balance(credits.address) == ETHER // 4
    assert available(desk, credits) == ETHER - ETHER // 4
    with reverts("AboveLimit", ETHER - ETHER // 4, ETHER):
        desk.chain.send(credits.functions.draw(ETHER), sender=desk.stranger)
    with reverts("Panic"):
        desk.chain.send(credits.functions.repay(desk.stranger), value=ETHER // 4 + 1)
    desk.chain.send(credits.functions.repay(desk.stranger), value=ETHER // 4)
    assert available(desk, credits) == ETHER


def test_draw_without_a_limit_or_by_another_is_refused(desk: Desk, credits: Contract) -> None:
    delivered(desk, assess(desk, credits), score(10_000))
    with reverts("AboveLimit", 0, 1):
        desk.chain.send(credits.functions.draw(1), sender=desk.requester)


def test_draw_stale_limit_is_refused(desk: Desk, credits: Contract) -> None:
    request = assess(desk, credits)
    asked_at = desk.chain.now()
    delivered(desk, request, score(10_000))
    desk.chain.next_timestamp(asked_at + 30 * DAY + 1)
    with reverts("AboveLimit", 0, 1):
        desk.chain.send(credits.functions.draw(1), sender=desk.stranger)


def test_fulfil_superseded_answer_is_not_taken(desk: Desk, credits: Contract) -> None:
    old, new = assess(desk, credits), assess(desk, credits)
    assert not delivered(desk, old, score(20_000))
    assert delivered(desk, new, score(100))
    with reverts("CallbackFailed"):
        desk.chain.send(desk.retrying(old, output=score(20_000)))
    assert available(desk, credits) == 100 * STEP


def test_fulfil_another_consumers_request_is_not_taken(desk: Desk, credits: Contract) -> None:
    other = assess(desk, lender(desk))
    desk.answer(other, image=FEATURES, output=score(20_000))
    assert available(desk, credits) == 0
    id = desk.request_id(other)
    with reverts("OnlyOracle", desk.oracle.address, desk.stranger):
        function = credits.functions.onInference(id, FINAL, score(9))
        desk.chain.send(function, sender=desk.stranger)
    with reverts("NotTheLatest", id):
        desk.chain.call(
            credits.functions.onInference(id, FINAL, score(9)), sender=desk.oracle.address
        )


def test_fulfil_output_of_another_model_is_not_taken(desk: Desk, credits: Contract) -> None:
    assert not delivered(desk, assess(desk, credits), score(5) * 10)
    assert available(desk, credits) == 0


def test_assess_by_another_than_the_underwriter_is_refused(desk: Desk, credits: Contract) -> None:
    function = credits.functions.assess(desk.stranger, FEATURES, desk.chain.now() + 3600)
    with reverts("OnlyUnderwriter", desk.chain.accounts[0], desk.stranger):
        desk.chain.send(function, sender=desk.stranger, value=ETHER // 100)
    with reverts("OnlyUnderwriter", desk.chain.accounts[0], desk.stranger):
        desk.chain.send(credits.functions.withdraw(1), sender=desk.stranger)


def test_assess_unanswered_leaves_the_old_limit_and_returns_the_payment(
    desk: Desk, credits: Contract
) -> None:
    delivered(desk, assess(desk, credits), score(100))
    request = assess(desk, credits)
    held = desk.chain.balance(credits.address)
    desk.expire(request)
    desk.chain.send(desk.refunding(request), sender=desk.stranger)
    assert desk.status(request)[0] == REFUNDED
    assert request.refund_to == desk.chain.accounts[0]
    assert desk.chain.balance(credits.address) == held
    assert available(desk, credits) == 100 * STEP


def test_draw_reentered_gets_no_more_than_the_limit(desk: Desk, credits: Contract) -> None:
    puppet = desk.puppet()
    delivered(desk, assess(desk, credits, puppet.address), score(10_000))
    again = credits.functions.draw(ETHER)._encode_transaction_data()
    desk.chain.send(puppet.functions.behave(REENTER, credits.address, again))
    desk.chain.set_balance(puppet.address, ETHER)
    desk.chain.rpc("anvil_impersonateAccount", puppet.address)
    before = desk.chain.balance(credits.address)
    desk.chain.send(credits.functions.draw(ETHER), sender=puppet.address)
    desk.chain.rpc("anvil_stopImpersonatingAccount", puppet.address)
    assert before - desk.chain.balance(credits.address) == ETHER
    assert desk.chain.call(puppet.functions.replied()) is False


def test_callback_gas_is_enough(desk: Desk, credits: Contract) -> None:
    request = assess(desk, credits)
    function = credits.functions.onInference(desk.request_id(request), FINAL, score(9))
    data = {"to": credits.address, "data": function._encode_transaction_data()}
    needed = desk.chain.web3.eth.estimate_gas({"from": desk.oracle.address, **data})
    assert needed - 21_000 < 0.75 * request.callback_gas


def test_limit_by_a_real_model_and_its_proof(chain: Chain) -> None:
    from sklearn.datasets import load_diabetes

    deployment = Deployment.make(chain, srs_of(None, 12))
    session = registered(deployment, credit)
    desk = Desk(chain)
    tier = chain.deploy(
        "contracts/assurance/ProofAssurance.sol",
        deployment.verifier.address,
        deployment.registry.address,
    )
    credits = lender(desk, tier=tier, model_id=session.model.id)
    features = session.model.encode_input(load_diabetes().data[:1])
    request = assess(desk, credits, features=features)
    output = answer_of(session, features)
    proof = proof_of(desk, session, request, desk.payee, features)
    better = (int.from_bytes(output, "big") + 1).to_bytes(2, "big")
    with reverts("OpeningRejected"):
        desk.answer(request, image=features, output=better, proof=proof)
    (event,) = desk.events(
        desk.answer(request, image=features, output=output, proof=proof), "CalledBack"
    )
    assert event["delivered"] is True
    limit = int.from_bytes(output, "big", signed=True) * STEP
    assert 0 < limit < CAP
    assert available(desk, credits) == limit
