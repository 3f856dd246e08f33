"""The service under a combination, audited and attested, on the real contracts: an operator with
stake and an enrolled key, and a watcher, each with its loops in this process."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from oracle.adapters.answer_key import open_answer_keys
from oracle.adapters.chain import NodeChain
from oracle.adapters.codec import dumps, loads
from oracle.adapters.keys import open_signer
from oracle.adapters.memory import MemoryStore
from oracle.adapters.rpc import Node
from oracle.adapters.wallet import Wallet
from oracle.domain.chain import Identity, Status
from oracle.domain.errors import SettingsInvalid
from oracle.domain.evidence import proof_of
from oracle.domain.job import Job, JobState
from oracle.domain.move import Role
from oracle.domain.request import Request, Tier, TierKind
from oracle.domain.terms import ClaimTerms
from oracle.fakes import FakeClock, FakeRounds
from oracle.operations import Asked, ask, await_answer
from oracle.services.flight import Posting, Runway
from oracle.services.guard import PATIENCE, Guard, Watchfulness
from oracle.services.serve import Write
from oracle.services.watch import Seat, Watch
from oracle.services.work import Terms, Work
from tests.contracts.bench import BOND, CLOCK, COVERAGE, DAY, ETHER, GWEI, LOCK, PROVING, WINDOW
from tests.contracts.desk import FINAL, IMAGE, PROVISIONAL, RETRACTED
from tests.contracts.ensemble import RATE, Ensemble, alone
from tests.contracts.hall import WINDOW as SHORT
from tests.contracts.test_audits import deciding, lot
from tests.evm import Chain
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver, LyingEngine

pytestmark = pytest.mark.chain

AUDITED, ATTESTED = range(2)
STAKE = 10 * ETHER // GWEI
WEEK = 7 * DAY
KINDS = (TierKind.AUDITED, TierKind.ATTESTED)
WRONG = LOGITS[:-1] + bytes([LOGITS[-1] ^ 1])
PAUSE = 1000


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


class Side:
    """One role's loops over a database of its own."""

    def __init__(self, chain, identity, role, key, worker):
        self.store, self.clock = MemoryStore(), FakeClock()
        signer = open_signer(key, "", 31337)
        self.watch = Watch(chain, self.store, identity, 1, 0, Seat(role, signer.address))
        self.work = worker(self.store, self.clock, signer)
        rounds = FakeRounds()
        self.write = Write(
            Runway(chain, self.store, signer, self.clock, 31337, Posting(), "me", rounds)
        )

    async def settle(self):
        quiet, self.clock.time = 0, self.clock.time + PAUSE
        while quiet < 3:
            busy = [await self.watch.step(), await self.work.step(), await self.write.step()]
            quiet = 0 if any(busy) else quiet + 1
            self.clock.time += 0 if any(busy) else 10

    async def job(self, request) -> Job:
        return await self.store.run(lambda ledger: ledger.job(request.id))


class Town:
    """Services around an ensemble. `key_file` has the operator's answer key."""

    def __init__(self, both: Ensemble, folder):
        self.both, self.evm = both, both.chain
        tiers = {both.tier.address: TierKind.PROOF, both.combined.address: TierKind.COMBINED}
        parts = {part.address: kind for part, kind in zip(both.parts, KINDS, strict=True)}
        self.chain = NodeChain(Node(self.evm.url), both.oracle.address, tiers, parts)
        self.identity = Identity(31337, both.oracle.address)
        self.key_file = folder / "answers.pem"
        pem = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.key_file.write_bytes(both.key.private_bytes(*pem))

    def operator(self, *, key=True, engine=None, prover=None, kinds=frozenset(KINDS), **terms):
        named = Terms(self.both.operator, tiers=kinds, **{"max_coverage": 10**12, **terms})

        def worker(store, clock, signer):
            assert signer.address == self.both.operator
            keys = open_answer_keys(str(self.key_file) if key else "", self.chain)
            parts = (EchoModels(), engine or EchoEngine(), prover or EchoProver())
            return Work(self.chain, store, *parts, clock, self.identity, named, "me", keys)

        return Side(self.chain, self.identity, Role.OPERATOR, "dev:2", worker)

    def watcher(self):
        def worker(store, clock, signer):
            parts = (EchoModels(), EchoEngine(), EchoProver(), clock, self.identity, signer)
            watchfulness = Watchfulness(pause=PAUSE)
            return Guard(self.chain, store, *parts, FakeRounds(), watchfulness, "watcher")

        return Side(self.chain, self.identity, Role.WATCHER, "dev:6", worker)

    def ask(self, **fields):
        plain = self.both.request(**fields)
        self.both.ask(plain)
        return plain, self.seen(plain)

    def seen(self, plain) -> Request:
        return Request(*plain.fields, input=IMAGE, id=self.both.request_id(plain))

    async def claimed(self, side: Side, *, drawn: bool):
        """The service's claim, which the beacon will draw, or will not."""
        at = self.evm.now() + 10
        for nonce in range(100, 200):
            plain = self.both.request(nonce=nonce, deadline=at + DAY)
            if (lot(self.both, plain, deciding(at)) < RATE) is drawn:
                break
        self.both.ask(plain)
        self.evm.next_timestamp(at)
        await side.settle()
        assert self.both.since(plain) == at
        return plain, self.seen(plain)

    def pass_time(self, seconds: int) -> None:
        self.evm.rpc("evm_increaseTime", seconds)
        self.evm.rpc("evm_mine")

    def status(self, plain) -> int:
        return self.both.status(plain)[0]

    def free(self) -> bool:
        """The operator has lost nothing, and all of it is free."""
        account = self.both.account()
        return (account["stake"], account["locked"]) == (STAKE, 0)


@pytest.fixture
def town(both, tmp_path):
    made = Town(both, tmp_path)
    yield made
    made.chain.node.close()


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
        town.pass_time(WINDOW)
        await side.settle()
        assert town.status(plain) == FINAL
        assert (await side.job(request)).state is JobState.SETTLED
        assert town.free()

    run(story)


def test_a_drawn_claim_is_proved_to_every_part(town):
    async def story():
        side = town.operator()
        plain, request = await town.claimed(side, drawn=True)
        town.pass_time(WINDOW + PATIENCE)
        await side.settle()
        assert town.status(plain) == FINAL
        assert (await side.job(request)).answer.proof
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
        town.pass_time(WINDOW + PATIENCE)
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
        town.pass_time(WINDOW + PATIENCE)
        await side.settle()
        assert town.status(plain) == RETRACTED
        assert (await side.job(request)).state is JobState.REFUNDED
        assert town.both.claim_for(plain, AUDITED) == RETRACTED
        assert bool((await side.job(request)).answer.proof) is False
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
        town.evm.next_timestamp(first.deadline + WEEK + 1)
        town.both.publish(first)
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
        town.pass_time(CLOCK)
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
        town.pass_time(WINDOW + PATIENCE + CLOCK + 120)
        await watcher.settle()
        assert town.both.claim_for(plain, AUDITED) == RETRACTED
        assert town.both.account()["stake"] == 0

    run(story)


# --- who asks -------------------------------------------------------------------------------------


def test_the_trust_report_says_who_vouches_and_what_has_to_fail(town):
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
        town.pass_time(WINDOW + PATIENCE)
        await side.settle()
        last = await await_answer(purse, town.identity, asked, 0.05)
        job = await side.job(asked.request)
        assert ("by a proof" in last.report["final"]) is bool(job.answer.proof)

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
