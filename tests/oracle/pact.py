"""An ensemble, audited and attested, and services under it: an operator with stake and an enrolled
key, and a watcher, each with its loops in this process."""

import json
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from oracle.adapters.answer_key import open_answer_keys
from oracle.adapters.chain import NodeChain
from oracle.adapters.keys import open_signer
from oracle.adapters.memory import MemoryStore
from oracle.adapters.rpc import Node
from oracle.domain.chain import Identity
from oracle.domain.job import Job
from oracle.domain.move import Role
from oracle.domain.request import Request, TierKind
from oracle.fakes import FakeClock, FakeRounds
from oracle.services.flight import Posting, Runway
from oracle.services.guard import Guard, Watchfulness
from oracle.services.post import RARELY
from oracle.services.serve import Write
from oracle.services.watch import Seat, Watch
from oracle.services.work import Terms, Work
from tests.contracts.bench import DAY, ETHER, GWEI, HOUR, WINDOW
from tests.contracts.desk import IMAGE
from tests.contracts.ensemble import RATE, Ensemble
from tests.contracts.test_audits import PERIOD, deciding, lot
from tests.evm import Chain
from tests.oracle.desk import EchoEngine, EchoModels, EchoProver

STAKE = 10 * ETHER // GWEI
KINDS = (TierKind.AUDITED, TierKind.ATTESTED)
NAMES = ("AuditedAssurance", "AttestedAssurance")
PAUSE, MOST_TURNS = 1000, 200
#: After a claim: the last window and its round.
DECIDED = WINDOW + 2 * HOUR


class Side:
    """One role's loops over a database of its own."""

    def __init__(self, chain, identity, role, key, worker, rounds=None):
        self.store, self.clock = MemoryStore(), FakeClock()
        signer = open_signer(key, "", 31337)
        self.watch = Watch(chain, self.store, identity, 1, 0, Seat(role, signer.address))
        self.work = worker(self.store, self.clock, signer)
        runway = (chain, self.store, signer, self.clock, 31337, Posting(), "me")
        self.write = Write(Runway(*runway, rounds or FakeRounds()))

    async def settle(self):
        quiet, self.clock.time = 0, self.clock.time + PAUSE
        for _ in range(MOST_TURNS):
            busy = [await self.watch.step(), await self.work.step(), await self.write.step()]
            quiet = 0 if any(busy) else quiet + 1
            if quiet == 3:
                return
            self.clock.time += 0 if any(busy) else RARELY // 4
        raise AssertionError(f"not at rest after {MOST_TURNS} turns")

    async def job(self, request) -> Job:
        return await self.store.run(lambda ledger: ledger.job(request.id))


class Pact:
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

    def operator(
        self, *, key=True, engine=None, prover=None, kinds=frozenset(KINDS), rounds=None, **terms
    ):
        named = Terms(self.both.operator, tiers=kinds, **{"max_coverage": 10**12, **terms})

        def worker(store, clock, signer):
            assert signer.address == self.both.operator
            keys = open_answer_keys(str(self.key_file) if key else "", self.chain)
            parts = (EchoModels(), engine or EchoEngine(), prover or EchoProver())
            return Work(self.chain, store, *parts, clock, self.identity, named, "me", keys)

        return Side(self.chain, self.identity, Role.OPERATOR, "dev:2", worker, rounds)

    def watcher(self):
        def worker(store, clock, signer):
            parts = (EchoModels(), EchoEngine(), EchoProver(), clock, self.identity, signer)
            watchfulness = Watchfulness(pause=PAUSE)
            return Guard(self.chain, store, *parts, FakeRounds(), watchfulness, "watcher")

        return Side(self.chain, self.identity, Role.WATCHER, "dev:6", worker)

    @property
    def contracts(self) -> dict[str, str]:
        """As a deployment names them."""
        both = self.both
        named = {
            "InferenceOracle": both.oracle,
            "ProofAssurance": both.tier,
            "ModelRegistry": both.registry,
            "DevelopmentBeacon": both.beacon,
            "CombinedAssurance": both.combined,
        }
        return {name: contract.address for name, contract in named.items()}

    def deployment(self, folder, *, combined=True):
        """The file that `einproof deploy` would write."""
        parts = zip(NAMES, self.both.parts, strict=True)
        told = [{"name": name, "address": part.address} for name, part in parts]
        contracts = {name: {"address": at} for name, at in self.contracts.items()}
        found = {"chain_id": 31337, "block": 1, "contracts": contracts}
        if combined:
            found["combination"] = {"vault": self.both.vault.address, "parts": told}
        else:
            del contracts["CombinedAssurance"]
        path = folder / f"deployment-{combined}.json"
        path.write_text(json.dumps(found))
        return path

    def ask(self, **fields):
        plain = self.both.request(**fields)
        self.both.ask(plain)
        return plain, self.seen(plain)

    def seen(self, plain) -> Request:
        return Request(*plain.fields, input=IMAGE, id=self.both.request_id(plain))

    async def claimed(self, side: Side, *, drawn: bool):
        """The service's claim, which the beacon will draw, or will not."""
        at = self.evm.now() + 600
        for nonce in range(100, 200):
            plain = self.both.request(nonce=nonce, deadline=at + DAY)
            if (lot(self.both, plain, deciding(at)) < RATE) is drawn:
                break
        self.both.ask(plain)
        self.evm.next_timestamp(at)
        await side.settle()
        assert self.both.since(plain) == at
        return plain, self.seen(plain)

    def claim_at(self, plain, drawn: bool) -> None:
        """The next block, which claims it, is of a time whose round draws it, or does not."""
        at = self.evm.now() + 600
        while (lot(self.both, plain, deciding(at)) < RATE) is not drawn:
            at += PERIOD
        self.evm.next_timestamp(at)

    def pass_time(self, seconds: int) -> None:
        self.evm.rpc("evm_increaseTime", seconds)
        self.evm.rpc("evm_mine")

    def status(self, plain) -> int:
        return self.both.status(plain)[0]

    def free(self) -> bool:
        """The operator has lost nothing, and all of it is free."""
        account = self.both.account()
        return (account["stake"], account["locked"]) == (STAKE, 0)


@pytest.fixture(scope="module")
def both() -> Iterator[Ensemble]:
    """On a chain of its own, with an operator that is ready."""
    with Chain.start() as chain:
        ensemble = Ensemble(chain)
        ensemble.ready()
        yield ensemble


@pytest.fixture
def town(both: Ensemble, tmp_path) -> Iterator[Pact]:
    """A pact on the chain as it was founded."""
    snapshot = both.chain.snapshot()
    made = Pact(both, tmp_path)
    yield made
    made.chain.node.close()
    both.chain.restore(snapshot)
