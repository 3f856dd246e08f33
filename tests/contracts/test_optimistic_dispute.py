"""OptimisticAssurance.dispute and what follows: prove or lose, and who pays whom."""

import pytest
from eth_hash.auto import keccak

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
    OVERTURNED,
    REWARD,
    UNDECIDED,
    UPHELD,
    VOID,
    WINDOW,
    WRONG,
    Bench,
    terms,
)
from tests.contracts.desk import FINAL, LOGITS, OPEN, PROVISIONAL, RETRACTED
from tests.evm import reverts

OTHER = LOGITS[:-1] + b"\xfe"
SALT = keccak(b"salt")

# --- opening --------------------------------------------------------------------------------------


def test_dispute_starts_the_prove_clock(bench: Bench) -> None:
    request = bench.posted(WRONG)
    receipt = bench.dispute(request)
    (event,) = bench.optimistic.events.Disputed().process_receipt(receipt)
    assert event["args"]["proveBy"] == bench.chain.now() + CLOCK
    assert event["args"]["challenger"] == bench.challenger
    assert bench.chain.balance(bench.optimistic.address) == BOND
    assert bench.disputed(request)
    assert bench.outcome(request) == UNDECIDED


def test_dispute_below_the_bond_is_refused(bench: Bench) -> None:
    request = bench.posted(WRONG)
    assert bench.chain.call(bench.optimistic.functions.bond(request.terms)) == BOND
    with reverts("BondTooLow", BOND, BOND - 1):
        bench.dispute(request, bond=BOND - 1)


def test_dispute_last_second_of_the_window_counts(bench: Bench) -> None:
    request = bench.posted(WRONG)
    until = bench.chain.now() + WINDOW
    bench.chain.next_timestamp(until)
    bench.dispute(request)
    assert bench.disputed(request)


def test_dispute_after_the_window_is_refused(bench: Bench) -> None:
    request = bench.posted(WRONG)
    until = bench.chain.now() + WINDOW
    bench.chain.next_timestamp(until + 1)
    with reverts("TooLate", until, until + 1):
        bench.dispute(request)


def test_dispute_of_another_claim_is_refused(bench: Bench) -> None:
    """A dispute names what it disputes: should a reorg swap the claim, it disputes nothing."""
    request = bench.posted(WRONG)
    with reverts("WrongClaim", bench.digest(output=WRONG), bench.digest(output=OTHER)):
        bench.dispute(request, OTHER)


def test_dispute_unanswered_is_refused(bench: Bench) -> None:
    request = bench.request()
    bench.ask(request)
    with reverts("WrongStatus", bench.request_id(request), OPEN):
        bench.dispute(request)


def test_dispute_of_another_tiers_claim_is_refused(bench: Bench) -> None:
    request = bench.request(assurance=bench.scripted.address)
    bench.ask(request)
    bench.chain.send(bench.answering(request, output=WRONG, proof=bytes([PROVISIONAL])))
    with reverts("WrongTier", bench.optimistic.address, bench.scripted.address):
        bench.dispute(request)


def test_dispute_again_shares_the_clock(bench: Bench) -> None:
    request = bench.posted(WRONG)
    bench.dispute(request)
    prove_by = bench.chain.now() + CLOCK
    bench.wait(HOUR)
    receipt = bench.dispute(request, sender=bench.rival)
    (event,) = bench.optimistic.events.Disputed().process_receipt(receipt)
    assert (event["args"]["index"], event["args"]["proveBy"]) == (1, prove_by)


def test_dispute_after_the_clock_is_refused(bench: Bench) -> None:
    request = bench.posted(WRONG)
    bench.dispute(request)
    prove_by = bench.chain.now() + CLOCK
    bench.chain.next_timestamp(prove_by + 1)
    with reverts("TooLate", prove_by, prove_by + 1):
        bench.dispute(request, sender=bench.rival)


def test_dispute_keeps_silence_from_being_final(bench: Bench) -> None:
    request = bench.posted(terms=terms(proving=HOUR))  # window 4 h, clock 9 h
    bench.dispute(request, LOGITS, bond=ETHER)
    prove_by = bench.chain.now() + 9 * HOUR
    bench.chain.next_timestamp(prove_by)
    with reverts("TooEarly", prove_by, prove_by):
        bench.post(request)


# --- the claim is proved --------------------------------------------------------------------------


