"""The attested tier on the real contracts: the service signs with a live software TPM, a person
asks and is told what the answer rests on."""

import asyncio

import pytest

from oracle.adapters import attestations
from oracle.adapters.answer_key import AnswerKeys, open_answer_key
from oracle.adapters.attestations import REGISTRY, enrol_call, key_shown, registry_of
from oracle.adapters.chain import NodeChain
from oracle.adapters.keys import open_signer
from oracle.adapters.memory import MemoryStore
from oracle.adapters.rpc import Node
from oracle.adapters.software_tpm import is_installed, software_tpm
from oracle.adapters.tpm import StateChanged
from oracle.adapters.wallet import Wallet
from oracle.attestation.enrolment import Applicant, from_tpm, voucher_of
from oracle.domain.attested import build_statement, voucher_statement
from oracle.domain.chain import Identity
from oracle.domain.errors import CallRefused
from oracle.domain.job import JobState
from oracle.domain.report import SOFTWARE
from oracle.domain.request import TierKind
from oracle.domain.terms import ClaimTerms
from oracle.fakes import FakeClock, FakeRounds
from oracle.operations import ask, await_answer
from oracle.services.flight import Posting, Runway
from oracle.services.serve import Write
from oracle.services.watch import Watch
from oracle.services.work import Terms, Work
from tests.contracts.bench import COVERAGE, PROVING
from tests.contracts.hall import DELAY, WINDOW, Hall
from tests.evm import Chain, _type, artifact
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver


def test_functions_are_those_of_the_contracts():
    found = {}
    for name in ("AttestationRegistry", "AttestedAssurance"):
        for entry in artifact(f"contracts/attested/{name}.sol").abi:
            if entry["type"] == "function":
                found[entry["name"]] = tuple(_type(item) for item in entry["inputs"])
    assert {name: found[name] for name in REGISTRY} == dict(REGISTRY)


@pytest.mark.skipif(
    not is_installed(), reason="swtpm is not installed (apt-get install swtpm): no TPM to sign with"
)
def test_service_answers_with_a_live_tpm_and_the_report_says_software(tmp_path):
    with Chain.start() as evm, software_tpm(tmp_path / "tpm") as tpm:
        hall = Hall(evm)
        identity = Identity(31337, hall.oracle.address)
        tiers = {hall.optimistic.address: TierKind.ATTESTED}
        signer = open_signer("dev:2", "", 31337)
        assert signer.address == hall.operator
        key = open_answer_key(f"tpm:{tpm.where}#service@9+0")

        async def story():
            chain = NodeChain(Node(evm.url), hall.oracle.address, tiers)
            point = await key.point()
            registry = await registry_of(chain, hall.optimistic.address)
            assert registry == hall.attestations.address
            applicant = Applicant(31337, registry, hall.operator, hall.model_id, point)
            voucher = voucher_of(tpm, evm.now() + 30 * 86_400)
            enrolment, evidence = from_tpm(tpm, applicant, key.sealed(), voucher)
            build = (enrolment.kind, hall.model_id, enrolment.measurement)
            statements = [
                voucher_statement(31337, registry, voucher),
                build_statement(31337, registry, *build),
            ]
            operator = Wallet(chain, signer, 31337)
            with pytest.raises(CallRefused, match="NotAdmitted"):
                await operator.transact(enrol_call(registry, enrolment, evidence.encoded))
            for statement in statements:
                hall.admit(statement)
                assert await attestations.is_admitted(chain, registry, statement)
            await operator.transact(enrol_call(registry, enrolment, evidence.encoded))
            named = (registry, hall.operator, hall.model_id)
            shown, _ = await key_shown(chain, *named, point)
            assert shown.software and shown.hardware == "TPM" and not shown.revoked
            assert await key_shown(chain, *named, bytes(64)) == (None, 0)
            hall.stake()
            evm.rpc("evm_increaseTime", DELAY + 60)
            evm.rpc("evm_mine")

            store, clock = MemoryStore(), FakeClock()
            watch = Watch(chain, store, identity, 1, 0)
            terms = Terms(hall.operator, tiers=frozenset({TierKind.ATTESTED}), max_coverage=10**12)
            keys = AnswerKeys(chain, [key])
            parts = (EchoModels(), EchoEngine(), EchoProver(), clock, identity, terms, "me", keys)
            work = Work(chain, store, *parts)
            write = Write(Runway(chain, store, signer, clock, 31337, Posting(), "me", FakeRounds()))

            async def settle():
                quiet = 0
                while quiet < 3:
                    busy = [await watch.step(), await work.step(), await write.step()]
                    quiet = 0 if any(busy) else quiet + 1
                    clock.time += 0 if any(busy) else 10

            purse = Wallet(chain, open_signer("dev:1", "", 31337), 31337)
            contracts = (hall.optimistic.address, hall.registry.address, hall.model_id, b"input")
            asked = await ask(
                purse, identity, *contracts, fee=10**15, seconds=10**5,
                terms=ClaimTerms(COVERAGE, PROVING),
            )  # fmt: skip
            await settle()
            job = await store.run(lambda ledger: ledger.job(asked.request.id))
            assert job.state is JobState.PROVISIONAL, (job.verdict, job.note)
            first = await await_answer(purse, identity, asked, 0.05, final=False)
            assert first.output == LOGITS
            assert first.report["attested"]["label"] == SOFTWARE
            assert SOFTWARE in first.report["could_have_cheated"][0]
            evm.rpc("evm_increaseTime", WINDOW + 60)
            evm.rpc("evm_mine")
            await settle()
            last = await await_answer(purse, identity, asked, 0.05)
            assert "silence" in str(last.report["final"])
            assert last.report["attested"]["key"] == first.report["attested"]["key"]

            revoke = attestations.revoke_call(registry, hall.operator, hall.model_id, point)
            await operator.transact(revoke)
            assert (await key_shown(chain, *named, point))[0].revoked
            again = await ask(
                purse, identity, *contracts, fee=10**15, seconds=10**5,
                terms=ClaimTerms(COVERAGE, PROVING),
            )  # fmt: skip
            await settle()
            job = await store.run(lambda ledger: ledger.job(again.request.id))
            assert "KeyRevoked" in job.note or "KeyRevoked" in job.verdict.reason

            tpm.extend(9, bytes(32))  # other software: the TPM lets the key sign nothing more
            with pytest.raises(StateChanged):
                await key.sign(bytes(32))
            moved = await ask(
                purse, identity, *contracts, fee=10**15, seconds=10**5,
                terms=ClaimTerms(COVERAGE, PROVING),
            )  # fmt: skip
            await settle()
            job = await store.run(lambda ledger: ledger.job(moved.request.id))
            assert job.answer is None
            assert "registers [0, 9]" in job.note + (job.verdict.reason if job.verdict else "")
            chain.node.close()

        asyncio.run(story())
