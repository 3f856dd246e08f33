"""One suite over every ledger: in memory, SQLite, PostgreSQL; and what becomes of bad databases."""

import asyncio
from dataclasses import replace

import pytest

from oracle.adapters.codec import dumps, loads
from oracle.adapters.database import SqlStore
from oracle.adapters.memory import MemoryStore
from oracle.domain.block import BlockRef
from oracle.domain.chain import Fees, Flown, Identity, Receipt
from oracle.domain.errors import StoreBusy, StoreDamaged, StoreForeign
from oracle.domain.job import (
    Closing,
    Contest,
    Demand,
    Flight,
    Job,
    JobState,
    Lease,
    Standing,
    Verdict,
)
from oracle.domain.move import Move, Role
from oracle.domain.request import Answer
from oracle.domain.terms import ClaimTerms
from oracle.fakes import IDENTITY, OPERATOR, TIER, FakeChain
from tests.oracle.world import run

ANSWER = Answer(OPERATOR, b"out", b"proof", TIER, "fake", 0.25)
RIVAL = "0x" + "dd" * 20
KINDS = ("memory", "sqlite", "postgresql")


def block(number):
    return BlockRef(number, number.to_bytes(32, "big"))


@pytest.fixture(params=KINDS)
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
        return
    url = f"sqlite:///{tmp_path}/jobs.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres")
    opened = SqlStore.open(url, IDENTITY)
    yield opened
    if request.param == "postgresql":
        with opened._engine.begin() as connection:
            connection.exec_driver_sql(
                "DROP TABLE jobs, transactions, checkpoints, writers, meta CASCADE"
            )
    opened.close()


def fleet(count=6):
    """Jobs in different states, oldest first."""
    chain = FakeChain()
    jobs = [Job(chain.ask()).found(block(i + 1)) for i in range(count)]
    jobs[1] = jobs[1].answered(ANSWER)
    jobs[2] = jobs[2].answered(ANSWER).sent(Flight(OPERATOR, 7))
    jobs[3] = jobs[3].closed(Closing(JobState.SETTLED, block(9), b"\x01" * 32, OPERATOR, b"out"))
    jobs[4] = jobs[4].judged(Verdict(JobState.DECLINED, "no such model", True))
    return jobs


def test_challengers_look_at_large_claims_first_and_dispute_them_first(store):
    async def story():
        chain = FakeChain()
        asked = [chain.ask_staked(terms=ClaimTerms(gwei, 60).word) for gwei in (5, 2**40 - 1, 7)]
        jobs = [
            Job(request, Role.CHALLENGER)
            .found(block(1))
            .stood(Standing(RIVAL, b"lie", 0, block(2)))
            for request in asked
        ]

        def work(ledger):
            for job in jobs:
                ledger.put_job(job)
            assert ledger.claimable(100) == jobs[1]
            wrong = [job.answered(ANSWER) for job in jobs]
            assert {job.move for job in wrong} == {Move.DISPUTE}
            for job in wrong:
                ledger.put_job(job)
            assert ledger.movable(100, 100, 2) == [wrong[1], wrong[2]]
            ours = wrong[0].contested(Contest(0, block(3))).demanded(Demand(50, block(3)))
            ledger.put_job(ours)
            assert ledger.movable(100, 100, 2) == [ours, wrong[1]]  # it is settled now

        await store.run(work)

    run(story())


def test_what_has_to_wait_again_and_again_keeps_nothing_else_from_its_turn(store):
    """Old claims that are frozen, tried every few seconds, and the proof that would thaw them."""

    async def story():
        chain = FakeChain()
        jobs = [Job(chain.ask()).found(block(1)).answered(ANSWER) for _ in range(5)]

        def work(ledger):
            for number, job in enumerate(jobs[:4]):
                ledger.put_job(job.postponed(90 + number, "frozen"))
            ledger.put_job(jobs[4])
            first, second = ledger.movable(100, 100, 2)
            assert first == jobs[4]
            assert second.request == jobs[0].request
            ledger.put_job(jobs[0].postponed(99, "frozen"))
            assert [job.request for job in ledger.movable(100, 100, 4)[1:]] == [
                job.request for job in jobs[1:4]
            ]

        await store.run(work)

    run(story())


