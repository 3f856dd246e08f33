"""CombinedAssurance: audited and attested answers as one tier. Both parts vouch, each with its own
lock; the last clock counts, and when one part gives a claim back the other still has its say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

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
    LAPSED,
    LOCK,
    OVERTURNED,
    REWARD,
    UNANSWERABLE,
    UNDECIDED,
    UPHELD,
    VOID,
    WINDOW,
    WRONG,
    canary,
    terms,
)
from tests.contracts.desk import (
    FINAL,
    HARNESS,
    IMAGE,
    JUDGING,
    LOGITS,
    NONE,
    OPEN,
    PROVISIONAL,
    REFUNDED,
    RETRACTED,
    Request,
)
from tests.contracts.ensemble import AUDITS, SOURCE, Ensemble, alone, each
from tests.contracts.hall import WINDOW as SHORT
from tests.evm import Chain, Reverted, reverts

AUDITED, ATTESTED = range(2)
STAKE = 10 * ETHER // GWEI
WEEK = 7 * DAY


@pytest.fixture(scope="module")
def made() -> Iterator[Ensemble]:
    with Chain.start() as chain:
        ensemble = Ensemble(chain)
        ensemble.ready()
        yield ensemble


@pytest.fixture
def both(made: Ensemble) -> Iterator[Ensemble]:
    snapshot = made.chain.snapshot()
    yield made
    made.chain.restore(snapshot)


def clean(both: Ensemble) -> None:
    """The operator has lost nothing, and all of it is free."""
    account = both.account()
    assert (account["stake"], account["locked"], account["load"]) == (STAKE, 0, 0)
    assert not account["suspended"]


def solvent(both: Ensemble) -> None:
    """What the vault holds is what it owes, and burned: to the wei."""
    people = [both.operator, both.requester, both.challenger, both.prover, both.rival]
    owed = sum(both.owed(who) for who in [*people, *(part.address for part in both.parts)])
    staked = sum(both.account(who)["stake"] for who in people)
    held = both.chain.balance(both.vault.address)
    assert held == (staked + owed + both.burned()) * GWEI


# --- configuration --------------------------------------------------------------------------------


def test_pin_is_of_all_parts(both: Ensemble) -> None:
    from eth_abi.abi import encode

    parts = [(part.address, fixed) for part, fixed in zip(both.parts, both.fixed, strict=True)]
    types = ["(address,bytes32)[]", "bytes32[4]"]
    assert both.pin == keccak(encode(types, [parts, [*both.pins, bytes(32), bytes(32)]]))
    assert [tuple(both.chain.call(both.combined.functions.partAt(i))) for i in range(2)] == [
        (part.address, fixed) for part, fixed in zip(both.parts, both.fixed, strict=True)
    ]
    assert both.chain.call(both.combined.functions.count()) == 2
    with reverts("NoSuchPart", 2, 2):
        both.chain.call(both.combined.functions.partAt(2))


def build(both: Ensemble, parts: list[tuple[str, bytes]]) -> None:
    both.chain.deploy(SOURCE, both.oracle.address, parts)


def parts_for(both: Ensemble, count: int) -> list[str]:
    """Scripted parts of the combination that is deployed after them."""
    from tests.contracts.bench import created

    deployer = both.chain.accounts[0]
    nonce = both.chain.web3.eth.get_transaction_count(deployer)
    oracle = created(deployer, nonce + count)
    return [both.chain.deploy(f"{HARNESS}/ScriptedPart.sol", oracle).address for _ in range(count)]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_constructor_count_out_of_bounds_is_refused(both: Ensemble, count: int) -> None:
    with reverts("WrongCount", 2, 4, count):
        build(both, [(part, bytes(32)) for part in parts_for(both, count)])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_constructor_two_to_four_parts_are_taken(both: Ensemble, count: int) -> None:
    build(both, [(part, bytes(32)) for part in parts_for(both, count)])


def test_constructor_part_named_twice_is_refused(both: Ensemble) -> None:
    one, two = parts_for(both, 2)
    with reverts("WrongPart"):
        build(both, [(one, bytes(32)), (two, bytes(32)), (one, AUDITS)])


def test_constructor_part_of_another_oracle_is_refused(both: Ensemble) -> None:
    """Neither the parts of another combination, nor a tier of the oracle itself."""
    with reverts("WrongPart"):
        build(both, [(part.address, bytes(32)) for part in both.parts])


def test_constructor_combination_as_a_part_is_refused(both: Ensemble) -> None:
    """A claim that the outer one gave back could end twice in the inner one."""
    from tests.contracts.bench import created

    deployer = both.chain.accounts[0]
    nonce = both.chain.web3.eth.get_transaction_count(deployer)
    inner, outer = created(deployer, nonce + 2), created(deployer, nonce + 4)
    script = f"{HARNESS}/ScriptedPart.sol"
    parts = [both.chain.deploy(script, inner).address for _ in range(2)]
    made = both.chain.deploy(SOURCE, outer, [(part, bytes(32)) for part in parts])
    plain = both.chain.deploy(script, outer)
    assert made.address == inner
    with reverts("WrongPart"):
        build(both, [(plain.address, bytes(32)), (made.address, bytes(32))])


@pytest.mark.parametrize("bit", [0, 39, 54, 77, 255])
def test_constructor_terms_that_requests_state_are_not_fixed(both: Ensemble, bit: int) -> None:
    one, two = parts_for(both, 2)
    with reverts("WrongPart"):
        build(both, [(one, bytes(32)), (two, (1 << bit).to_bytes(32, "big"))])


# --- asking ---------------------------------------------------------------------------------------


def test_request_for_a_part_is_as_if_it_had_been_named(both: Ensemble) -> None:
    request = both.request(callback_gas=7, nonce=3)
    for part in (AUDITED, ATTESTED):
        seen = both.chain.call(both.combined.functions.requestFor(request.fields, part))
        assert tuple(seen) == both.seen(request, part).fields
        id_of = both.combined.functions.idOf(both.seen(request, part).fields)
        assert bytes(both.chain.call(id_of)) == both.request_id(request)
        context = both.combined.functions.contextOf(both.seen(request, part).fields, both.operator)
        assert bytes(both.chain.call(context)) == both.context(request, both.operator)
    with reverts("NoSuchPart", 2, 2):
        both.chain.call(both.combined.functions.requestFor(request.fields, 2))
    with reverts("WrongTier", both.combined.address, both.tier.address):
        other = replace(request, assurance=both.tier.address)
        both.chain.call(both.combined.functions.requestFor(other.fields, 0))


def test_id_of_what_no_part_sees_is_refused(both: Ensemble) -> None:
    """Terms decide what a lock is: only those that were asked for have an id."""
    request = both.request()
    seen = both.seen(request, AUDITED)
    for bent, error in (
        (replace(seen, terms=request.terms), "WrongTerms"),
        (replace(seen, terms=terms(audits=4999)), "WrongTerms"),
        (replace(seen, terms=terms(audits=5000, hours=1)), "WrongTerms"),
        (replace(both.seen(request, ATTESTED), terms=terms(audits=5000)), "WrongTerms"),
        (replace(seen, pin=both.pin), "WrongPin"),
        (request, "NotAPart"),
        (replace(seen, assurance=both.tier.address), "NotAPart"),
    ):
        with reverts(error):
            both.chain.call(both.combined.functions.idOf(bent.fields))
    other = replace(seen, terms=terms(coverage=COVERAGE + 1, audits=5000))
    found = both.chain.call(both.combined.functions.idOf(other.fields))
    assert bytes(found) != both.request_id(request)


def test_admit_terms_that_are_a_parts_own_are_refused(both: Ensemble) -> None:
    for bent in (terms(hours=4), terms(audits=5000), (1 << 77).to_bytes(32, "big")):
        with reverts("WrongTerms"):
            both.ask(both.request(terms=bent))
    with reverts("MalformedTerms"):  # as each part has it
        both.ask(both.request(terms=terms(coverage=0)))
    with reverts("WrongPin", bytes(32), both.pin):
        both.ask(both.request(pin=bytes(32)))
    with reverts("UnknownModel", bytes(32)):
        both.ask(both.request(model_id=bytes(32)))


def test_admit_and_judge_by_another_than_the_oracle_is_refused(both: Ensemble) -> None:
    request = both.request()
    refused = both.combined.functions.admit(bytes(32), request.fields)
    with reverts("OnlyOracle", both.oracle.address, both.stranger):
        both.chain.send(refused, sender=both.stranger)
    claim = (bytes(32), bytes(32), both.operator, both.operator, bytes(32), 0, bytes(32))
    for contract, named in ((both.combined, request), (both.parts[0], both.seen(request, 0))):
        judging = contract.functions.judge(named.fields, claim, IMAGE, LOGITS, b"")
        with reverts("OnlyOracle"):
            both.chain.send(judging, sender=both.stranger)


def test_request_that_names_a_part_at_the_oracle_has_no_answer(both: Ensemble) -> None:
    """A part answers to its combination only, under an id that is not this one's."""
    request = both.seen(both.request(), ATTESTED)
    both.ask(request)
    plain = super(Ensemble, both).request_id(request)
    said = both.attestation(request, request_id=plain)
    with reverts("OnlyOracle", both.combined.address, both.oracle.address):
        both.hand_in(request, said, sender=both.operator)
    both.expire(request)
    before = both.chain.balance(both.requester)
    both.chain.send(both.refunding(request), sender=both.stranger)
    assert both.chain.balance(both.requester) - before == request.cost


