"""Puts the service together: settings in, a service that runs out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog

from oracle.adapters.answer_key import open_answer_keys
from oracle.adapters.bls import BlsAggregation
from oracle.adapters.board import BoardServer, RemoteBoard
from oracle.adapters.chain import NodeChain
from oracle.adapters.database import SqlStore
from oracle.adapters.deployment import Deployment, read_deployment
from oracle.adapters.drand import DrandRounds
from oracle.adapters.keys import DEVELOPMENT_CHAIN, AccountSigner, open_signer
from oracle.adapters.keys import recover as recover_signer
from oracle.adapters.models import FolderModels
from oracle.adapters.monitor import Monitor
from oracle.adapters.process import SystemClock, alive, holder
from oracle.adapters.prover import ProcessProver
from oracle.adapters.rpc import Node
from oracle.domain.chain import Identity
from oracle.domain.errors import ChainUnavailable, KeyRefused, SettingsInvalid
from oracle.domain.job import GAMES, LOOKS, PROOFS, WORK, backoff
from oracle.domain.move import Role
from oracle.domain.request import ON_STAKE, TierKind
from oracle.ports import Board, Engine, ModelStore, Prover, Rounds, Tracer
from oracle.services.board import WordBoard
from oracle.services.check import Check, Vigilance
from oracle.services.flight import Posting, Runway
from oracle.services.guard import Guard, Watchfulness
from oracle.services.serve import LONGEST_OUTAGE_PAUSE, Crew, Serve, Write
from oracle.services.sit import Duty, Sit
from oracle.services.watch import Seat, Watch
from oracle.services.work import Terms, Work
from oracle.services.worker import Worker
from oracle.settings import Settings

log = structlog.get_logger("serve")


@dataclass
class Site:
    """A node, who we are on it, and the contracts there."""

    chain: NodeChain
    identity: Identity
    deployment: Deployment
    development: bool
    board: BoardServer | None = None

    @classmethod
    async def reach(cls, settings: Settings) -> "Site":
        """Raises ChainUnavailable, SettingsInvalid."""
        node = Node(settings.rpc, settings.rpc_timeout, threads=settings.workers + 3)
        chain_id = int(await node.rpc("eth_chainId"), 16)
        deployed = read_deployment(chain_id, settings.deployment)
        oracle = deployed.address("InferenceOracle")
        chain = NodeChain(node, oracle, deployed.tiers, deployed.parts)
        identity = Identity(chain_id, chain.oracle)
        return cls(chain, identity, deployed, chain_id == DEVELOPMENT_CHAIN)

    @classmethod
    async def reach_patiently(cls, settings: Settings, stop: asyncio.Event) -> "Site | None":
        """The same, waiting for a node that is down; None if told to stop before."""
        failures = 0
        while not stop.is_set():
            try:
                return await cls.reach(settings)
            except ChainUnavailable as error:
                failures += 1
                pause = backoff(failures, first=1, longest=LONGEST_OUTAGE_PAUSE)
                log.warning("the chain is down", retry_in=pause, reason=str(error))
                await _wait(stop, pause)
        return None

    def signer(self, settings: Settings, development: str) -> AccountSigner:
        """The key that the settings name; else, on a development chain, `development`.
        Raises KeyRefused, SettingsInvalid."""
        key = settings.key or (development if self.development else "")
        return open_signer(key, settings.secret(), self.identity.chain_id)

    def signers(self, settings: Settings) -> dict[Role, AccountSigner]:
        """One key for each role that the settings name. Raises KeyRefused, SettingsInvalid."""
        found: dict[Role, AccountSigner] = {}
        if Role.OPERATOR in settings.played:
            found[Role.OPERATOR] = self.signer(settings, "dev:1")
        own = (
            (Role.CHALLENGER, settings.challenger_key, settings.challenger_password_file, "dev:3"),
            (Role.MEMBER, settings.member_key, settings.member_password_file, "dev:4"),
            (Role.WATCHER, settings.watcher_key, settings.watcher_password_file, "dev:6"),
        )
        for role, named, file, development in own:
            if role not in settings.played:
                continue
            if not named and settings.played == {role}:
                found[role] = self.signer(settings, development)
                continue
            key = named or (development if self.development else "")
            found[role] = open_signer(key, settings.secret(file), self.identity.chain_id)
        if len({signer.address for signer in found.values()}) < len(found):
            raise KeyRefused(
                "two roles have one key, and would use its nonces against each other: name others "
                "with EINPROOF_CHALLENGER_KEY, EINPROOF_MEMBER_KEY, EINPROOF_WATCHER_KEY"
            )
        return found


@dataclass
class Parts:
    """What tests put in place of the real ones. `second` is the challenger's other engine, `tracer`
    the member's."""

    models: ModelStore
    engine: Engine
    prover: Prover
    second: Engine | None = None
    tracer: Tracer | None = None