def test_prove_in_the_last_second_wins_and_is_paid_from_the_bond(bench: Bench) -> None:
    request = bench.posted()
    bench.dispute(request, LOGITS, bond=BOND + GWEI)
    bench.dispute(request, LOGITS, sender=bench.rival)
    bench.wait(CLOCK - 1)
    before = bench.chain.balance(bench.operator)
    bench.prove(request)
    assert bench.status(request) == (FINAL, bench.digest(), False)
    assert bench.outcome(request) == UPHELD
    assert bench.account()["stake"] == 10 * ETHER // GWEI and bench.account()["locked"] == 0
    id = bench.request_id(request)
    bench.tell("collect", id, 0)
    assert bench.chain.balance(bench.operator) - before == request.cost + BOND
    for index in (0, 1):  # the first bond is spent; the second lost as a whole
        with reverts("NothingLeft", id, index):
            bench.tell("collect", id, index)
    assert bench.chain.balance(bench.optimistic.address) == BOND + GWEI  # burned: nobody's
    with reverts("WrongOutcome", UPHELD):
        bench.tell("award", id)


def test_prove_by_anyone_pays_the_payee_of_the_claim(bench: Bench) -> None:
    request = bench.posted()
    bench.dispute(request, LOGITS)
    before = bench.chain.balance(bench.operator)
    bench.prove(request, sender=bench.stranger)
    bench.tell("collect", bench.request_id(request), 0)
    assert bench.chain.balance(bench.operator) - before == request.cost + BOND


def test_prove_after_the_clock_before_anyone_settled_still_wins(bench: Bench) -> None:
    """A valid proof before finality wins; the operator that relies on it risks its stake."""
    request = bench.posted()
    bench.dispute(request, LOGITS)
    bench.wait(CLOCK + 100)
    bench.prove(request)
    assert (bench.status(request)[0], bench.outcome(request)) == (FINAL, UPHELD)
    assert not bench.account()["suspended"]


# --- no proof comes -------------------------------------------------------------------------------


def test_lapse_slashes_and_gives_the_payment_back(bench: Bench) -> None:
    request = bench.posted(WRONG, refund_to=bench.stranger)
    bench.dispute(request, sender=bench.rival, commitment=b"\1" * 32)
    bench.dispute(request)
    bench.wait(CLOCK + 1)
    before = bench.chain.balance(bench.stranger)
    bench.post(request, output=WRONG, sender=bench.prover)
    assert bench.status(request)[0] == RETRACTED
    assert bench.outcome(request) == LAPSED
    assert bench.chain.balance(bench.stranger) - before == request.cost
    assert bench.owed(bench.requester) == COVERAGE
    assert (bench.owed(bench.rival), bench.owed(bench.challenger)) == (REWARD, 0)
    assert bench.burned() == LOCK - COVERAGE - REWARD
    assert bench.account()["suspended"]


def test_lapse_returns_every_bond_once(bench: Bench) -> None:
    request = bench.posted(WRONG)
    bench.dispute(request)
    bench.dispute(request, sender=bench.rival, bond=BOND + 7)
    bench.wait(CLOCK + 1)
    id = bench.request_id(request)
    with reverts("WrongOutcome", UNDECIDED):
        bench.tell("collect", id, 0)
    bench.post(request, output=WRONG)
    for index, challenger, bond in ((1, bench.rival, BOND + 7), (0, bench.challenger, BOND)):
        before = bench.chain.balance(challenger)
        bench.tell("collect", id, index)
        assert bench.chain.balance(challenger) - before == bond
        with reverts("NothingLeft", id, index):
            bench.tell("collect", id, index)
    assert bench.chain.balance(bench.optimistic.address) == 0


def test_lapse_needs_the_claim_that_stands(bench: Bench) -> None:
    request = bench.posted(WRONG)
    bench.dispute(request)
    bench.wait(CLOCK + 1)
    with reverts("WrongEvidence", 64, 0):
        bench.post(request, output=OTHER)


def test_lapse_under_a_changed_verifier_slashes_nobody(bench: Bench) -> None:
    request = bench.posted()
    bench.dispute(request, LOGITS)
    bench.chain.rpc("anvil_setCode", bench.verifier.address, "0x00")
    bench.wait(CLOCK + 1)
    bench.post(request)
    assert (bench.status(request)[0], bench.outcome(request)) == (RETRACTED, VOID)
    assert bench.account()["stake"] == 10 * ETHER // GWEI and not bench.account()["suspended"]
    before = bench.chain.balance(bench.challenger)
    bench.tell("collect", bench.request_id(request), 0)
    assert bench.chain.balance(bench.challenger) - before == BOND


# --- another output is proved ---------------------------------------------------------------------


def overturned(bench: Bench, *answers: bytes) -> bytes:
    """A wrong claim, disputed by as many accounts as answers, then refuted; the request's id."""
    request = bench.posted(WRONG)
    for account, answer in zip(challengers(bench), answers, strict=False):
        bench.dispute(
            request, sender=account, commitment=bench.commitment(request, account, answer, SALT)
        )
    bench.refute(request)
    assert bench.outcome(request) == OVERTURNED
    return bench.request_id(request)


def challengers(bench: Bench) -> list[str]:
    return [bench.challenger, bench.rival, bench.stranger]


