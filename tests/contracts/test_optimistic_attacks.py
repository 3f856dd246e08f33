"""Malicious actors against the stake vault and the optimistic tier, one test an attack."""

import pytest
from eth_hash.auto import keccak
from web3.logs import DISCARD

from tests.contracts.bench import (
    BOND,
    CLOCK,
    COVERAGE,
    DAY,
    ETHER,
    GWEI,
    HOUR,
    LAPSED,
    LOCK,
    REWARD,
    UPHELD,
    WINDOW,
    WRONG,
    Bench,
    terms,
)
from tests.contracts.desk import (
    BOMB,
    BURN,
    FINAL,
    LOGITS,
    PROVISIONAL,
    REENTER,
    RETRACTED,
    REVERT,
    ZERO,
    Request,
)
from tests.evm import GAS_PRICE, reverts

SALT = keccak(b"salt")
MISCHIEF = [REVERT, BURN, BOMB]


def test_self_dealing_trio_loses_what_is_burned(bench: Bench) -> None:
    """Requester, operator and challenger are one: compensation and reward come back, B does not."""
    trio = bench.operator
    request = bench.request(requester=trio, refund_to=trio)
    before = bench.chain.balance(trio) + 10 * ETHER  # with its stake
    spent = 0
    for function, value in (
        (bench.oracle.functions.request(request.fields, bytes(range(128))), request.cost),
        (bench.answering(request, output=WRONG, proof=b""), 0),
        (bench.disputing(request), BOND),
    ):
        spent += bench.chain.send(function, sender=trio, value=value)["gasUsed"]
    bench.wait(CLOCK + 1)
    bench.post(request, output=WRONG, sender=bench.stranger)
    bench.tell("collect", bench.request_id(request), 0)
    bench.chain.send(bench.vault.functions.withdrawFor(trio), sender=bench.stranger)
    after = bench.chain.balance(trio) + bench.account(trio)["stake"] * GWEI
    assert before - after == spent * GAS_PRICE + COVERAGE * GWEI  # B = C


def test_mass_disputes_of_one_claim_cost_one_proof(bench: Bench) -> None:
    request = bench.posted()
    for sender in (bench.challenger, bench.rival, bench.stranger, bench.challenger):
        bench.dispute(request, LOGITS, sender=sender)
    bench.prove(request)
    assert (bench.status(request)[0], bench.outcome(request)) == (FINAL, UPHELD)
    assert bench.chain.balance(bench.optimistic.address) == 4 * BOND


def test_mass_disputes_of_all_claims_can_be_answered_in_time(bench: Bench) -> None:
    """Admission keeps the proofs of every open claim within half the clock: one after the other,
    each at its declared time, they are done."""
    proving = 40 * 60  # clock 6 h 20 min, so at most 4 open claims
    bench.stake(10 * ETHER)
    open_: list[Request] = []
    for nonce in range(4):
        open_.append(bench.posted(nonce=nonce, terms=terms(proving=proving)))
    request = bench.request(nonce=4, terms=terms(proving=proving))
    bench.ask(request)
    with reverts("Overloaded"):
        bench.post(request)
    for claim in open_:
        bench.dispute(claim, LOGITS, bond=ETHER)
    for claim in open_:
        bench.wait(proving)
        bench.prove(claim)
        assert bench.outcome(claim) == UPHELD


def test_challenger_is_not_exhausted_by_many_cheats(bench: Bench) -> None:
    """Stake for one bond is enough: who lost once is suspended, and its other claims' proofs are
    demanded for nothing, however late."""
    cheats = [bench.posted(WRONG, nonce=nonce) for nonce in range(4)]
    before = bench.chain.balance(bench.challenger)
    for place, request in enumerate(cheats):
        receipt = bench.dispute(request, bond=0 if place else BOND)
        before -= receipt["gasUsed"] * GAS_PRICE
        bench.wait(CLOCK + 1)
        bench.post(request, output=WRONG, sender=bench.stranger)
        if not place:
            bench.tell("collect", bench.request_id(request), 0)
    assert {bench.outcome(request) for request in cheats} == {LAPSED}
    assert bench.owed(bench.challenger) == 4 * REWARD
    assert bench.chain.balance(bench.challenger) == before  # the one bond is back
    assert bench.account()["stake"] == 10 * ETHER // GWEI - 4 * LOCK