async def serve(
    settings: Settings,
    stop: asyncio.Event,
    parts: Parts | None = None,
    ready: Callable[[Serve], None] | None = None,
) -> None:
    """Runs the service until `stop` is set. `ready` is called once, before the loops start.
    Raises KeyRefused, SettingsInvalid, PortInUse, StoreDamaged, StoreForeign, StoreBusy."""
    site = await Site.reach_patiently(settings, stop)
    if site is None:
        return
    signers = site.signers(settings)
    made = parts or real_parts(settings, settings.engine_device)
    _make_room(settings.database)
    store = SqlStore.open(settings.database, site.identity)
    confirmations = settings.confirmations
    if confirmations is None:
        confirmations = 0 if site.development else 12
    crews = [
        _crew(role, site, settings, store, signer, made, confirmations)
        for role, signer in signers.items()
    ]
    running = Serve(crews, SystemClock(), _poll(settings, site.development), alive)
    monitor = None
    try:
        if settings.monitor_port is not None:
            monitor = Monitor(settings.monitor_host, settings.monitor_port, lambda: running.health)
        log.info(
            "serving",
            chain=site.identity.chain_id,
            oracle=site.identity.oracle,
            wallets={role.value: signer.address for role, signer in signers.items()},
            confirmations=confirmations,
            monitor=monitor.port if monitor else None,
            board=site.board.port if site.board else None,
        )
        await _look_at_funds(site, signers, settings.payee)
        if ready is not None:
            ready(running)
        await running.run(stop)
    finally:
        if monitor is not None:
            monitor.close()
        if site.board is not None:
            site.board.close()
        if isinstance(made.prover, ProcessProver):
            made.prover.close()
        site.chain.node.close()
        store.close()


def real_parts(settings: Settings, device: str = "cpu") -> Parts:
    """`device`: of the engine that answers; by hand no GPU is needed. Raises DeviceMissing."""
    from oracle.adapters.engine import InterpreterEngine, TorchEngine

    models = FolderModels(settings.models)
    interpreter = InterpreterEngine()
    engine = TorchEngine(device)
    return Parts(models, engine, ProcessProver(), interpreter, interpreter)


def _crew(
    role: Role,
    site: Site,
    settings: Settings,
    opened: SqlStore,
    signer: AccountSigner,
    parts: Parts,
    confirmations: int,
) -> Crew:
    """One role's loops. Confirmations are for what is answered and paid; a challenger only looks,
    and looks as late."""
    store, clock, name = opened.of(role), SystemClock(), holder()
    chain, identity = site.chain, site.identity
    rounds = DrandRounds(settings.drand, site.deployment.beacons)
    workers: list[Worker]
    if role is Role.OPERATOR:
        seat = Seat(role, signer.address)
        terms = agreed(settings, signer.address)
        answer_key = open_answer_keys(settings.answer_key, chain)
        workers = [
            Work(
                chain,
                store,
                parts.models,
                parts.engine,
                parts.prover,
                clock,
                identity,
                terms,
                name,
                answer_key,
                among,
            )
            for among in [GAMES, *[WORK] * settings.workers]
        ]
    elif role is Role.WATCHER:
        seat = Seat(role, signer.address)
        pause = round(5 * _poll(settings, site.development))
        workers = [
            Guard(
                chain,
                store,
                parts.models,
                parts.engine,
                parts.prover,
                clock,
                identity,
                signer,
                rounds,
                Watchfulness(settings.max_attempts, pause=pause),
                name,
            )
        ]
    elif role is Role.MEMBER:
        councils = {at for at, kind in chain.tiers.items() if kind is TierKind.COMMITTEE}
        seat = Seat(role, signer.address, councils)
        workers = [*_members(site, settings, store, signer, parts, rounds, name)]
    else:
        staked = {at for at, kind in chain.tiers.items() if kind in ON_STAKE}
        seat = Seat(role, signer.address, staked)
        engines = (parts.engine, parts.second or parts.engine)
        vigilance = Vigilance(settings.max_attempts)
        workers = [
            Check(
                chain,
                store,
                parts.models,
                engines,
                parts.prover,
                clock,
                identity,
                signer,
                vigilance,
                name,
                among,
            )
            for among in (LOOKS, PROOFS)
        ]
    posting = Posting(
        settings.in_flight,
        settings.fee_cap,
        settings.bump_after,
        hourly_bonds=settings.hourly_bonds,
    )
    runway = Runway(chain, store, signer, clock, identity.chain_id, posting, name, rounds)
    watch = Watch(chain, store, identity, site.deployment.block, confirmations, seat)
    return Crew(role, store, watch, workers, Write(runway), signer.address)


