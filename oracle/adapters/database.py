"""The job store in SQLite (default) or PostgreSQL, by URL.

A row carries its object as JSON, beside the columns that are searched. Transactions are serialised:
SQLite's by BEGIN IMMEDIATE, PostgreSQL's by SERIALIZABLE with retries. All run on one thread, so
the event loop never waits for a disk. SQLite commits with synchronous=FULL: what was signed is on
disk before it is sent, power cuts included.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from eth_utils.address import to_checksum_address
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from oracle.adapters.codec import dumps, loads
from oracle.adapters.tables import checkpoints, jobs, meta, metadata, transactions, writers
from oracle.domain.block import BlockRef
from oracle.domain.chain import Flown, Identity
from oracle.domain.errors import StoreBusy, StoreDamaged, StoreForeign
from oracle.domain.job import WORK, Job, JobState, Lease
from oracle.domain.move import Role
from oracle.ports import Ledger

T = TypeVar("T")

SCHEMA = "3"
RETRIES = 20


class SqlLedger:
    """The ledger of one role, over one open database transaction."""

    def __init__(self, connection: sa.Connection, role: Role) -> None:
        self._connection = connection
        self._role = role.value

    # jobs

    def job(self, request_id: bytes) -> Job | None:
        found = self._jobs(jobs.c.id == request_id)
        return found[0] if found else None

    def put_job(self, job: Job) -> None:
        row = {
            "state": job.state.value,
            "reason": job.verdict.reason if job.verdict else job.note,
            "not_before": job.not_before,
            "ripe_at": job.ripe_at,
            "urgency": job.urgency,
            "lease_until": job.lease.until if job.lease else None,
            "answer_by": None if job.answer_by is None else min(job.answer_by, 1 << 62),
            "newest": job.newest,
            "body": dumps(job),
        }
        self._put(jobs, jobs.c.id, job.request.id, row)

    def jobs(self, states: Collection[JobState], limit: int, due: int | None = None) -> list[Job]:
        ripe = sa.true() if due is None else jobs.c.not_before <= due
        return self._jobs(_among(states) & ripe, limit)

    def movable(self, timestamp: int, now: int, limit: int) -> list[Job]:
        clock = _among({JobState.PROVISIONAL}) & (jobs.c.ripe_at > 0)
        ripe = clock & (jobs.c.ripe_at <= timestamp)
        waits = (_among({JobState.READY}) | ripe) & (jobs.c.not_before <= now)
        return self._jobs(waits, limit, jobs.c.urgency.desc(), jobs.c.not_before)

    def overdue(self, timestamp: int) -> list[Job]:
        waiting = _among({JobState.READY, JobState.SENT})
        return self._jobs(waiting & (jobs.c.answer_by < timestamp))

    def jobs_above(self, number: int) -> list[Job]:
        return self._jobs(jobs.c.newest > number)

    def claimable(self, now: int, among: Collection[JobState] = WORK) -> Job | None:
        free = jobs.c.lease_until.is_(None) | (jobs.c.lease_until <= now)
        first = sa.case((jobs.c.state == JobState.DISPUTED.value, 0), else_=1)
        order = (first, jobs.c.urgency.desc(), jobs.c.not_before)
        found = self._jobs(_among(among) & (jobs.c.not_before <= now) & free, 1, *order)
        return found[0] if found else None

    def leases(self) -> list[Job]:
        return self._jobs(jobs.c.lease_until.is_not(None))

    def counts(self) -> dict[JobState, int]:
        mine = jobs.c.role == self._role
        query = sa.select(jobs.c.state, sa.func.count()).where(mine).group_by(jobs.c.state)
        found = {JobState(state): count for state, count in self._connection.execute(query)}
        return {state: found.get(state, 0) for state in JobState}

    def _jobs(
        self,
        where: sa.ColumnElement[bool],
        limit: int | None = None,
        *first: sa.ColumnElement[Any],
    ) -> list[Job]:
        query = sa.select(jobs.c.body).where((jobs.c.role == self._role) & where)
        ordered = query.order_by(*first, jobs.c.seq).limit(limit)
        return [_read(Job, body) for (body,) in self._connection.execute(ordered)]

    # the chain as last seen

    def checkpoints(self) -> list[BlockRef]:
        query = sa.select(checkpoints.c.number, checkpoints.c.hash)
        mine = query.where(checkpoints.c.role == self._role)
        rows = self._connection.execute(mine.order_by(checkpoints.c.number.desc()))
        return [BlockRef(number, bytes(digest)) for number, digest in rows]

    def put_checkpoint(self, block: BlockRef, keep: int) -> None:
        self._put(checkpoints, checkpoints.c.number, block.number, {"hash": block.hash})
        mine = checkpoints.c.role == self._role
        newest = sa.select(checkpoints.c.number).where(mine)
        kept = newest.order_by(checkpoints.c.number.desc()).limit(keep).subquery()
        oldest = sa.select(sa.func.min(kept.c.number)).scalar_subquery()
        self._connection.execute(checkpoints.delete().where(mine & (checkpoints.c.number < oldest)))

    def drop_checkpoints_above(self, number: int) -> None:
        above = (checkpoints.c.role == self._role) & (checkpoints.c.number > number)
        self._connection.execute(checkpoints.delete().where(above))

    # what was signed

    def flown(self, sender: str, nonce: int) -> list[Flown]:
        same = (transactions.c.sender == sender) & (transactions.c.nonce == nonce)
        return self._flown(same)

    def flying(self, sender: str) -> list[Flown]:
        return self._flown((transactions.c.sender == sender) & ~transactions.c.done)

    def mined_above(self, number: int) -> list[Flown]:
        return self._flown(transactions.c.mined > number)

    def put_flown(self, flown: Flown) -> None:
        row = {
            "sender": flown.sender,
            "nonce": flown.nonce,
            "done": flown.done,
            "mined": flown.mined.block.number if flown.mined else None,
            "signed_at": flown.signed_at,
            "body": dumps(flown),
        }
        self._put(transactions, transactions.c.hash, flown.hash, row)

    def spent(self, sender: str, since: int) -> int:
        late = (transactions.c.sender == sender) & (transactions.c.signed_at >= since)
        dearest: dict[int, int] = {}
        for f in self._flown(late):
            dearest[f.nonce] = max(f.bond, dearest.get(f.nonce, 0))
        return sum(dearest.values())

    def _flown(self, where: sa.ColumnElement[bool]) -> list[Flown]:
        order = (transactions.c.nonce, transactions.c.seq)
        mine = (transactions.c.role == self._role) & where
        query = sa.select(transactions.c.body).where(mine).order_by(*order)
        return [_read(Flown, body) for (body,) in self._connection.execute(query)]

    # who writes

    def writer(self, sender: str) -> Lease | None:
        return self.writers().get(sender)

    def writers(self) -> dict[str, Lease]:
        rows = self._connection.execute(sa.select(writers))
        return {row.sender: Lease(row.holder, row.until) for row in rows}

    def put_writer(self, sender: str, lease: Lease | None) -> None:
        if lease is None:
            self._connection.execute(writers.delete().where(writers.c.sender == sender))
            return
        row = {"holder": lease.holder, "until": lease.until}
        changed = writers.update().where(writers.c.sender == sender).values(row)
        if self._connection.execute(changed).rowcount == 0:
            self._connection.execute(writers.insert().values({"sender": sender, **row}))

    def _put(self, table: sa.Table, key: sa.Column[Any], value: Any, row: dict[str, Any]) -> None:
        """Changes or adds this role's row of a key."""
        same = (key == value) & (table.c.role == self._role)
        if self._connection.execute(table.update().where(same).values(row)).rowcount == 0:
            added = {"role": self._role, key.name: value, **row}
            self._connection.execute(table.insert().values(added))


