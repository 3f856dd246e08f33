"""Puts the service together: settings in, a service that runs out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog

from oracle.adapters.chain import NodeChain
from oracle.adapters.database import SqlStore
from oracle.adapters.deployment import Deployment, read_deployment
from oracle.adapters.keys import DEVELOPMENT_CHAIN, AccountSigner, open_signer
from oracle.adapters.models import FolderModels
from oracle.adapters.monitor import Monitor
from oracle.adapters.process import SystemClock, alive, holder
from oracle.adapters.prover import ProcessProver
from oracle.adapters.rpc import Node
from oracle.domain.chain import Identity
from oracle.domain.errors import ChainUnavailable
from oracle.domain.job import backoff
from oracle.ports import Engine, ModelStore, Prover
from oracle.services.flight import Posting, Runway
from oracle.services.serve import LONGEST_OUTAGE_PAUSE, Serve, Write
from oracle.services.watch import Watch
from oracle.services.work import Terms, Work
from oracle.settings import Settings

log = structlog.get_logger("serve")


@dataclass
class Site:
    """A node, who we are on it, and the contracts there."""

    chain: NodeChain
    identity: Identity
    deployment: Deployment
    development: bool

    @classmethod
    async def reach(cls, settings: Settings) -> "Site":
        """Raises ChainUnavailable, SettingsInvalid."""
        node = Node(settings.rpc, settings.rpc_timeout, threads=settings.workers + 3)
        chain_id = int(await node.rpc("eth_chainId"), 16)
        deployed = read_deployment(chain_id, settings.deployment)
        address = deployed.address("InferenceOracle")
        chain = NodeChain(node, address, [deployed.address("ProofAssurance")])
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


@dataclass
class Parts:
    """What tests put in place of the real ones."""

    models: ModelStore
    engine: Engine
    prover: Prover


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
    signer = site.signer(settings, "dev:1")
    made = parts or real_parts(settings)
    _make_room(settings.database)
    store = SqlStore.open(settings.database, site.identity)
    clock, name = SystemClock(), holder()
    terms = Terms(
        settings.payee or signer.address,
        settings.min_fee,
        settings.min_callback_price,
        settings.max_attempts,
    )
    posting = Posting(settings.in_flight, settings.fee_cap, settings.bump_after)
    confirmations = settings.confirmations
    if confirmations is None:
        confirmations = 0 if site.development else 12
    running = Serve(
        store,
        clock,
        Watch(site.chain, store, site.identity, site.deployment.block, confirmations),
        [
            Work(
                site.chain,
                store,
                made.models,
                made.engine,
                made.prover,
                clock,
                site.identity,
                terms,
                name,
            )
            for _ in range(settings.workers)
        ],
        Write(Runway(site.chain, store, signer, clock, site.identity.chain_id, posting, name)),
        signer.address,
        settings.poll or (0.2 if site.development else 4.0),
        alive,
    )
    monitor = None
    try:
        if settings.monitor_port is not None:
            monitor = Monitor(settings.monitor_host, settings.monitor_port, lambda: running.health)
        log.info(
            "serving",
            chain=site.identity.chain_id,
            oracle=site.identity.oracle,
            wallet=signer.address,
            payee=terms.payee,
            confirmations=confirmations,
            monitor=monitor.port if monitor else None,
        )
        if await site.chain.balance(signer.address) == 0:
            log.warning("the wallet is empty: send it some ether", wallet=signer.address)
        if ready is not None:
            ready(running)
        await running.run(stop)
    finally:
        if monitor is not None:
            monitor.close()
        if isinstance(made.prover, ProcessProver):
            made.prover.close()
        site.chain.node.close()
        store.close()


def real_parts(settings: Settings) -> Parts:
    from oracle.adapters.engine import TorchEngine

    return Parts(FolderModels(settings.models), TorchEngine(), ProcessProver())


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