def test_output_that_stands_is_published_whole(bench: Bench) -> None:
    """No answer is a hash of what nobody has seen: each stage's transaction carries and logs it."""
    request = bench.request()
    bench.ask(request)
    for status, wait in ((PROVISIONAL, 0), (FINAL, WINDOW + 1)):
        bench.wait(wait or 1)
        receipt = bench.post(request)
        (event,) = bench.oracle.events.Answered().process_receipt(receipt, errors=DISCARD)
        assert (event["args"]["status"], event["args"]["output"]) == (status, LOGITS)
        assert bench.status(request)[1] == bench.digest(output=event["args"]["output"])


@pytest.mark.parametrize("part", [LOGITS[:-2], LOGITS[:2], LOGITS + b"\0"], ids=len)
def test_output_that_is_not_whole_is_a_wrong_answer(bench: Bench, part: bytes) -> None:
    request = bench.posted(part)
    with reverts("ProofRefused"):
        bench.prove(request, output=part, proof=bench.proof(request, output=LOGITS))
    bench.refute(request, part)
    assert bench.status(request) == (FINAL, bench.digest(bench.prover), False)
    assert bench.burned() == COVERAGE + REWARD  # nobody disputed
    assert bench.owed(bench.requester) == COVERAGE


def test_commitment_copied_by_a_front_runner_earns_nothing(bench: Bench) -> None:
    request = bench.posted(WRONG)
    seen = bench.commitment(request, bench.challenger, LOGITS, SALT)
    bench.dispute(request, sender=bench.rival, commitment=seen)  # in front, with the same word
    bench.dispute(request, commitment=seen)
    bench.refute(request)
    id = bench.request_id(request)
    with reverts("WrongCommitment"):
        bench.tell("reveal", id, 0, SALT)
    bench.tell("reveal", id, 1, SALT)
    bench.wait(DAY + 1)
    bench.tell("award", id)
    assert (bench.owed(bench.rival), bench.owed(bench.challenger)) == (0, REWARD)


def test_commitment_to_another_request_earns_nothing(bench: Bench) -> None:
    first, second = bench.posted(WRONG), bench.posted(WRONG, nonce=1)
    word = bench.commitment(first, bench.challenger, LOGITS, SALT)
    bench.dispute(second, commitment=word)
    bench.refute(second)
    with reverts("WrongCommitment"):
        bench.tell("reveal", bench.request_id(second), 0, SALT)


def test_sock_puppet_that_disputes_first_shields_nobody(bench: Bench) -> None:
    """The cheat's own dispute can be neither withdrawn nor lost on purpose: it needs a proof."""
    request = bench.posted(WRONG)
    bench.dispute(request, sender=bench.operator)
    bench.dispute(request)
    bench.wait(CLOCK + 1)
    bench.post(request, output=WRONG, sender=bench.stranger)
    assert bench.outcome(request) == LAPSED
    assert bench.burned() == COVERAGE and bench.owed(bench.requester) == COVERAGE
    before = bench.chain.balance(bench.challenger)
    bench.tell("collect", bench.request_id(request), 1)  # the honest challenger loses nothing
    assert bench.chain.balance(bench.challenger) - before == BOND


