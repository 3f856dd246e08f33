"""OptimisticAssurance: what it admits, what stands, what becomes final, and what is given back."""

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.contracts.bench import (
    CLOCK,
    COVERAGE,
    DAY,
    ETHER,
    GWEI,
    HOUR,
    LAPSED,
    LOCK,
    PARAMETERS,
    REWARD,
    UNANSWERABLE,
    VOID,
    WINDOW,
    WRONG,
    Bench,
    terms,
)
from tests.contracts.desk import FINAL, LOGITS, OPEN, PROVISIONAL, REFUNDED, RETRACTED, ZERO
from tests.evm import reverts

# --- requests -------------------------------------------------------------------------------------


def test_admit_good_terms_are_taken(bench: Bench) -> None:
    request = bench.request()
    bench.ask(request)
    assert bench.status(request)[0] == OPEN


def test_admit_another_pin_is_refused(bench: Bench) -> None:
    with reverts("WrongPin", bytes(32), bench.pin):
        bench.ask(bench.request(pin=bytes(32)))


@pytest.mark.parametrize(
    "word", [bytes(32), terms(coverage=0), terms(proving=0), b"\x80" + terms()[1:], b"\xff" * 32]
)
def test_admit_malformed_terms_are_refused(bench: Bench, word: bytes) -> None:
    with reverts("MalformedTerms", word):
        bench.ask(bench.request(terms=word))


def test_admit_bit_above_the_fields_is_refused(bench: Bench) -> None:
    word = (int.from_bytes(terms(), "big") | 1 << 77).to_bytes(32, "big")
    with reverts("MalformedTerms", word):
        bench.ask(bench.request(terms=word))


def test_admit_unknown_model_is_refused(bench: Bench) -> None:
    with reverts("UnknownModel", bytes(32)):
        bench.ask(bench.request(model_id=bytes(32)))


