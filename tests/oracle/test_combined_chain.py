"""The service under a combination, audited and attested, on the real contracts."""

import asyncio
from dataclasses import replace

import pytest

from oracle.adapters.abi import call_data
from oracle.adapters.chain import NodeChain
from oracle.adapters.codec import dumps, loads
from oracle.adapters.keys import open_signer
from oracle.adapters.wallet import Wallet
from oracle.domain.chain import Status
from oracle.domain.errors import BeaconUnavailable, InputRefused, SettingsInvalid
from oracle.domain.evidence import proof_of
from oracle.domain.job import JobState
from oracle.domain.request import Tier, TierKind
from oracle.domain.terms import ClaimTerms
from oracle.fakes import FakeRounds
from oracle.operations import Asked, ask, await_answer
from oracle.services.guard import PATIENCE
from tests.contracts import desk
from tests.contracts.bench import BOND, CLOCK, COVERAGE, DAY, HOUR, LOCK, PROVING, WINDOW
from tests.contracts.desk import FINAL, IMAGE, PROVISIONAL, RETRACTED
from tests.contracts.ensemble import RATE, Ensemble, alone, each
from tests.contracts.hall import WINDOW as SHORT
from tests.contracts.hall import new_key
from tests.evm import GAS_PRICE
from tests.oracle.desk import LOGITS, EchoEngine, LyingEngine
from tests.oracle.pact import DECIDED, KINDS, STAKE, both, town

__all__ = ["both", "town"]  # fixtures

pytestmark = pytest.mark.chain

AUDITED, ATTESTED = range(2)
WEEK = 7 * DAY
WRONG = LOGITS[:-1] + bytes([LOGITS[-1] ^ 1])


def run(story):
    return asyncio.run(story())


# --- what the chain says --------------------------------------------------------------------------


def test_a_combination_is_a_tier_of_its_parts(town):
    both = town.both

    async def story():
        tier = await town.chain.tier(both.combined.address)
        assert (tier.kind, tier.name, tier.pin) == (TierKind.COMBINED, "Audited+Attested", both.pin)
        assert tier.vault == both.vault.address
        plain, request = town.ask()
        for place, (part, seen) in enumerate(tier.vouching(request)):
            assert (part.kind, part.assurance) == (KINDS[place], both.parts[place].address)
            assert seen.fields == both.seen(plain, place).fields
            assert seen.id == request.id
        quote = await town.chain.quote(tier, request.terms)
        assert (quote.lock, quote.window, quote.prove) == (2 * LOCK, WINDOW, CLOCK)
        assert [part.lock for part in quote.parts] == [LOCK, LOCK]
        assert loads(Tier, dumps(tier)) == tier
        # Its parts are nobody else's tiers; and with other parts it is none that is known here.
        assert await town.chain.tier(both.parts[AUDITED].address) is None
        other = NodeChain(
            town.chain.node,
            both.oracle.address,
            town.chain.tiers,
            {both.parts[0].address: KINDS[0]},
        )
        assert await other.tier(both.combined.address) is None

    run(story)


# --- the operator ---------------------------------------------------------------------------------


def test_answers_with_evidence_for_each_part_and_is_final_when_the_last_clock_is_over(town):
    async def story():
        side = town.operator()
        plain, request = await town.claimed(side, drawn=False)
        assert town.status(plain) == PROVISIONAL
        assert town.both.account()["locked"] == 2 * LOCK
        town.pass_time(SHORT + 1)  # the attested part's window, in vain
        await side.settle()
        assert town.status(plain) == PROVISIONAL
        town.pass_time(DECIDED)
        await side.settle()
        assert town.status(plain) == PROVISIONAL  # of its operator others may have been drawn
        town.pass_time(HOUR + 60)
        await side.settle()
        assert town.status(plain) == FINAL
        assert (await side.job(request)).state is JobState.SETTLED
        assert town.free()

    run(story)


def test_a_drawn_claim_is_proved_to_every_part(town):
    async def story():
        side = town.operator()
        plain, request = await town.claimed(side, drawn=True)
        town.pass_time(DECIDED)
        await side.settle()
        assert town.status(plain) == FINAL
        assert (await side.job(request)).answer.proof
        assert town.free()

    run(story)


def test_a_drawn_claim_is_proved_though_its_database_and_key_are_lost(town):
    async def story():
        plain, request = await town.claimed(town.operator(), drawn=True)
        again = town.operator(key=False)
        await again.settle()
        assert (await again.job(request)).mine
        town.pass_time(DECIDED)
        await again.settle()
        assert town.status(plain) == FINAL
        assert town.free()

    run(story)