def test_withdrawal_queued_before_the_dispute_is_slashed(bench: Bench) -> None:
    request = bench.posted(WRONG)
    bench.chain.send(
        bench.vault.functions.queueWithdrawal(10 * ETHER // GWEI), sender=bench.operator
    )
    bench.dispute(request)
    with reverts("NotReady"):
        bench.chain.send(bench.vault.functions.leave(bench.rival), sender=bench.operator)
    bench.wait(CLOCK + 1)
    bench.post(request, output=WRONG, sender=bench.stranger)
    assert bench.account()["stake"] == 10 * ETHER // GWEI - LOCK


def test_withdrawal_ready_before_the_answer_waits_for_it(bench: Bench) -> None:
    """Queue first, wait, then cheat and leave in one go: an open lock keeps all of it."""
    bench.chain.send(
        bench.vault.functions.queueWithdrawal(5 * ETHER // GWEI), sender=bench.operator
    )
    bench.wait(15 * DAY)
    request = bench.posted(WRONG, deadline=bench.chain.now() + 16 * DAY)
    with reverts("LocksRemain", LOCK):
        bench.chain.send(bench.vault.functions.leave(bench.rival), sender=bench.operator)
    bench.refute(request)
    assert bench.owed(bench.requester) == COVERAGE


def test_late_dispute_leaves_the_operator_its_whole_clock(bench: Bench) -> None:
    request = bench.posted()
    bench.wait(WINDOW)
    bench.dispute(request, LOGITS)
    bench.wait(CLOCK)
    bench.prove(request)
    assert bench.outcome(request) == UPHELD


def test_proof_theft_pays_the_payee_bound_in_it(bench: Bench) -> None:
    request = bench.posted(WRONG)
    stolen = bench.refuting(request)
    before = bench.chain.balance(bench.prover)
    bench.chain.send(stolen, sender=bench.rival, gas=5_000_000)
    assert bench.chain.balance(bench.prover) - before == request.cost


def test_proof_with_another_payee_is_refused(bench: Bench) -> None:
    request = bench.posted(WRONG)
    function = bench.refuting(request)
    evidence = function.arguments[4]
    with reverts("ProofRefused"):
        bench.chain.send(
            bench.answering(request, payee=bench.rival, output=LOGITS, proof=evidence),
            sender=bench.rival,
        )
    with reverts("ProofRefused"):  # nor does it serve another request
        other = bench.posted(WRONG, nonce=1)
        bench.chain.send(bench.answering(other, payee=bench.prover, output=LOGITS, proof=evidence))


def test_accept_all_verifier_cannot_be_put_in_place(bench: Bench) -> None:
    """Code hash pinned: neither a cheat is proved right, nor an honest operator proved wrong."""
    cheat, honest = bench.posted(WRONG), bench.posted(LOGITS, nonce=1)
    bench.chain.rpc("anvil_setCode", bench.verifier.address, "0x00")
    with reverts("VerifierChanged"):
        bench.prove(cheat, output=WRONG, proof=b"anything")
    with reverts("VerifierChanged"):
        bench.refute(honest, LOGITS, output=WRONG)
    assert bench.status(cheat)[0] == bench.status(honest)[0] == PROVISIONAL


def test_fake_oracle_locks_nobodys_stake(bench: Bench) -> None:
    request = bench.request()
    fake = (
        bench.request_id(request),
        bytes(32),
        bench.operator,
        bench.rival,
        bytes(32),
        0,
        b"\1" * 32,
    )
    with reverts("OnlyOracle"):
        bench.tell("judge", request.fields, fake, b"", LOGITS, b"", sender=bench.rival)


# --- consumers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", MISCHIEF)
def test_consumer_that_misbehaves_changes_only_its_own_flag(bench: Bench, manner: int) -> None:
    puppet = bench.puppet()
    request = bench.ask_through(puppet)
    bench.post(request)
    bench.chain.send(puppet.functions.behave(manner, ZERO, b""))
    bench.wait(WINDOW + 1)
    before = bench.chain.balance(bench.operator)
    bench.post(request, sender=bench.stranger)
    assert bench.status(request) == (FINAL, bench.digest(), True)
    assert bench.chain.balance(bench.operator) - before == request.cost
    assert bench.account()["locked"] == 0


@pytest.mark.parametrize("manner", MISCHIEF)
def test_consumer_that_refuses_money_does_not_save_the_cheat(bench: Bench, manner: int) -> None:
    puppet = bench.puppet()
    request = bench.ask_through(puppet)
    bench.post(request, output=WRONG)
    bench.chain.send(puppet.functions.behave(manner, ZERO, b""))
    bench.dispute(request)
    bench.wait(CLOCK + 1)
    bench.post(request, output=WRONG, sender=bench.stranger)
    assert (bench.status(request)[0], bench.outcome(request)) == (RETRACTED, LAPSED)
    assert bench.owed(puppet.address) == COVERAGE
    assert bench.credit(puppet.address) == request.cost


def moves(bench: Bench, request: Request) -> list[tuple[str, str]]:
    """Whatever a reentering party could try, as (target, calldata)."""
    id = bench.request_id(request)
    tier, vault = bench.optimistic, bench.vault
    made = [
        (bench.oracle.address, bench.answering(request, output=WRONG, proof=b"")),
        (bench.oracle.address, bench.refunding(request)),
        (tier.address, tier.functions.collect(id, 0)),
        (tier.address, tier.functions.award(id)),
        (tier.address, tier.functions.close(request.fields, bench.operator, keccak(LOGITS))),
        (vault.address, vault.functions.release(bench.operator, LOCK, 60)),
    ]
    return [(target, function._encode_transaction_data()) for target, function in made]


@pytest.mark.parametrize("move", range(6))
def test_consumer_that_reenters_settles_nothing_twice(bench: Bench, move: int) -> None:
    puppet = bench.puppet()
    request = bench.ask_through(puppet, callback_gas=1_000_000)
    bench.post(request, output=WRONG)
    bench.dispute(request)
    bench.chain.send(puppet.functions.behave(REENTER, *moves(bench, request)[move]))
    bench.refute(request)  # calls the consumer back
    assert bench.status(request) == (FINAL, bench.digest(bench.prover), False)
    assert bench.chain.call(puppet.functions.replied()) is (move == 2)  # a bond may be collected
    assert bench.owed(puppet.address) == COVERAGE
    assert bench.burned() == COVERAGE
    assert bench.chain.balance(bench.optimistic.address) == (0 if move == 2 else BOND)


# --- recipients of bonds --------------------------------------------------------------------------


@pytest.mark.parametrize("manner", MISCHIEF)
def test_challenger_that_cannot_be_paid_holds_up_nobody(bench: Bench, manner: int) -> None:
    puppet = bench.puppet()
    request = bench.posted(WRONG)
    data = bench.disputing(request, commitment=b"\1" * 32)._encode_transaction_data()
    bench.chain.set_balance(puppet.address, BOND)
    bench.chain.rpc("anvil_impersonateAccount", puppet.address)
    bench.chain.pay(puppet.address, ETHER)
    bench.chain.pay(
        bench.optimistic.address, BOND, data=bytes.fromhex(data[2:]), sender=puppet.address
    )
    bench.dispute(request)
    bench.chain.send(puppet.functions.behave(manner, ZERO, b""))
    bench.wait(CLOCK + 1)
    bench.post(request, output=WRONG, sender=bench.stranger)
    id = bench.request_id(request)
    with reverts("TransferFailed", puppet.address, BOND):
        bench.chain.send(bench.optimistic.functions.collect(id, 0), gas=1_000_000)
    bench.tell("collect", id, 1)
    assert bench.owed(puppet.address) == REWARD
    assert bench.chain.balance(bench.optimistic.address) == BOND


def test_payee_that_reenters_collects_a_bond_once(bench: Bench) -> None:
    puppet = bench.puppet()
    request, other = bench.request(), bench.posted(WRONG, nonce=1)
    bench.ask(request)
    bench.sponsor(puppet.address)
    bench.post(request, payee=puppet.address)
    bench.dispute(other)
    bench.chain.send(
        bench.optimistic.functions.dispute(
            request.fields, puppet.address, keccak(LOGITS), b"\1" * 32
        ),
        sender=bench.challenger,
        value=BOND,
    )
    bench.prove(request, payee=puppet.address)
    id = bench.request_id(request)
    again = bench.optimistic.functions.collect(id, 0)._encode_transaction_data()
    bench.chain.send(puppet.functions.behave(REENTER, bench.optimistic.address, again))
    before = bench.chain.balance(puppet.address)
    bench.tell("collect", id, 0)
    assert bench.chain.call(puppet.functions.replied()) is False
    assert bench.chain.balance(puppet.address) - before == BOND
    assert bench.chain.balance(bench.optimistic.address) == BOND  # the other dispute's


def test_operator_whose_premise_fails_loses_one_lock_a_claim(bench: Bench) -> None:
    """No honest operator is slashed *if* it proves in time. One that sleeps loses the lock of each
    claim that was disputed, and of no other."""
    disputed, quiet = bench.posted(), bench.posted(nonce=1)
    bench.dispute(disputed, LOGITS)
    bench.wait(CLOCK + HOUR)
    bench.post(disputed, sender=bench.stranger)
    account = bench.account()
    assert account["stake"] == 10 * ETHER // GWEI - LOCK
    assert account["locked"] == LOCK
    bench.prove(quiet)
    assert bench.account()["locked"] == 0