# --- honest runs ----------------------------------------------------------------------------------


def test_judge_answer_locks_in_every_part_and_stands(both: Ensemble) -> None:
    request = both.request()
    both.ask(request)
    assert [both.claim_for(request, part) for part in range(2)] == [OPEN, OPEN]
    both.post(request)
    assert both.status(request)[:2] == (PROVISIONAL, both.digest(both.operator))
    assert both.account()["locked"] == 2 * LOCK and both.account()["load"] == 120
    assert [both.claim_for(request, part) for part in range(2)] == [PROVISIONAL, PROVISIONAL]
    plain = both.combined.functions.claimOf(both.request_id(request))
    assert both.chain.call(plain)[0] == PROVISIONAL  # whoever asks that is no part


def test_judge_claim_is_final_when_the_last_clock_is_over(both: Ensemble) -> None:
    request = both.drawing(drawn=False)
    both.wait(SHORT + 1)
    with reverts("TooEarly", both.since(request) + WINDOW):
        both.post(request)
    with reverts("WrongVerdict", both.parts[ATTESTED].address, FINAL):
        both.fail(request, ATTESTED)  # its window is over, and that is not enough
    assert both.account()["locked"] == 2 * LOCK
    both.wait(WINDOW)
    with reverts("SeedUnknown"):
        both.post(request)
    both.outwait(request)
    before = both.chain.balance(both.operator)
    both.post(request)
    assert both.chain.balance(both.operator) - before == request.cost
    assert both.status(request)[0] == FINAL
    assert [both.claim_for(request, part) for part in range(2)] == [FINAL, FINAL]
    clean(both)
    solvent(both)


def test_judge_drawn_claim_is_final_by_its_proof(both: Ensemble) -> None:
    """The part whose clock is over needs none."""
    request = both.drawing(drawn=True)
    both.publish(request)
    with reverts("AuditOpen"):
        both.post(request)
    both.hand_in(request, each(both.proof(request, both.operator), b""))
    assert both.status(request)[0] == FINAL
    clean(both)