def _members(
    site: Site,
    settings: Settings,
    store: SqlStore,
    signer: AccountSigner,
    parts: Parts,
    rounds: Rounds,
    name: str,
) -> list[Sit]:
    """A committee member's workers, one that looks and one that proves; and the board if it
    collects. Raises SettingsInvalid, PortInUse."""
    if parts.tracer is None:
        raise SettingsInvalid("a committee's member needs an engine that hashes its trace")
    collects = settings.board_port is not None
    if not collects and not settings.board:
        raise SettingsInvalid(
            "name the collector's board with EINPROOF_BOARD, or host it: EINPROOF_BOARD_PORT"
        )
    if not settings.payee and not collects:
        raise SettingsInvalid("name who is paid for the committee's answers with EINPROOF_PAYEE")
    board: Board = RemoteBoard(settings.board)
    if settings.board_port is not None:
        board = WordBoard(site.chain, store, site.identity, recover_signer)
        site.board = BoardServer(board, settings.board_host, settings.board_port)
    terms = agreed(settings, signer.address)
    duty = Duty(terms.payee, collects, settings.max_attempts)
    return [
        Sit(
            site.chain,
            store,
            parts.models,
            (parts.engine, parts.tracer),
            parts.prover,
            SystemClock(),
            site.identity,
            signer,
            board,
            recover_signer,
            BlsAggregation(site.chain, signer),
            rounds,
            duty,
            terms,
            name,
            among,
        )
        for among in (LOOKS, PROOFS)
    ]


def _poll(settings: Settings, development: bool) -> float:
    return settings.poll or (0.2 if development else 4.0)


def agreed(settings: Settings, address: str) -> Terms:
    """What an operator or a member with that key answers."""
    return Terms(
        settings.payee or address,
        settings.min_fee,
        settings.min_callback_price,
        settings.max_attempts,
        tiers=settings.answered,
        max_coverage=settings.max_coverage // 10**9,
        coverage_rate=settings.coverage_rate,
        proving=settings.proving,
        max_proving=settings.most_proving,
        unanswerable=settings.unanswerable,
        audit_price=settings.audit_price,
    )


async def _look_at_funds(site: Site, signers: dict[Role, AccountSigner], payee: str) -> None:
    """Says what will keep the service from acting, as soon as it starts."""
    for role, signer in signers.items():
        if await site.chain.balance(signer.address) == 0:
            log.warning("the wallet is empty: send it some ether", wallet=signer.address)
        for assurance in site.chain.tiers:
            tier = await site.chain.tier(assurance)
            if role is not Role.OPERATOR or tier is None or tier.kind is not TierKind.OPTIMISTIC:
                continue
            staker = payee or signer.address
            account = await site.chain.account(tier, staker)
            log.info("stake", operator=staker, free_gwei=account.free)


def _make_room(url: str) -> None:
    """The folder of an SQLite file."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return  # the store says what is wrong with it
    if parsed.drivername.startswith("sqlite") and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