def test_award_sole_challenger_is_paid_at_once(bench: Bench) -> None:
    id = overturned(bench, LOGITS)
    assert bench.owed(bench.requester) == COVERAGE
    assert bench.burned() == LOCK - COVERAGE - REWARD
    bench.tell("reveal", id, 0, SALT)
    bench.tell("award", id)
    assert bench.owed(bench.challenger) == REWARD
    with reverts("NothingLeft", id):
        bench.tell("award", id)
    before = bench.chain.balance(bench.challenger)
    bench.tell("collect", id, 0)
    assert bench.chain.balance(bench.challenger) - before == BOND


def test_award_goes_to_the_earliest_that_matches(bench: Bench) -> None:
    id = overturned(bench, OTHER, LOGITS, LOGITS)
    reveal_by = bench.chain.now() + DAY
    bench.tell("reveal", id, 2, SALT)
    bench.tell("reveal", id, 1, SALT)
    with reverts("NothingLeft", id, 2):  # a later one cannot take its place
        bench.tell("reveal", id, 2, SALT)
    with reverts("WrongCommitment"):
        bench.tell("reveal", id, 0, SALT)
    bench.chain.next_timestamp(reveal_by)
    with reverts("TooEarly", reveal_by, reveal_by):
        bench.tell("award", id)
    bench.wait(1)
    bench.tell("award", id)
    owed = [bench.owed(account) for account in challengers(bench)]
    assert owed == [0, REWARD, 0]


def test_award_without_a_match_is_nobodys(bench: Bench) -> None:
    id = overturned(bench, OTHER)
    bench.wait(DAY + 1)
    with reverts("NothingLeft", id, 0):
        bench.tell("award", id)
    before = bench.chain.balance(bench.challenger)
    bench.tell("collect", id, 0)  # right that the claim was wrong: the bond returns
    assert bench.chain.balance(bench.challenger) - before == BOND


def test_reveal_too_late_is_refused(bench: Bench) -> None:
    id = overturned(bench, LOGITS)
    reveal_by = bench.chain.now() + DAY
    bench.chain.next_timestamp(reveal_by + 1)
    with reverts("TooLate", reveal_by, reveal_by + 1):
        bench.tell("reveal", id, 0, SALT)


def test_reveal_before_the_outcome_is_refused(bench: Bench) -> None:
    request = bench.posted(WRONG)
    bench.dispute(request)
    with reverts("WrongOutcome", UNDECIDED):
        bench.tell("reveal", bench.request_id(request), 0, bytes(32))


def test_reveal_of_no_dispute_is_refused(bench: Bench) -> None:
    id = overturned(bench, LOGITS)
    with reverts("Panic", 0x32):
        bench.tell("reveal", id, 1, SALT)


# --- suspension -----------------------------------------------------------------------------------


def suspended(bench: Bench) -> None:
    """The operator is found wrong in another claim."""
    request = bench.posted(WRONG, nonce=99)
    bench.refute(request)


def test_suspended_operators_silence_is_not_final(bench: Bench) -> None:
    request = bench.posted()
    suspended(bench)
    bench.wait(WINDOW + 1)
    with reverts("OperatorSuspended", bench.operator):
        bench.post(request)
    bench.prove(request)
    assert bench.status(request)[0] == FINAL


def test_suspended_operator_answers_no_more(bench: Bench) -> None:
    suspended(bench)
    request = bench.request()
    bench.ask(request)
    with reverts("Suspended", bench.operator):
        bench.post(request)


def test_suspended_operators_proof_is_demanded_free_and_after_the_window(bench: Bench) -> None:
    request = bench.posted(WRONG)
    suspended(bench)
    bench.wait(WINDOW + DAY)
    bench.dispute(request, bond=0)
    bench.wait(CLOCK + 1)
    bench.post(request, output=WRONG)
    assert bench.outcome(request) == LAPSED
    assert bench.owed(bench.challenger) == REWARD
    with reverts("NothingLeft"):
        bench.tell("collect", bench.request_id(request), 0)


@pytest.mark.parametrize("late", [0, 1])
def test_suspended_operators_proof_is_demanded_in_time_for_its_clock(
    bench: Bench, late: int
) -> None:
    """A demand whose clock would outlast the request (the oracle refunds it) is refused."""
    request = bench.posted()
    suspended(bench)
    last = request.deadline + 7 * DAY - CLOCK
    bench.chain.next_timestamp(last + late)
    if late:
        with reverts("TooLate", last + CLOCK, last + CLOCK + 1):
            bench.dispute(request, LOGITS, bond=0)
    else:
        bench.dispute(request, LOGITS, bond=0)
        bench.wait(CLOCK)
        bench.prove(request)
        assert (bench.status(request)[0], bench.outcome(request)) == (FINAL, UPHELD)