def test_judge_proof_for_all_ends_a_claim_before_its_clocks(both: Ensemble) -> None:
    request = both.drawing(drawn=True)
    proof = both.proof(request, both.operator)
    with reverts("TooEarly"):  # one part's proof is not another's
        both.hand_in(request, each(proof, b""))
    both.hand_in(request, each(proof, proof))
    assert both.status(request)[0] == FINAL
    clean(both)


def test_judge_first_answer_by_proof_is_final_at_once(both: Ensemble) -> None:
    """It needs neither stake nor key; every part has to see it."""
    request = both.request()
    both.ask(request)
    proof = both.proof(request, both.prover)
    with reverts("Disagreement"):
        said = both.attestation(request)
        mixed = each(both.proof(request, both.operator), said)
        both.hand_in(request, mixed, sender=both.operator)
    both.hand_in(request, each(proof, proof), payee=both.prover)
    assert both.status(request)[0] == FINAL
    clean(both)


def test_judge_answer_of_an_agent_is_its_owners(both: Ensemble) -> None:
    """Who sends a claim is who sent it, in every part."""
    request = both.request()
    both.ask(request)
    with reverts("NotItsAgent", both.operator, both.rival):
        both.post(request, sender=both.rival)
    both.chain.send(both.vault.functions.appoint(both.rival), sender=both.operator)
    both.post(request, sender=both.rival)
    assert both.status(request)[0] == PROVISIONAL


def test_deliver_provisional_claim_and_its_end(both: Ensemble) -> None:
    puppet = both.puppet()
    want = both.oracle.functions.wantProvisional(True)
    both.chain.set_balance(puppet.address, ETHER)
    both.chain.rpc("anvil_impersonateAccount", puppet.address)
    both.chain.send(want, sender=puppet.address)
    at = both.chain.now()
    request = both.ask_through(
        puppet, assurance=both.combined.address, pin=both.pin, terms=terms(), deadline=at + DAY
    )
    both.post(request)
    told = both.oracle.functions.deliver(request.fields, both.operator, LOGITS)
    both.chain.send(told)
    assert both.chain.call(puppet.functions.lastStatus()) == PROVISIONAL
    both.revoke()
    both.wait(SHORT + 1)
    both.fail(request, ATTESTED)
    both.chain.send(told)
    assert both.chain.call(puppet.functions.lastStatus()) == RETRACTED


# --- first answers that a part refuses ------------------------------------------------------------