@pytest.mark.parametrize(
    ("coverage", "proving", "least"),
    [
        (1, 1, 4 * HOUR),
        (10 * ETHER // GWEI, 1, 4 * HOUR),
        (10 * ETHER // GWEI + 1, 1, 24 * HOUR),
        (1, 4 * HOUR, 5 * HOUR),
    ],
)
def test_admit_window_below_the_tiers_is_refused(
    bench: Bench, coverage: int, proving: int, least: int
) -> None:
    assert bench.chain.call(bench.optimistic.functions.clocks(terms(coverage, proving)))[0] == least
    with reverts("WindowTooShort", least, least - HOUR):
        bench.ask(bench.request(terms=terms(coverage, proving, least // HOUR - 1)))
    bench.ask(bench.request(terms=terms(coverage, proving, least // HOUR)))


def test_admit_contest_beyond_the_refund_is_refused(bench: Bench) -> None:
    """Window and prove clock must end an hour before the oracle can give the payment back."""
    with reverts("ContestTooLong", 167 * HOUR, 168 * HOUR):
        bench.ask(bench.request(terms=terms(hours=165)))
    bench.ask(bench.request(terms=terms(hours=164)))


@pytest.mark.parametrize(
    ("proving", "clock"), [(1, 3 * HOUR), (900, 3 * HOUR), (901, 8 * 901 + HOUR), (32_767, 265_736)]
)
def test_clocks_prove_clock_follows_the_declared_time(
    bench: Bench, proving: int, clock: int
) -> None:
    assert bench.chain.call(bench.optimistic.functions.clocks(terms(proving=proving)))[1] == clock


@pytest.mark.parametrize(
    ("coverage", "reward"), [(1, 24 * 10**6), (24 * 10**7, 24 * 10**6), (10**9, 10**8)]
)
def test_split_reward_is_a_share_or_three_times_the_cost(
    bench: Bench, coverage: int, reward: int
) -> None:
    split = bench.chain.call(bench.optimistic.functions.split(terms(coverage)))
    assert tuple(split) == (coverage, reward, max(coverage, reward))


def test_split_of_the_widest_coverage_fits_a_lock(bench: Bench) -> None:
    widest = (*PARAMETERS[:4], 2**40 - 1, *PARAMETERS[5:])
    tight = Bench(bench.chain, widest)
    assert sum(tight.chain.call(tight.optimistic.functions.split(terms(2**40 - 1)))) < 2**48


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, HOUR - 1), (1, 4 * HOUR - 1), (3, 3 * HOUR + 1), (4, 0), (5, 0), (6, 0)],
)
def test_constructor_parameters_without_sense_are_refused(
    bench: Bench, place: int, value: int
) -> None:
    with reverts("WrongParameters"):
        Bench(bench.chain, (*PARAMETERS[:place], value, *PARAMETERS[place + 1 :]))


def test_constructor_vault_that_does_not_name_it_is_refused(bench: Bench) -> None:
    with reverts("NotATier", bench.vault.address):
        bench.chain.deploy(
            "contracts/assurance/OptimisticAssurance.sol",
            bench.oracle.address,
            bench.verifier.address,
            bench.registry.address,
            bench.vault.address,
            PARAMETERS,
        )


# --- an operator's answer -------------------------------------------------------------------------


def test_judge_by_anyone_but_the_oracle_is_refused(bench: Bench) -> None:
    """Else whoever calls could name any staker as the sender."""
    request = bench.request()
    claim = (bytes(32), bytes(32), bench.operator, bench.operator, bytes(32), 0, bytes(32))
    with reverts("OnlyOracle", bench.oracle.address, bench.stranger):
        bench.tell("judge", request.fields, claim, b"", b"", b"")


def test_judge_answer_stands_at_once_with_stake_locked(bench: Bench) -> None:
    request = bench.request()
    bench.ask(request)
    (event,) = bench.events(bench.post(request), "Answered")
    assert (event["status"], event["output"]) == (PROVISIONAL, LOGITS)
    assert bench.status(request) == (PROVISIONAL, bench.digest(), False)
    assert (bench.account()["locked"], bench.account()["load"]) == (LOCK, 60)
    assert bench.held() == request.cost


def test_judge_coverage_above_free_stake_is_refused(bench: Bench) -> None:
    for nonce in range(4):
        bench.posted(nonce=nonce)
    request = bench.request(nonce=4)
    bench.ask(request)
    with reverts("CoverageAboveFreeStake", LOCK, 10 * ETHER // GWEI - 4 * LOCK):
        bench.post(request)
    bench.prove(request)  # a proof needs no stake
    assert bench.status(request)[0] == FINAL


def test_judge_payee_without_stake_is_refused(bench: Bench) -> None:
    """The stake that vouches is the payee's, and only itself or its agent can put it at risk."""
    request = bench.request()
    bench.ask(request)
    with reverts("CoverageAboveFreeStake", LOCK, 0):
        bench.post(request, sender=bench.stranger, payee=bench.stranger)
    with reverts("NotItsAgent", bench.operator, bench.stranger):
        bench.post(request, sender=bench.stranger)
    with reverts("NotItsAgent", bench.stranger, bench.operator):
        bench.post(request, payee=bench.stranger)
    assert bench.account()["locked"] == 0


def test_judge_agent_answers_for_the_payees_stake(bench: Bench) -> None:
    bench.chain.send(bench.vault.functions.appoint(bench.rival), sender=bench.operator)
    request = bench.request()
    bench.ask(request)
    bench.post(request, sender=bench.rival)
    assert bench.account()["locked"] == LOCK
    assert bench.since(request) == bench.chain.now()


def test_judge_more_proving_than_half_the_clock_is_refused(bench: Bench) -> None:
    bench.stake(10 * ETHER)
    slow = terms(proving=HOUR)  # clock: 9 h
    first = bench.posted(terms=slow)
    for nonce in range(1, 4):
        bench.posted(nonce=nonce, terms=slow)
    request = bench.request(nonce=4, terms=slow, deadline=bench.chain.now() + DAY)
    bench.ask(request)
    with reverts("Overloaded", 9 * HOUR // 2, 5 * HOUR):
        bench.post(request)
    bench.wait(5 * HOUR)
    bench.post(first)  # final: its hour is free again
    bench.expire(request, 0)
    bench.post(request)


def test_judge_second_answer_without_proof_is_refused(bench: Bench) -> None:
    request = bench.posted(WRONG)
    with reverts("WrongEvidence", 64, 0):
        bench.post(request, output=LOGITS)
    with reverts("WrongEvidence", 64, 32):
        bench.prove(request, output=LOGITS)


# --- silence --------------------------------------------------------------------------------------


def test_judge_after_the_window_is_final_by_anyone(bench: Bench) -> None:
    request = bench.posted()
    until = bench.chain.now() + WINDOW
    bench.chain.next_timestamp(until)
    with reverts("TooEarly", until, until):
        bench.post(request, sender=bench.stranger)
    bench.wait(1)
    before = bench.chain.balance(bench.operator)
    bench.post(request, sender=bench.stranger)
    assert bench.status(request) == (FINAL, bench.digest(), False)
    assert bench.chain.balance(bench.operator) - before == request.cost
    account = bench.account()
    assert (account["locked"], account["load"], account["stake"]) == (0, 0, 10 * ETHER // GWEI)


def test_judge_after_the_window_of_the_request_is_final(bench: Bench) -> None:
    request = bench.posted(terms=terms(hours=9))
    until = bench.chain.now() + 9 * HOUR
    bench.chain.next_timestamp(until)
    with reverts("TooEarly", until):
        bench.post(request)
    bench.wait(1)
    bench.post(request)
    assert bench.status(request)[0] == FINAL


def test_judge_settled_request_is_refused(bench: Bench) -> None:
    request = bench.posted()
    bench.wait(WINDOW + 1)
    bench.post(request)
    id = bench.request_id(request)
    with reverts("WrongStatus", id, FINAL):
        bench.post(request)
    with reverts("WrongStatus", id, FINAL):
        bench.dispute(request, LOGITS)
    with reverts("WrongStatus", id, FINAL):
        bench.close(request)


# --- proofs ---------------------------------------------------------------------------------------


def test_judge_proof_of_an_open_request_is_final_without_stake(bench: Bench) -> None:
    request = bench.request()
    bench.ask(request)
    bench.prove(request, payee=bench.prover)
    assert bench.status(request) == (FINAL, bench.digest(bench.prover), False)
    assert bench.account()["locked"] == 0


def test_judge_proof_of_what_stands_is_final_early(bench: Bench) -> None:
    request = bench.posted()
    before = bench.chain.balance(bench.operator)
    bench.prove(request)
    assert bench.status(request)[0] == FINAL
    assert bench.chain.balance(bench.operator) - before == request.cost
    assert bench.account()["locked"] == 0
    assert bench.burned() == 0


def test_judge_bad_proof_changes_nothing(bench: Bench) -> None:
    request = bench.posted(WRONG)
    for claim in ({"output": WRONG}, {"output": LOGITS}):
        with reverts("ProofRefused"):
            named = encode(["address", "bytes32"], [bench.operator, keccak(WRONG)])
            bench.prove(request, proof=named + bytes(32), **claim)
    assert bench.status(request)[0] == PROVISIONAL
    assert bench.account()["locked"] == LOCK


def test_judge_proof_of_another_output_slashes(bench: Bench) -> None:
    """Undisputed, the reward is burned too: a proof that nobody asked for earns only the fee."""
    request = bench.posted(WRONG)
    before = bench.chain.balance(bench.prover)
    bench.chain.send(bench.refuting(request), sender=bench.stranger, gas=5_000_000)
    assert bench.status(request) == (FINAL, bench.digest(bench.prover), False)
    assert bench.chain.balance(bench.prover) - before == request.cost
    assert bench.owed(bench.requester) == COVERAGE
    assert bench.burned() == COVERAGE + REWARD
    account = bench.account()
    assert (account["stake"], account["locked"]) == (10 * ETHER // GWEI - LOCK, 0)
    assert account["suspended"]


def test_judge_proof_of_the_same_output_for_another_payee_is_refused(bench: Bench) -> None:
    request = bench.posted()
    with reverts("SameOutput", keccak(LOGITS)):
        bench.refute(request, LOGITS)
    assert bench.status(request)[0] == PROVISIONAL


@pytest.mark.parametrize("lie", [WRONG[:-2], LOGITS])
def test_judge_proof_against_a_claim_that_does_not_stand_is_refused(
    bench: Bench, lie: bytes
) -> None:
    """Naming another output than stands would make the same output look like another."""
    request = bench.posted(WRONG)
    with reverts("WrongClaim", bench.digest(output=WRONG), bench.digest(output=lie)):
        bench.refute(request, lie)


def test_judge_proof_after_the_window_and_before_finality_wins(bench: Bench) -> None:
    request = bench.posted(WRONG)
    bench.wait(WINDOW + 10)
    bench.refute(request)
    assert bench.status(request) == (FINAL, bench.digest(bench.prover), False)


def test_judge_proof_under_another_verifier_is_refused(bench: Bench) -> None:
    request = bench.posted(WRONG)
    held = bench.chain.call(bench.optimistic.functions.codeHash())
    bench.chain.rpc("anvil_setCode", bench.verifier.address, "0x00")  # accepts everything
    with reverts("VerifierChanged", held, keccak(b"\0")):
        bench.refute(request)
    with reverts("VerifierChanged", held, keccak(b"\0")):
        bench.prove(request, output=WRONG)


# --- unanswerable, declined, refunded -------------------------------------------------------------


def test_judge_unanswerable_gives_the_payment_back_after_the_window(bench: Bench) -> None:
    request = bench.posted(UNANSWERABLE, refund_to=bench.stranger)
    with reverts("TooEarly"):
        bench.post(request, output=UNANSWERABLE)
    bench.wait(WINDOW + 1)
    before = bench.chain.balance(bench.stranger)
    bench.post(request, output=UNANSWERABLE)
    assert bench.status(request)[0] == RETRACTED
    assert bench.chain.balance(bench.stranger) - before == request.cost
    account = bench.account()
    assert (account["stake"], account["locked"]) == (10 * ETHER // GWEI, 0)
    assert not account["suspended"]


def test_judge_unanswerable_refuted_by_a_proof_slashes(bench: Bench) -> None:
    request = bench.posted(UNANSWERABLE)
    bench.refute(request, UNANSWERABLE)
    assert bench.status(request) == (FINAL, bench.digest(bench.prover), False)
    assert bench.account()["suspended"]


def test_dispute_of_unanswerable_is_refused(bench: Bench) -> None:
    """There is nothing to prove: a crafted input must slash no one."""
    request = bench.posted(UNANSWERABLE)
    with reverts("NothingToProve", bench.request_id(request)):
        bench.dispute(request, UNANSWERABLE)


def test_refund_declined_by_everyone_costs_nobody(bench: Bench) -> None:
    request = bench.request()
    bench.ask(request)
    bench.expire(request)
    bench.chain.send(bench.refunding(request))
    assert bench.status(request)[0] == REFUNDED
    with reverts("WrongClaim", bytes(32), bench.digest()):
        bench.close(request)


def test_close_refunded_undisputed_claim_frees_the_stake(bench: Bench) -> None:
    """Nobody finalised for a week: the oracle refunds, and the operator has its stake back."""
    request = bench.posted()
    bench.expire(request, 7 * DAY)
    with reverts("DeadlineNotPassed"):
        bench.chain.send(bench.refunding(request))
    with reverts("WrongStatus", bench.request_id(request), PROVISIONAL):
        bench.close(request)
    bench.wait(1)
    bench.chain.send(bench.refunding(request))
    bench.close(request)
    assert bench.account()["locked"] == 0 and not bench.account()["suspended"]
    with reverts("WrongOutcome", VOID):
        bench.close(request)


def test_close_refunded_disputed_claim_is_slashed(bench: Bench) -> None:
    """A refund is no way out: the clock ended before it was possible."""
    request = bench.posted(WRONG)
    bench.wait(WINDOW - 10)
    bench.dispute(request)
    assert bench.chain.now() + CLOCK < request.deadline + 7 * DAY
    bench.expire(request, 7 * DAY + 1)
    bench.chain.send(bench.refunding(request))
    with reverts("WrongClaim", bench.digest(output=WRONG), bench.digest()):
        bench.close(request)
    bench.close(request, WRONG)
    with reverts("WrongOutcome", LAPSED):
        bench.close(request, WRONG)
    assert bench.owed(bench.requester) == COVERAGE
    assert bench.owed(bench.challenger) == REWARD
    assert bench.account()["suspended"]


def test_close_of_another_tiers_request_is_refused(bench: Bench) -> None:
    """Else such a request would free the stake of an open claim."""
    bench.posted()
    request = bench.request(assurance=bench.scripted.address)
    bench.ask(request)
    bench.answer(request, proof=bytes([PROVISIONAL]))
    bench.expire(request, 7 * DAY + 1)
    bench.chain.send(bench.refunding(request))
    assert bench.status(request)[:2] == (REFUNDED, bench.digest())
    with reverts("WrongTier", bench.optimistic.address, bench.scripted.address):
        bench.close(request)
    assert bench.account()["locked"] == LOCK


def test_judge_answer_of_zero_payee_is_refused(bench: Bench) -> None:
    request = bench.request()
    bench.ask(request)
    with reverts("ZeroAddress"):
        bench.post(request, payee=ZERO)