def _among(states: Collection[JobState]) -> sa.ColumnElement[bool]:
    return jobs.c.state.in_([state.value for state in states])


class SqlStore:
    """A store that outlives the process. `open` it; nothing works after `close`. It shows the
    operator's rows; `of` another role shows that one's."""

    def __init__(self, engine: sa.Engine, name: str, role: Role = Role.OPERATOR) -> None:
        self._engine = engine
        self._name = name
        self._role = role
        self._thread = ThreadPoolExecutor(1, "database")

    def of(self, role: Role) -> "SqlStore":
        """The same database for another role; close the one that was opened, last."""
        store = SqlStore(self._engine, self._name, role)
        store._thread = self._thread
        return store

    @classmethod
    def open(cls, url: str, identity: Identity) -> "SqlStore":
        """Opens or creates it. Raises StoreDamaged, StoreBusy, and StoreForeign if it was made for
        another chain, oracle or schema."""
        try:
            parsed = sa.make_url(url)
            engine = sa.create_engine(parsed, **_options(parsed))
        except (SQLAlchemyError, ImportError) as error:
            raise StoreForeign(f"expected a database URL, got {url!r}: {error}") from error
        name = parsed.database if parsed.drivername.startswith("sqlite") else None
        store = cls(engine, name or parsed.render_as_string(hide_password=True))
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _on_connect)
            sa.event.listen(engine, "begin", _on_begin)
        store._transaction(lambda connection: store._prepare(connection, identity))
        return store

    @classmethod
    def find(cls, url: str) -> "tuple[SqlStore, Identity]":
        """Opens one that exists already, whatever chain it is about. Raises as `open` does, and
        StoreForeign if there is none."""
        try:
            parsed = sa.make_url(url)
            if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
                raise StoreForeign(f"there is no database {parsed.database}: has the service run?")
            engine = sa.create_engine(parsed)
            with engine.connect() as connection:
                found = {row.name: row.value for row in connection.execute(sa.select(meta))}
            engine.dispose()
            identity = Identity(int(found["chain_id"]), to_checksum_address(found["oracle"]))
        except (SQLAlchemyError, ImportError, KeyError) as error:
            raise StoreForeign(f"{url} is no database of this service: has it run?") from error
        return cls.open(url, identity), identity

    async def run(self, work: Callable[[Ledger], T]) -> T:
        """Raises StoreBusy, StoreDamaged."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, lambda: self._transaction(lambda conn: work(SqlLedger(conn, self._role)))
        )

    def close(self) -> None:
        self._thread.shutdown()
        self._engine.dispose()

    def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        for attempt in range(RETRIES):
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not _clashed(error) or attempt == RETRIES - 1:
                    raise self._refused(error) from error
            except sqlite3.Error as error:  # from the hooks, below SQLAlchemy
                raise self._refused(error) from error
        raise StoreBusy(f"database {self._name} is too busy")

    def _prepare(self, connection: sa.Connection, identity: Identity) -> None:
        if connection.dialect.name == "sqlite":
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if verdict != "ok":
                what = str(verdict).splitlines()[-1]
                raise StoreDamaged(f"database {self._name} is damaged ({what}): {MEND}")
        metadata.create_all(connection)
        expected = {
            "schema": SCHEMA,
            "chain_id": str(identity.chain_id),
            "oracle": identity.oracle.lower(),
        }
        found = {row.name: row.value for row in connection.execute(sa.select(meta))}
        for name, value in expected.items():
            if found.setdefault(name, value) != value:
                raise StoreForeign(
                    f"database {self._name} belongs to {name} {found[name]}, expected {value}: "
                    "name another with EINPROOF_DATABASE"
                )
        if connection.execute(sa.select(sa.func.count()).select_from(meta)).scalar() == 0:
            rows = [{"name": name, "value": value} for name, value in expected.items()]
            connection.execute(meta.insert(), rows)

    def _refused(self, error: Exception) -> Exception:
        cause = getattr(error, "orig", None) or error
        text = str(cause).strip().splitlines()[0] if str(cause).strip() else repr(cause)
        if "locked" in text or self._engine.dialect.name != "sqlite":
            return StoreBusy(f"database {self._name} does not answer: {text}")
        if "unable to open" in text or "readonly" in text or "full" in text:
            return StoreBusy(f"database {self._name} cannot be written: {text}")
        return StoreDamaged(f"database {self._name} is damaged ({text}): {MEND}")


MEND = "move it away and start again; the service rebuilds it from the chain"


def _read(kind: type[T], body: str) -> T:
    try:
        return loads(kind, body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreDamaged(f"a row of the database cannot be read ({error!r}): {MEND}") from error


def _options(url: sa.URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": 30, "check_same_thread": False}}
    return {"isolation_level": "SERIALIZABLE", "pool_pre_ping": True}


def _on_connect(connection: Any, _: Any) -> None:
    # The driver would begin transactions on its own, and late; `_on_begin` does it at once.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        with suppress(sqlite3.OperationalError):  # WAL is refused on some network drives
            connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _clashed(error: DBAPIError) -> bool:
    """Whether PostgreSQL gave way to another transaction: worth running again at once."""
    return getattr(error.orig, "sqlstate", "") in ("40001", "40P01")