REFUSED: dict[str, tuple[str, Callable[[Ensemble, Request], bytes]]] = {
    "no attestation": ("NotAttested", lambda both, r: b""),
    "no attestation among evidence": ("NotAttested", lambda both, r: each(b"", b"")),
    "one of another output": (
        "NotSigned", lambda both, r: each(b"", both.attestation(r, WRONG))
    ),
    "too few parts": ("WrongEvidence", lambda both, r: each(b"")),
    "too many parts": ("WrongEvidence", lambda both, r: each(b"", both.attestation(r), b"")),
    "parts swapped": ("ProofRefused", lambda both, r: each(both.attestation(r), b"")),
    "only the audited part": ("WrongVerdict", lambda both, r: alone(AUDITED)),
    "only the attested part": (
        "WrongVerdict", lambda both, r: alone(ATTESTED, both.attestation(r))
    ),
    "a part that is none": ("NoSuchPart", lambda both, r: alone(2)),
    "the last byte": ("NoSuchPart", lambda both, r: b"\xff"),
    "for the combination itself": (
        "NotSigned", lambda both, r: each(b"", both.attestation(r, tier=both.combined.address))
    ),
    "for the audited part": (
        "NotSigned", lambda both, r: each(b"", both.attestation(r, tier=both.parts[0].address))
    ),
    "for the oracle's id of what the part sees": (
        "NotSigned",
        lambda both, r: each(
            b"",
            both.attestation(
                r, request_id=super(Ensemble, both).request_id(both.seen(r, ATTESTED))
            ),
        ),
    ),
    "a proof for another payee": (
        "ProofRefused", lambda both, r: each(*[both.proof(r, both.rival)] * 2)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_judge_answer_that_one_part_refuses_locks_nothing(both: Ensemble, name: str) -> None:
    error, evidence = REFUSED[name]
    request = both.request()
    both.ask(request)
    with reverts(error):
        both.hand_in(request, evidence(both, request), sender=both.operator)
    assert both.status(request)[0] == OPEN
    clean(both)


def test_judge_stake_too_small_for_one_part_is_refused(both: Ensemble) -> None:
    """At a rate of one half each claim needs 2 C of stake, and 2 locks."""
    request = both.request(terms=terms(coverage=3 * COVERAGE))
    both.ask(request)
    with reverts("CoverageAboveFreeStake"):
        both.post(request)
    clean(both)
    request = both.request(terms=terms(coverage=6 * COVERAGE))
    both.ask(request)
    with reverts("StakeTooSmall"):
        both.post(request)


# --- one part fails -------------------------------------------------------------------------------


def test_judge_disputed_in_one_part_and_unproved_goes_back(both: Ensemble) -> None:
    """That part's lock is slashed, once; the other one's is free when its clocks are over."""
    request = both.drawing(drawn=False, output=WRONG)
    both.wait(SHORT)
    both.dispute(both.seen(request, ATTESTED))
    both.outwait(request)
    with reverts("Disagreement", both.parts[ATTESTED].address, FINAL, RETRACTED):
        both.post(request, output=WRONG)
    before = both.chain.balance(both.requester)
    receipt = both.fail(request, ATTESTED, WRONG)
    assert both.chain.balance(both.requester) - before == request.cost
    assert both.status(request)[0] == RETRACTED
    assert both.outcome(request) == LAPSED
    (failed,) = both.combined.events.Failed().process_receipt(receipt, DISCARD)
    assert failed["args"]["part"] == both.parts[ATTESTED].address
    assert both.account()["stake"] == STAKE - LOCK and both.account()["locked"] == LOCK
    assert both.owed(both.requester) == COVERAGE and both.owed(both.challenger) == REWARD
    assert [both.claim_for(request, part) for part in range(2)] == [PROVISIONAL, RETRACTED]
    # Suspended, so that silence is not enough any more; a week later the lock ends all the same.
    with reverts("OperatorSuspended", both.operator):
        both.conclude(request, AUDITED, WRONG)
    both.chain.next_timestamp(request.deadline + WEEK + 1)
    both.of(AUDITED).close(both.seen(request, AUDITED), WRONG)
    account = both.account()
    assert (account["stake"], account["locked"], account["load"]) == (STAKE - LOCK, 0, 0)
    solvent(both)


def test_judge_part_that_did_not_fail_cannot_be_named(both: Ensemble) -> None:
    request = both.drawing(drawn=False)
    with reverts("TooEarly"):
        both.fail(request, ATTESTED)
    both.outwait(request)
    for part in range(2):
        with reverts("WrongVerdict", both.parts[part].address, FINAL):
            both.fail(request, part)
    proof = both.proof(request, both.operator)
    with reverts("WrongVerdict", both.parts[ATTESTED].address, FINAL):
        both.hand_in(request, alone(ATTESTED, proof))
    assert both.account()["locked"] == 2 * LOCK


def test_judge_disputed_right_answer_is_upheld_by_a_proof(both: Ensemble) -> None:
    request = both.drawing(drawn=False)
    both.dispute(both.seen(request, ATTESTED), LOGITS)
    proof = both.proof(request, both.operator)
    both.outwait(request)
    with reverts("Disagreement"):  # its clock is over by now, and the proof counts still
        both.post(request)
    both.hand_in(request, each(b"", proof))
    assert both.status(request)[0] == FINAL and both.outcome(request) == UPHELD
    assert both.of(AUDITED).outcome(request) == UNDECIDED
    assert both.chain.balance(both.optimistic.address) == BOND
    clean(both)


def test_judge_refuted_claim_is_slashed_in_every_part(both: Ensemble) -> None:
    """Each part's stake is its own: coverage is paid by both."""
    request = both.drawing(drawn=False, output=WRONG)
    both.wait(SHORT + 1)  # past the attested part's window: its lock is there to be slashed
    both.of(AUDITED).dispute(both.seen(request, AUDITED))
    refutation = both.refutation(request, WRONG)
    for evidence in (each(refutation, b""), each(b"", refutation), alone(AUDITED, refutation)):
        with pytest.raises(Reverted):
            both.hand_in(request, evidence, payee=both.prover, output=LOGITS)
    before = both.chain.balance(both.prover)
    receipt = both.hand_in(request, each(refutation, refutation), payee=both.prover)
    assert receipt["status"] == 1
    assert both.chain.balance(both.prover) - before == request.cost
    assert both.status(request)[:2] == (FINAL, both.digest(both.prover))
    assert both.of(AUDITED).outcome(request) == OVERTURNED
    account = both.account()
    assert (account["stake"], account["locked"]) == (STAKE - 2 * LOCK, 0)
    assert account["suspended"]
    assert both.owed(both.requester) == 2 * COVERAGE
    assert both.owed(both.parts[AUDITED].address) == REWARD  # until it is awarded
    assert both.burned() == 2 * LOCK - 2 * COVERAGE - REWARD
    solvent(both)


def test_judge_failed_audit_forfeits_the_stake_and_leaves_the_other_lock(both: Ensemble) -> None:
    request = both.drawing(drawn=True, output=WRONG)
    at = both.publish(request)
    with reverts("AuditOpen", at + CLOCK):
        both.fail(request, AUDITED, WRONG)
    both.chain.next_timestamp(at + CLOCK + 1)
    both.fail(request, AUDITED, WRONG)
    account = both.account()
    assert (account["stake"], account["locked"]) == (LOCK, LOCK) and account["suspended"]
    assert both.owed(both.requester) == COVERAGE
    with reverts("OperatorSuspended"):
        both.conclude(request, ATTESTED, WRONG)
    both.chain.next_timestamp(request.deadline + WEEK + 1)
    both.close(both.seen(request, ATTESTED), WRONG)  # forfeited: what is freed is burned
    assert both.account()["stake"] == both.account()["locked"] == 0
    assert both.burned() == STAKE - COVERAGE
    solvent(both)


def test_judge_revoked_key_gives_back_and_slashes_nobody(both: Ensemble) -> None:
    request = both.drawing(drawn=False)
    both.revoke()
    both.chain.next_timestamp(both.since(request) + SHORT + 1)
    before = both.chain.balance(both.requester)
    both.fail(request, ATTESTED)
    assert both.chain.balance(both.requester) - before == request.cost
    assert both.account()["locked"] == LOCK
    with reverts("TooEarly", both.since(request) + WINDOW):
        both.conclude(request, AUDITED)
    both.outwait(request)
    receipt = both.conclude(request, AUDITED)
    (ended,) = both.combined.events.Concluded().process_receipt(receipt, DISCARD)
    assert ended["args"]["verdict"] == FINAL
    assert [both.claim_for(request, part) for part in range(2)] == [RETRACTED, RETRACTED]
    clean(both)
    solvent(both)


def test_judge_no_answer_goes_back_and_frees_both_locks(both: Ensemble) -> None:
    request = both.drawing(drawn=True, output=UNANSWERABLE)
    both.wait(WINDOW + 1)
    both.post(request, output=UNANSWERABLE)
    assert both.status(request)[0] == RETRACTED
    assert [both.claim_for(request, part) for part in range(2)] == [RETRACTED, RETRACTED]
    for part in range(2):
        with reverts("NothingToConclude"):
            both.conclude(request, part, UNANSWERABLE)
    clean(both)


# --- what still stands in the other part ----------------------------------------------------------


def given_back(both: Ensemble, drawn: bool, output: bytes = LOGITS) -> Request:
    """The attested part gave a claim back within the audited part's window."""
    request = both.drawing(drawn=drawn, output=output)
    both.revoke()
    both.chain.next_timestamp(both.since(request) + SHORT + 1)
    both.fail(request, ATTESTED, output)
    return request


def test_conclude_cheat_does_not_escape_by_letting_a_part_fail(both: Ensemble) -> None:
    """Disputed after the payment went back; its proof does not come."""
    request = given_back(both, drawn=False, output=WRONG)
    audited = both.of(AUDITED)
    audited.dispute(both.seen(request, AUDITED))
    with reverts("TooEarly"):
        both.conclude(request, AUDITED, WRONG)
    both.wait(CLOCK + 1)
    with reverts("SeedUnknown"):
        both.conclude(request, AUDITED, WRONG)
    both.publish(request)
    both.conclude(request, AUDITED, WRONG)
    assert audited.outcome(request) == LAPSED
    account = both.account()
    assert (account["stake"], account["locked"]) == (STAKE - LOCK, 0) and account["suspended"]
    assert both.owed(both.requester) == COVERAGE and both.owed(both.challenger) == REWARD
    solvent(both)


def test_conclude_disputed_right_answer_is_proved_though_it_went_back(both: Ensemble) -> None:
    request = given_back(both, drawn=False)
    audited = both.of(AUDITED)
    audited.dispute(both.seen(request, AUDITED), LOGITS)
    both.conclude(request, AUDITED, evidence=both.proof(request, both.operator))
    assert audited.outcome(request) == UPHELD
    assert both.status(request)[0] == RETRACTED  # what went back stays back
    clean(both)


def test_conclude_refutation_slashes_what_stands_in_that_part(both: Ensemble) -> None:
    request = given_back(both, drawn=False, output=WRONG)
    held = both.chain.balance(both.oracle.address)
    with reverts("ProofRefused"):
        bent = both.refutation(request, WRONG)[:-1] + b"\0"
        both.conclude(request, AUDITED, LOGITS, evidence=bent, payee=both.prover)
    both.conclude(
        request, AUDITED, LOGITS, evidence=both.refutation(request, WRONG), payee=both.prover
    )
    account = both.account()
    assert (account["stake"], account["locked"]) == (STAKE - LOCK, 0) and account["suspended"]
    assert both.chain.balance(both.oracle.address) == held
    solvent(both)


def test_conclude_drawn_claim_is_proved_or_costs_the_stake(both: Ensemble) -> None:
    request = given_back(both, drawn=True)
    at = both.publish(request)
    with reverts("AuditOpen", at + CLOCK):
        both.conclude(request, AUDITED)
    snapshot = both.chain.snapshot()
    both.conclude(request, AUDITED, evidence=both.proof(request, both.operator))
    clean(both)
    both.chain.restore(snapshot)
    both.chain.next_timestamp(at + CLOCK + 1)
    both.conclude(request, AUDITED)
    assert both.account()["stake"] == 0 and both.burned() == STAKE - COVERAGE
    solvent(both)


def test_conclude_drawn_cheat_that_proves_itself_wrong_forfeits(both: Ensemble) -> None:
    """Its own key revoked, so that only the audited part is left: the draw still counts."""
    request = both.drawing(drawn=True, output=WRONG)
    both.publish(request)
    both.revoke()
    both.fail(request, ATTESTED, WRONG)
    evidence = both.refutation(request, WRONG)
    both.conclude(request, AUDITED, LOGITS, evidence=evidence, payee=both.prover)
    assert both.account()["stake"] == 0 and both.burned() == STAKE - COVERAGE
    solvent(both)


def test_conclude_is_once_and_for_what_went_back_only(both: Ensemble) -> None:
    request = both.request()
    for _ in range(2):
        with reverts("NothingToConclude", both.request_id(request)):  # none, then open
            both.conclude(request, AUDITED)
        if both.status(request)[0] == NONE:
            both.ask(request)
    request = both.drawing(drawn=False, first=1)
    with reverts("NothingToConclude"):
        both.conclude(request, AUDITED)
    both.outwait(request)
    with reverts("NothingToConclude"):  # its clock is over: at the oracle
        both.conclude(request, AUDITED)
    both.post(request)
    with reverts("NothingToConclude"):
        both.conclude(request, AUDITED)
    again = given_back(both, drawn=False)
    with reverts("NothingToConclude", both.request_id(again), both.parts[ATTESTED].address):
        both.conclude(again, ATTESTED)
    with reverts("NoSuchPart", 2, 2):
        both.conclude(again, 2)
    both.outwait(again)
    both.conclude(again, AUDITED)
    with reverts("NothingToConclude", both.request_id(again), both.parts[AUDITED].address):
        both.conclude(again, AUDITED)
    with reverts("WrongStatus"):
        both.post(again)
    with reverts("WrongStatus"):
        both.of(AUDITED).close(both.seen(again, AUDITED))
    clean(both)


def test_conclude_other_fields_input_or_claim_is_refused(both: Ensemble) -> None:
    request = given_back(both, drawn=False)
    both.publish(request)
    for bent in (
        replace(request, terms=terms(coverage=1)),
        replace(request, model_id=bytes(32)),
        replace(request, deadline=request.deadline + 1),
        replace(request, requester=both.rival),
    ):
        with reverts("NothingToConclude"):
            both.conclude(bent, AUDITED)
    for foreign in (replace(request, assurance=both.tier.address), both.seen(request, AUDITED)):
        with reverts("WrongTier", both.combined.address):
            both.conclude(foreign, AUDITED)
    other = both.combined.functions.conclude(
        request.fields, AUDITED, IMAGE + b"x", both.operator, LOGITS, b""
    )
    with reverts("WrongInput", request.input_hash):
        both.chain.send(other)
    with pytest.raises(Reverted):  # another payee's claim, or another output, without a proof
        both.conclude(request, AUDITED, payee=both.rival)
    with pytest.raises(Reverted):
        both.conclude(request, AUDITED, WRONG)
    assert both.account()["locked"] == LOCK


# --- seven days after the deadline ----------------------------------------------------------------


def test_refund_after_a_week_frees_the_locks_of_every_part(both: Ensemble) -> None:
    request = both.drawing(drawn=False)
    both.publish(request)
    both.chain.next_timestamp(request.deadline + WEEK + 1)
    before = both.chain.balance(both.requester)
    both.chain.send(both.refunding(request), sender=both.stranger)
    assert both.chain.balance(both.requester) - before == request.cost
    assert [both.claim_for(request, part) for part in range(2)] == [REFUNDED, REFUNDED]
    for part in range(2):
        with reverts("NothingToConclude"):
            both.conclude(request, part)
        both.of(part).close(both.seen(request, part))
        with reverts("WrongOutcome"):
            both.of(part).close(both.seen(request, part))
    clean(both)


def test_refund_after_a_week_slashes_the_part_that_was_disputed(both: Ensemble) -> None:
    request = both.drawing(drawn=False, output=WRONG)
    both.dispute(both.seen(request, ATTESTED))
    both.publish(request)
    both.chain.next_timestamp(request.deadline + WEEK + 1)
    both.chain.send(both.refunding(request), sender=both.stranger)
    for part in (ATTESTED, AUDITED):
        both.of(part).close(both.seen(request, part), WRONG)
    account = both.account()
    assert (account["stake"], account["locked"]) == (STAKE - LOCK, 0)
    solvent(both)


def test_conclude_ends_with_the_week_and_close_begins(both: Ensemble) -> None:
    """To the second, so that each lock ends once."""
    request = given_back(both, drawn=False)
    both.publish(request)
    until = request.deadline + WEEK
    both.chain.next_timestamp(until)
    with reverts("WrongStatus"):
        both.of(AUDITED).close(both.seen(request, AUDITED))
    both.chain.next_timestamp(until + 1)
    with reverts("NothingToConclude"):
        both.conclude(request, AUDITED)
    assert [both.claim_for(request, part) for part in range(2)] == [REFUNDED, RETRACTED]
    both.of(AUDITED).close(both.seen(request, AUDITED))
    with reverts("WrongStatus"):
        both.close(both.seen(request, ATTESTED))
    clean(both)


def test_close_without_a_beacon_ends_the_lock_in_the_end(both: Ensemble) -> None:
    """Given back, and the round never comes: three weeks after the deadline the stake is free."""
    request = given_back(both, drawn=True)
    both.chain.next_timestamp(request.deadline + 3 * WEEK)
    with reverts("SeedUnknown"):
        both.of(AUDITED).close(both.seen(request, AUDITED))
    both.chain.next_timestamp(request.deadline + 3 * WEEK + 1)
    both.of(AUDITED).close(both.seen(request, AUDITED))
    clean(both)


# --- replay ---------------------------------------------------------------------------------------


def test_dispute_is_of_one_part_under_its_own_request(both: Ensemble) -> None:
    request = both.drawing(drawn=False)
    other = both.of(AUDITED)
    with reverts("WrongTier"):
        both.dispute(request, LOGITS)
    with reverts("WrongTier"):
        both.dispute(both.seen(request, AUDITED), LOGITS)
    for bent in (terms(coverage=1), terms(proving=1)):
        seen = replace(both.seen(request, ATTESTED), terms=bent)
        with reverts("WrongStatus"):
            both.dispute(seen, LOGITS)
    commitment = both.commitment(request, both.challenger)
    both.dispute(both.seen(request, ATTESTED), LOGITS, commitment=commitment)
    assert both.disputed(request) and not other.disputed(request)


def test_judge_evidence_of_another_request_is_refused(both: Ensemble) -> None:
    """Neither of one to the oracle's own tiers nor of another nonce, nor of another claim."""
    request = both.drawing(drawn=False, output=WRONG)
    plain = replace(request, assurance=both.tier.address, pin=both.pin, terms=bytes(32))
    for other in (plain, replace(request, nonce=request.nonce + 1000)):
        proof = both.proof(other, both.operator, output=WRONG)
        with reverts("ProofRefused"):
            both.hand_in(request, each(proof, proof), output=WRONG)
        named = both.refutation(request, WRONG)[:64] + both.proof(other, both.prover)
        with reverts("ProofRefused"):
            both.hand_in(request, each(named, named), payee=both.prover)
    with reverts("WrongClaim"):
        stale = both.refutation(request, LOGITS)
        both.hand_in(request, each(stale, stale), payee=both.prover)


def test_judge_words_of_another_combination_are_refused(both: Ensemble) -> None:
    """The same parts' code, made again: an attestation for one names its tier."""
    request = both.request()
    said = both.attestation(request)
    old = (both.parts, both.combined, both.vault)
    both.combine(*both.wanted())
    try:
        both.stake()
        again = both.request()
        both.ask(again)
        with reverts("NotSigned"):
            both.hand_in(again, each(b"", said), sender=both.operator)
        both.post(again)
        assert both.status(again)[0] == PROVISIONAL
    finally:
        both.parts, both.combined, both.vault = old
        both.pin = bytes(both.chain.call(both.combined.functions.pin()))
        both.pins = [bytes(both.chain.call(part.functions.pin())) for part in both.parts]
        both.optimistic = both.parts[-1]


# --- a verifier that was stopped ------------------------------------------------------------------


def stop(both: Ensemble) -> None:
    """The canary is proved."""
    from eth_abi.abi import encode

    context = bytes(32)
    words = [both.model_id, context, IMAGE, WRONG]
    proof = keccak(encode(["bytes32", "bytes32", "bytes", "bytes"], words))
    assert canary(both) == bytes(both.chain.call(both.verifier.functions.canary()))
    both.chain.send(both.verifier.functions.stop(both.model_id, context, IMAGE, WRONG, proof))


def test_judge_after_a_stop_everything_goes_back(both: Ensemble) -> None:
    standing = both.drawing(drawn=True)
    both.of(AUDITED).dispute(both.seen(standing, AUDITED), LOGITS)
    unanswered = both.request(nonce=1000)
    both.ask(unanswered)
    stop(both)
    before = both.chain.balance(both.requester)
    both.post(standing)
    both.hand_in(unanswered, each(b"x", b"x"))
    assert both.chain.balance(both.requester) - before == standing.cost + unanswered.cost
    assert both.status(standing)[0] == both.status(unanswered)[0] == RETRACTED
    assert both.of(AUDITED).outcome(standing) == VOID
    for part in range(2):
        with reverts("NothingToConclude"):
            both.conclude(standing, part)
        with reverts("NothingToConclude"):
            both.conclude(unanswered, part)
    clean(both)


def test_conclude_after_a_stop_frees_the_lock(both: Ensemble) -> None:
    request = given_back(both, drawn=True)
    stop(both)
    both.conclude(request, AUDITED)
    clean(both)


# --- parts that are not what they should be -------------------------------------------------------


@pytest.fixture
def scripted(both: Ensemble) -> Iterator[Ensemble]:
    """Two parts that do as their evidence says; behind a copy, so that `both` stays as it is."""
    from copy import copy

    other = copy(both)
    parts = parts_for(other, 2)
    other.fixed = [bytes(32), bytes(32)]
    other.combined = other.chain.deploy(
        SOURCE, other.oracle.address, [(part, bytes(32)) for part in parts]
    )
    from tests.evm import artifact

    made = artifact(f"{HARNESS}/ScriptedPart.sol")
    other.parts = [other.chain.at(made, part) for part in parts]
    other.pins = [b"scripted part".ljust(32, b"\0")] * 2
    other.pin = bytes(other.chain.call(other.combined.functions.pin()))
    yield other


def say(*verdicts: int) -> bytes:
    return each(*(bytes([verdict]) for verdict in verdicts))


def scripted_claim(scripted: Ensemble, **fields: Any) -> Request:
    """One that stands."""
    request = scripted.request(**fields)
    scripted.ask(request)
    scripted.hand_in(request, say(PROVISIONAL, PROVISIONAL), payee=scripted.operator)
    return request


@pytest.mark.parametrize("second", range(8))
@pytest.mark.parametrize("first", range(8))
def test_judge_first_claim_takes_what_all_parts_say(
    scripted: Ensemble, first: int, second: int
) -> None:
    request = scripted.request()
    scripted.ask(request)
    verdicts = (PROVISIONAL, FINAL, RETRACTED)
    if first == second and first in verdicts:
        scripted.hand_in(request, say(first, second))
        assert scripted.status(request)[0] == first
        return
    with pytest.raises(Reverted) as caught:
        scripted.hand_in(request, say(first, second))
    if first not in verdicts:
        expected = "WrongVerdict" if first < 7 else ""  # 7 is no status at all
    else:
        expected = "Disagreement" if second < 7 else ""
    assert caught.value.name == expected
    assert scripted.status(request)[0] == OPEN


@pytest.mark.parametrize("second", [PROVISIONAL, FINAL, RETRACTED])
@pytest.mark.parametrize("first", [PROVISIONAL, FINAL, RETRACTED])
def test_judge_standing_claim_takes_what_all_parts_say(
    scripted: Ensemble, first: int, second: int
) -> None:
    """A claim that stands already is not made to stand anew."""
    request = scripted_claim(scripted)
    if first == second != PROVISIONAL:
        scripted.hand_in(request, say(first, second))
        assert scripted.status(request)[0] == first
        return
    with reverts("WrongVerdict" if first == PROVISIONAL else "Disagreement"):
        scripted.hand_in(request, say(first, second))
    assert scripted.status(request)[0] == PROVISIONAL


@pytest.mark.parametrize("verdict", range(7))
def test_judge_named_part_can_only_give_back(scripted: Ensemble, verdict: int) -> None:
    request = scripted_claim(scripted)
    evidence = alone(1, bytes([verdict]))
    if verdict != RETRACTED:
        with reverts("WrongVerdict", scripted.parts[1].address, verdict):
            scripted.hand_in(request, evidence)
        assert scripted.status(request)[0] == PROVISIONAL
        return
    scripted.hand_in(request, evidence)
    assert scripted.status(request)[0] == RETRACTED
    assert [scripted.claim_for(request, part) for part in range(2)] == [PROVISIONAL, RETRACTED]


def test_judge_named_part_gives_back_an_open_request(scripted: Ensemble) -> None:
    """Nothing stands then that another part would have to end."""
    request = scripted.request()
    scripted.ask(request)
    scripted.hand_in(request, alone(0, bytes([RETRACTED])))
    assert [scripted.claim_for(request, part) for part in range(2)] == [RETRACTED, RETRACTED]
    for part in range(2):
        with reverts("NothingToConclude"):
            scripted.conclude(request, part, evidence=bytes([RETRACTED]))


def test_judge_parts_get_the_claim_as_it_was_made(scripted: Ensemble) -> None:
    request = scripted_claim(scripted)
    since = scripted.since(request)
    scripted.hand_in(request, say(FINAL, FINAL), sender=scripted.rival)
    digest = scripted.digest(scripted.operator)
    for index, part in enumerate(scripted.parts):
        seen = scripted.chain.call(part.functions.seen())
        assert tuple(seen) == scripted.seen(request, index).fields
        assert tuple(scripted.chain.call(part.functions.judged())) == (
            scripted.request_id(request),
            scripted.context(request, scripted.operator),
            scripted.rival,
            scripted.operator,
            digest,
            since,
            digest,
        )


@pytest.mark.parametrize("verdict", range(7))
def test_conclude_takes_a_verdict_that_ends_it(scripted: Ensemble, verdict: int) -> None:
    request = scripted_claim(scripted)
    scripted.hand_in(request, alone(1, bytes([RETRACTED])))
    if verdict in (FINAL, RETRACTED):
        scripted.conclude(request, 0, evidence=bytes([verdict]))
        assert scripted.claim_for(request, 0) == RETRACTED
        return
    with reverts("WrongVerdict", scripted.parts[0].address, verdict):
        scripted.conclude(request, 0, evidence=bytes([verdict]))
    assert scripted.claim_for(request, 0) == PROVISIONAL


def test_judge_evidence_of_nothing_makes_nothing_final(both: Ensemble) -> None:
    """Who pays for proofs takes evidence that made a claim final for one (Bounty)."""
    request = both.drawing(drawn=False)
    both.outwait(request)
    with reverts("NoEvidence"):
        both.hand_in(request, each(b"", b""))
    both.hand_in(request, b"")
    assert both.status(request)[0] == FINAL


@pytest.mark.parametrize("proved", [False, True])
def test_bounty_is_not_earned_by_silence(both: Ensemble, proved: bool) -> None:
    from tests.contracts.desk import ZERO

    bounty = both.chain.deploy("contracts/assurance/Bounty.sol", both.oracle.address, ZERO)
    request = both.drawing(drawn=False)
    both.chain.send(bounty.functions.offer(request.fields), sender=both.rival, value=ETHER)
    both.outwait(request)

    earning = bounty.functions.earn(request.fields, both.operator, LOGITS)
    with reverts("NoEvidence"):
        both.hand_in(request, each(b"", b""))
    if not proved:
        both.hand_in(request, b"")
        with reverts("NotProved", both.request_id(request)):
            both.chain.send(earning)
        return
    before = both.chain.balance(both.operator)
    both.hand_in(request, each(b"", both.proof(request, both.operator)))
    both.chain.send(earning)
    assert both.chain.balance(both.operator) - before == request.cost + ETHER


@pytest.mark.parametrize("manner", [b"\4\1", b"\5\1", b"\4\2"])
def test_judge_part_that_burns_or_reverts_holds_up_nobody_elses_money(
    scripted: Ensemble, manner: bytes
) -> None:
    """It keeps claims from being final, which every tier can; the payment comes back, and the
    other part ends what it locked."""
    request = scripted_claim(scripted)
    with pytest.raises(Reverted):
        scripted.hand_in(request, each(manner, bytes([FINAL])))
    with pytest.raises(Reverted):
        scripted.hand_in(request, alone(0, manner))
    snapshot = scripted.chain.snapshot()
    scripted.hand_in(request, alone(1, bytes([RETRACTED])))
    with pytest.raises(Reverted):
        scripted.conclude(request, 0, evidence=manner)
    scripted.chain.restore(snapshot)
    scripted.chain.next_timestamp(request.deadline + WEEK + 1)
    before = scripted.chain.balance(scripted.requester)
    scripted.chain.send(scripted.refunding(request), sender=scripted.stranger)
    assert scripted.chain.balance(scripted.requester) - before == request.cost


def test_judge_part_that_reenters_changes_nothing(scripted: Ensemble) -> None:
    """While parts judge, the request is theirs: no answer, refund or conclusion goes through."""
    request = scripted_claim(scripted)
    part, combined = scripted.parts[0], scripted.combined
    for function in (
        scripted.answering(request, proof=say(RETRACTED, RETRACTED)),
        scripted.answering(request, proof=alone(1, bytes([RETRACTED]))),
        scripted.refunding(request),
        scripted.concluding(request, 0, evidence=bytes([FINAL])),
        scripted.concluding(request, 1, evidence=bytes([FINAL])),
    ):
        snapshot = scripted.chain.snapshot()
        data = function._encode_transaction_data()
        scripted.chain.send(part.functions.script(function.address, data))
        scripted.hand_in(request, say(FINAL, FINAL))
        assert scripted.status(request)[0] == FINAL
        assert scripted.chain.call(part.functions.replied()) is False
        scripted.chain.restore(snapshot)
    failing, again = scripted.parts[1], scripted.concluding(request, 0, evidence=bytes([FINAL]))
    data = again._encode_transaction_data()
    scripted.chain.send(failing.functions.script(combined.address, data))
    scripted.hand_in(request, alone(1, bytes([RETRACTED])))  # nor while one part gives it back
    assert scripted.chain.call(failing.functions.replied()) is False
    assert scripted.claim_for(request, 0) == PROVISIONAL
    scripted.chain.send(part.functions.script(combined.address, data))
    scripted.conclude(request, 0, evidence=bytes([FINAL]))
    assert scripted.chain.call(part.functions.replied()) is False
    with reverts("NothingToConclude"):
        scripted.conclude(request, 0, evidence=bytes([FINAL]))


def test_claim_of_is_judging_while_parts_judge(scripted: Ensemble) -> None:
    request = scripted_claim(scripted)
    part = scripted.parts[0]
    asked = scripted.combined.functions.claimOf(scripted.request_id(request))
    data = asked._encode_transaction_data()
    scripted.chain.send(part.functions.script(scripted.combined.address, data))
    scripted.hand_in(request, say(FINAL, FINAL))
    reply = bytes(scripted.chain.call(part.functions.reply()))
    assert int.from_bytes(reply[:32], "big") == JUDGING