@pytest.mark.parametrize("part", [AUDITED, ATTESTED])
def test_a_claim_that_is_disputed_in_one_part_is_proved_to_every_part(town, part):
    async def story():
        side = town.operator()
        plain, _ = await town.claimed(side, drawn=False)
        other = town.both.of(part)
        other.dispute(town.both.seen(plain, part), LOGITS)
        assert town.evm.balance(other.optimistic.address) == BOND
        await side.settle()
        assert town.status(plain) == FINAL
        assert town.free()

    run(story)


def test_a_claim_whose_key_was_revoked_is_proved_and_paid(town):
    """Silence would have the parts disagree."""

    async def story():
        side = town.operator()
        plain, _ = await town.claimed(side, drawn=False)
        town.both.revoke()
        town.pass_time(DECIDED)
        await side.settle()
        town.pass_time(HOUR + 60)
        await side.settle()
        assert town.status(plain) == FINAL
        assert town.free()

    run(story)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"key": False}, "the attested tier asks for an answer key"),
        ({"kinds": frozenset({TierKind.AUDITED})}, "does not answer under Attested"),
        ({"kinds": frozenset({TierKind.ATTESTED})}, "does not answer under Audited"),
        ({"max_coverage": 2 * COVERAGE - 1}, f"asks {2 * COVERAGE} gwei of coverage"),
        ({"proving": PROVING + 1}, "of proving, this service needs"),
        ({"audit_price": 10**18}, f"this coverage costs {10**18 * RATE // 10_000} here"),
    ],
)
def test_without_the_role_of_every_part_it_is_declined(town, how, reason):
    async def story():
        side = town.operator(**how)
        _, request = town.ask()
        await side.settle()
        job = await side.job(request)
        assert job.state is JobState.DECLINED
        assert reason in job.verdict.reason
        assert town.both.account()["locked"] == 0

    run(story)


@pytest.mark.parametrize(
    ("staked", "reason"),
    [
        (2 * LOCK - 1, f"locks {2 * LOCK} gwei, {2 * LOCK - 1} of this service's stake are free"),
        (0, "needs a stake of"),
    ],
)
def test_without_a_lock_for_every_part_it_is_declined(town, staked, reason):
    both = town.both
    both.chain.send(both.vault.functions.queueWithdrawal(STAKE - staked), sender=both.operator)
    if not staked:
        both.wait(15 * DAY)
        both.chain.send(both.vault.functions.leave(both.operator), sender=both.operator)

    async def story():
        side = town.operator()
        _, request = town.ask()
        await side.settle()
        job = await side.job(request)
        assert job.state is JobState.DECLINED
        assert reason in job.verdict.reason

    run(story)


def test_a_request_that_names_a_part_is_declined(town):
    """It would be refused: the part answers to the combination only."""

    async def story():
        side = town.operator()
        part = town.both.parts[AUDITED].address
        fixed = town.both.seen(town.both.request(), AUDITED)
        _, request = town.ask(assurance=part, pin=fixed.pin, terms=fixed.terms)
        request = replace(request, id=super(Ensemble, town.both).request_id(fixed))
        await side.settle()
        (job,) = await side.store.run(lambda ledger: ledger.jobs(set(JobState), 9))
        assert job.state is JobState.DECLINED
        assert "is no tier that this service answers under" in job.verdict.reason

    run(story)


class Refusing(EchoEngine):
    async def run(self, folder, input):
        raise InputRefused("out of range")


def test_that_there_is_no_answer_frees_every_lock_in_the_end(town):
    async def story():
        side = town.operator(engine=Refusing(), unanswerable=True)
        plain, request = await town.claimed(side, drawn=True)
        assert town.both.account()["locked"] == 2 * LOCK
        town.pass_time(DECIDED)
        await side.settle()
        town.pass_time(HOUR + 60)
        await side.settle()
        assert town.status(plain) == RETRACTED
        assert (await side.job(request)).state is JobState.REFUNDED
        assert town.free()

    run(story)


# --- after one part gave the claim back -----------------------------------------------------------