def test_what_is_looked_at_again_and_again_keeps_nothing_else_from_its_turn(store):
    """A watcher's old claims, looked at every few seconds, and a new one."""

    async def story():
        chain = FakeChain()
        jobs = [
            Job(chain.ask_audited(), Role.WATCHER)
            .found(block(1))
            .stood(Standing(RIVAL, b"out", 0, block(2)))
            for _ in range(4)
        ]
        asked = [job.request for job in jobs]

        def work(ledger):
            for number, job in enumerate(jobs[:3]):
                ledger.put_job(replace(job, not_before=90 - number))
            ledger.put_job(jobs[3])
            turns = []
            for now in range(100, 105):
                found = ledger.claimable(now)
                turns.append(asked.index(found.request))
                ledger.put_job(replace(found, not_before=now))
            assert turns == [3, 2, 1, 0, 3]

        await store.run(work)

    run(story())


def test_every_job_comes_back_as_it_was(store):
    async def story():
        jobs = fleet()
        await store.run(lambda ledger: [ledger.put_job(job) for job in jobs] and None)
        for job in jobs:
            assert await store.run(lambda ledger, id=job.request.id: ledger.job(id)) == job
        assert await store.run(lambda ledger: ledger.job(b"\x00" * 32)) is None
        counts = await store.run(lambda ledger: ledger.counts())
        assert counts == {
            **dict.fromkeys(JobState, 0),
            JobState.NEW: 2,
            JobState.READY: 1,
            JobState.SENT: 1,
            JobState.SETTLED: 1,
            JobState.DECLINED: 1,
        }

    run(story())


def test_jobs_are_found_by_what_they_are(store):
    async def story():
        jobs = fleet()
        jobs[0] = jobs[0].postponed(100, "later")
        late = replace(jobs[1].request, deadline=50)
        jobs[1] = replace(jobs[1], request=late)
        await store.run(lambda ledger: [ledger.put_job(job) for job in jobs] and None)

        def looks(ledger):
            assert ledger.jobs({JobState.NEW}, 10) == [jobs[0], jobs[5]]
            assert ledger.jobs({JobState.NEW}, 1) == [jobs[0]]
            assert ledger.jobs({JobState.NEW}, 10, due=99) == [jobs[5]]
            assert ledger.jobs({JobState.NEW}, 10, due=100) == [jobs[0], jobs[5]]
            assert ledger.claimable(99) == jobs[5]
            assert ledger.claimable(100) == jobs[5]
            assert ledger.overdue(50) == []
            assert ledger.overdue(51) == [jobs[1]]
            assert ledger.jobs_above(4) == [jobs[3], jobs[4], jobs[5]]
            assert ledger.leases() == []
            ledger.put_job(jobs[5].claimed(Lease("me", 200)))
            assert ledger.claimable(99) is None
            ledger.put_job(jobs[5].claimed(Lease("me", 201)))
            assert ledger.claimable(200) == jobs[0]
            assert [job.request for job in ledger.leases()] == [jobs[5].request]

        await store.run(looks)

    run(story())


def test_checkpoints_are_kept_newest_first_and_forgotten_oldest_first(store):
    async def story():
        def looks(ledger):
            assert ledger.checkpoints() == []
            for number in range(1, 8):
                ledger.put_checkpoint(block(number), 5)
            assert [c.number for c in ledger.checkpoints()] == [7, 6, 5, 4, 3]
            ledger.drop_checkpoints_above(5)
            assert ledger.checkpoints() == [block(5), block(4), block(3)]
            ledger.put_checkpoint(BlockRef(9, b"\xff" * 32), 5)
            assert ledger.checkpoints()[0] == BlockRef(9, b"\xff" * 32)

        await store.run(looks)

    run(story())


def test_transactions_are_found_by_nonce_and_by_block(store):
    async def story():
        def flown(nonce, number):
            return Flown(
                OPERATOR, nonce, bytes([nonce, number]) * 16, b"raw", None, 21_000, Fees(2, 1), 5
            )

        def looks(ledger):
            first, second, third = flown(3, 1), flown(3, 2), flown(2, 1)
            for each in (first, second, third):
                ledger.put_flown(each)
            assert ledger.flown(OPERATOR, 3) == [first, second]
            assert ledger.flying(OPERATOR) == [third, first, second]
            assert ledger.flying("0x" + "99" * 20) == []
            mined = replace(third, mined=Receipt(block(8), True, 21_000), done=True)
            ledger.put_flown(mined)
            assert ledger.flying(OPERATOR) == [first, second]
            assert ledger.mined_above(7) == [mined]
            assert ledger.mined_above(8) == []

        await store.run(looks)

    run(story())