@pytest.mark.parametrize("drawn", [False, True])
def test_what_one_part_gave_back_is_concluded_in_the_other(town, drawn):
    """By silence, or by a proof if it is drawn: the stake is free again."""

    async def story():
        side = town.operator()
        plain, request = await town.claimed(side, drawn=drawn)
        town.both.revoke()
        town.pass_time(SHORT + 1)
        town.both.fail(plain, ATTESTED, LOGITS)
        await side.settle()
        assert town.both.account()["locked"] == LOCK
        town.pass_time(DECIDED)
        await side.settle()
        town.pass_time(HOUR + 60)
        await side.settle()
        assert town.status(plain) == RETRACTED
        assert (await side.job(request)).state is JobState.REFUNDED
        assert town.both.claim_for(plain, AUDITED) == RETRACTED
        assert bool((await side.job(request)).answer.proof) is False
        assert town.free()

    run(story)


def test_what_went_back_is_proved_before_its_week_ends_while_the_beacon_is_down(town):
    """Published later, the round might draw what nobody can prove any more."""

    async def story():
        side = town.operator(rounds=FakeRounds(*[BeaconUnavailable("halted")] * 10_000))
        plain, _ = await town.claimed(side, drawn=True)
        town.both.revoke()
        town.pass_time(SHORT + 1)
        town.both.fail(plain, ATTESTED, LOGITS)
        town.pass_time(plain.deadline + WEEK - CLOCK + 60 - town.evm.now())
        await side.settle()
        assert town.both.claim_for(plain, AUDITED) == RETRACTED
        assert town.free()

    run(story)


def test_what_went_back_and_is_disputed_is_proved(town):
    async def story():
        side = town.operator()
        plain, _ = await town.claimed(side, drawn=False)
        town.both.revoke()
        town.pass_time(SHORT + 1)
        town.both.fail(plain, ATTESTED, LOGITS)
        await side.settle()
        town.both.of(AUDITED).dispute(town.both.seen(plain, AUDITED), LOGITS)
        await side.settle()
        assert town.both.claim_for(plain, AUDITED) == RETRACTED
        assert town.free()

    run(story)


def test_after_the_week_what_is_left_is_closed(town):
    """In the other part, after one gave it back; and in both, after nobody did."""

    async def story():
        side = town.operator()
        first, _ = await town.claimed(side, drawn=False)
        town.both.revoke()
        town.pass_time(SHORT + 1)
        town.both.fail(first, ATTESTED, LOGITS)
        town.both.publish(first)
        town.pass_time(WEEK + DAY)
        await side.settle()
        assert town.free()

    run(story)


def test_after_a_week_of_silence_both_locks_are_closed(town):
    async def story():
        side = town.operator()
        plain, request = await town.claimed(side, drawn=False)
        town.evm.next_timestamp(plain.deadline + WEEK + 1)
        town.evm.send(town.both.refunding(plain), sender=town.both.stranger)
        await side.settle()
        assert (await side.job(request)).state is JobState.REFUNDED
        assert town.free()

    run(story)


# --- the watcher ----------------------------------------------------------------------------------


def test_a_drawn_cheat_is_handed_in_for_the_part_that_drew_it(town):
    async def story():
        cheat, watcher = town.operator(engine=LyingEngine()), town.watcher()
        plain, request = await town.claimed(cheat, drawn=True)
        town.pass_time(WINDOW + PATIENCE + 120)
        await watcher.settle()
        assert town.status(plain) == PROVISIONAL
        town.pass_time(CLOCK + 60)
        await watcher.settle()
        assert town.status(plain) == RETRACTED
        assert (await watcher.job(request)).state is JobState.REFUNDED
        account = town.both.account()
        assert (account["stake"], account["suspended"]) == (LOCK, True)  # of the attested part

    run(story)


def test_a_drawn_cheat_that_lets_the_other_part_fail_is_handed_in_all_the_same(town):
    async def story():
        cheat, watcher = town.operator(engine=LyingEngine()), town.watcher()
        plain, _ = await town.claimed(cheat, drawn=True)
        town.both.revoke()
        town.pass_time(SHORT + 1)
        town.both.hand_in(plain, alone(ATTESTED), output=WRONG)
        await watcher.settle()
        for seconds in (DECIDED, CLOCK + 60):
            town.pass_time(seconds)
            await watcher.settle()
        assert town.both.claim_for(plain, AUDITED) == RETRACTED
        assert town.both.account()["stake"] == 0

    run(story)


# --- who asks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("drawn", [False, True])
def test_the_trust_report_says_who_vouches_and_what_has_to_fail(town, drawn):
    async def story():
        side = town.operator()
        purse = Wallet(town.chain, open_signer("dev:1", "", 31337), 31337)
        both = town.both
        contracts = (both.combined.address, both.registry.address, both.model_id, IMAGE)
        plain = {"fee": 10**15, "seconds": 10**5}
        with pytest.raises(SettingsInvalid, match="hours and audits are fixed"):
            await ask(
                purse, town.identity, *contracts, **plain, terms=ClaimTerms(COVERAGE, PROVING, 5)
            )
        asked: Asked = await ask(
            purse, town.identity, *contracts, **plain, terms=ClaimTerms(COVERAGE, PROVING)
        )
        town.claim_at(desk.Request(*asked.request.fields), drawn)
        await side.settle()
        first = await await_answer(purse, town.identity, asked, 0.05, final=False)
        assert first.output == LOGITS
        report = first.report
        assert report["tier"] == "Audited+Attested"
        assert [part["tier"] for part in report["parts"]] == ["Audited", "Attested"]
        for place, part in enumerate(report["parts"]):
            assert part["staked"]["coverage_gwei"] == COVERAGE
            assert part["staked"]["locked_gwei"] == LOCK
            assert part["assurance"] == both.parts[place].address
        assert report["staked"]["window_seconds"] == WINDOW
        assert report["staked"]["locked_gwei"] == 2 * LOCK
        assert report["audited"]["rate_of_10000"] == RATE
        assert report["audited"]["drawn"] == "not known yet"
        assert report["attested"]["hardware"] == "TPM"
        assert not report["attested"]["revoked"]
        cheats = report["could_have_cheated"]
        assert "every one of these at once" in cheats[0]
        assert cheats[1].startswith("Audited: the operator (DEVELOPMENT BEACON")
        assert cheats[2].startswith("Attested: the maker of the hardware")
        assert report["proved"] == []
        for seconds in (DECIDED, HOUR + 60):
            town.pass_time(seconds)
            await side.settle()
        last = await asyncio.wait_for(await_answer(purse, town.identity, asked, 0.05), 30)
        job = await side.job(asked.request)
        assert ("by a proof" in last.report["final"]) is bool(job.answer.proof) is drawn

    run(story)


def test_the_report_names_the_key_of_the_answer_whatever_else_its_block_says(town):
    """First in the block comes the same answer by another key, sent to nobody; and noise."""

    async def story():
        both, purse = town.both, Wallet(town.chain, open_signer("dev:1", "", 31337), 31337)
        contracts = (both.combined.address, both.registry.address, both.model_id, IMAGE)
        terms = ClaimTerms(COVERAGE, PROVING)
        asked = await ask(purse, town.identity, *contracts, fee=10**15, seconds=10**5, terms=terms)
        plain = desk.Request(*asked.request.fields)
        true = both.answering(plain, proof=both.first(plain))
        false = each(b"", both.attestation(plain, key=new_key()))
        said = call_data("answer", plain.fields, IMAGE, both.operator, LOGITS, false)
        fields = {"gas": 8_000_000, "from": both.stranger, "to": both.stranger}
        eth = town.evm.web3.eth
        town.evm.rpc("evm_setAutomine", False)
        try:
            for data in (said, said[:100]):
                eth.send_transaction({**fields, "data": data, "gasPrice": 9 * GAS_PRICE})
            sent = true.transact({"from": both.operator, "gas": 8_000_000, "gasPrice": GAS_PRICE})
        finally:
            town.evm.rpc("evm_setAutomine", True)
        town.evm.rpc("evm_mine")
        assert eth.get_transaction_receipt(sent)["transactionIndex"] == 2
        first = await await_answer(purse, town.identity, asked, 0.05, final=False)
        assert first.report["attested"]["hardware"] == "TPM"
        assert not first.report["attested"]["revoked"]

    run(story)


def test_a_proof_for_all_parts_is_told_from_silence(town):
    """Disputed in one part only, the answer is a proved one."""

    async def story():
        side = town.operator()
        plain, request = await town.claimed(side, drawn=False)
        town.both.of(AUDITED).dispute(town.both.seen(plain, AUDITED), LOGITS)
        await side.settle()
        tier, job = await town.chain.tier(request.assurance), await side.job(request)
        shown = await town.chain.shown(request, job.closing.transaction)
        assert proof_of(tier, job.standing, shown) == job.answer.proof
        assert proof_of(tier, job.standing, replace(shown, evidence=b"")) == b""
        assert proof_of(tier, job.standing, replace(shown, evidence=b"\0no list")) == b""
        assert await town.chain.claim_for(request, AUDITED) is Status.FINAL

    run(story)