def test_one_writer_a_key(store):
    async def story():
        def looks(ledger):
            assert ledger.writer(OPERATOR) is None
            ledger.put_writer(OPERATOR, Lease("a", 5))
            ledger.put_writer(OPERATOR, Lease("b", 6))
            assert ledger.writers() == {OPERATOR: Lease("b", 6)}
            ledger.put_writer(OPERATOR, None)
            assert ledger.writer(OPERATOR) is None

        await store.run(looks)

    run(story())


def test_a_transaction_that_fails_leaves_nothing(store):
    async def story():
        job = fleet()[0]

        def fails(ledger):
            ledger.put_job(job)
            raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError):
            await store.run(fails)
        assert await store.run(lambda ledger: ledger.job(job.request.id)) is None

    run(story())


def test_transactions_do_not_lose_each_others_writes(store):
    async def story():
        job = fleet()[0]
        await store.run(lambda ledger: ledger.put_job(job))

        def count(ledger):
            seen = ledger.job(job.request.id)
            ledger.put_job(replace(seen, attempts=seen.attempts + 1))

        await asyncio.gather(*(store.run(count) for _ in range(20)))
        assert (await store.run(lambda ledger: ledger.job(job.request.id))).attempts == 20

    run(story())


@pytest.mark.parametrize("kind", KINDS[1:])
def test_two_processes_transactions_do_not_lose_each_others_writes(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path}/jobs.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres")

    async def story():
        job = fleet()[0]
        stores = [SqlStore.open(url, IDENTITY) for _ in range(3)]
        await stores[0].run(lambda ledger: ledger.put_job(job))

        def count(ledger):
            seen = ledger.job(job.request.id)
            ledger.put_job(replace(seen, attempts=seen.attempts + 1))

        await asyncio.gather(*(store.run(count) for store in stores for _ in range(10)))
        assert (await stores[0].run(lambda ledger: ledger.job(job.request.id))).attempts == 30
        for store in stores:
            store.close()

    run(story())


@pytest.mark.parametrize("cut", [0, 50, 2000, 9000])
def test_a_damaged_database_is_named_with_what_to_do(tmp_path, cut):
    path = tmp_path / "jobs.db"
    url = f"sqlite:///{path}"
    store = SqlStore.open(url, IDENTITY)
    run(store.run(lambda ledger: [ledger.put_job(job) for job in fleet()] and None))
    store.close()
    data = bytearray(path.read_bytes())
    data[cut : cut + 4000] = b"\xa5" * 4000
    path.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"jobs\.db is damaged .* move it away"):
        SqlStore.open(url, IDENTITY)


def test_a_row_that_cannot_be_read_is_named(tmp_path):
    store = SqlStore.open(f"sqlite:///{tmp_path}/jobs.db", IDENTITY)
    job = fleet()[0]
    run(store.run(lambda ledger: ledger.put_job(job)))
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET body = '{}'")
    with pytest.raises(StoreDamaged, match="cannot be read"):
        run(store.run(lambda ledger: ledger.job(job.request.id)))
    store.close()


@pytest.mark.parametrize(
    "other", [Identity(1, IDENTITY.oracle), Identity(IDENTITY.chain_id, "0x" + "0d" * 20)]
)
def test_a_database_of_another_chain_or_oracle_is_refused(tmp_path, other):
    url = f"sqlite:///{tmp_path}/jobs.db"
    SqlStore.open(url, IDENTITY).close()
    with pytest.raises(StoreForeign, match="belongs to"):
        SqlStore.open(url, other)
    SqlStore.open(url, IDENTITY).close()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StoreBusy, match="cannot be written"):
        SqlStore.open(f"sqlite:///{tmp_path}/nowhere/jobs.db", IDENTITY)


@pytest.mark.parametrize("url", ["", "jobs.db", "mysterydb:///x"])
def test_a_url_that_is_none_is_named(url):
    with pytest.raises(StoreForeign, match="expected a database URL"):
        SqlStore.open(url, IDENTITY)


def test_the_codec_keeps_large_numbers_and_empty_bytes():
    job = fleet()[3]
    job = replace(job, request=replace(job.request, fee=2**96 - 1, nonce=2**256 - 1, terms=b""))
    assert loads(Job, dumps(job)) == job
