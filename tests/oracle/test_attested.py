"""The attested tier over fakes: an operator signs what it stakes on, and only with a key."""

from dataclasses import replace

import pytest

from oracle.adapters.answer_key import REGISTERS, open_answer_key, open_answer_keys
from oracle.domain.attested import Answering, said
from oracle.domain.chain import Status
from oracle.domain.errors import InputRefused, KeyRefused
from oracle.domain.job import JobState
from oracle.domain.report import SOFTWARE, AnswerKeyShown, Lookup, Stake, Worth, trust_report
from oracle.domain.request import Answer, TierKind
from oracle.domain.terms import UNANSWERABLE
from oracle.fakes import (
    ATTESTED,
    IDENTITY,
    OPERATOR,
    QUOTE,
    Crash,
    CrashPlan,
    FakeAnswerKey,
    FakeChain,
    FakeEngine,
    fake_output,
    fake_signature,
)
from oracle.services.work import Terms
from tests.oracle.world import Challenger, Service, run

ALL = frozenset(TierKind)
STRANGER = "0x" + "ee" * 20
WINDOW, CLOCK = QUOTE.window + 20, QUOTE.prove + 20


def asked(chain):
    return chain.ask_staked(assurance=ATTESTED.assurance)


def service(chain, key=None, **changes):
    return Service(chain, terms=Terms(OPERATOR, tiers=ALL), answer_key=key, **changes)


def test_answer_is_signed_staked_and_final_after_its_window():
    chain = FakeChain()
    operator = service(chain, FakeAnswerKey())
    request = asked(chain)
    run(operator.settle())
    stage = chain.stage(request)
    assert stage.status is Status.PROVISIONAL
    assert stage.standing == (OPERATOR, fake_output(request.input))
    chain.wait(WINDOW)
    run(operator.settle())
    assert chain.stage(request).status is Status.FINAL


def test_answer_signature_is_over_this_claim_alone():
    chain = FakeChain()
    operator = service(chain, FakeAnswerKey())
    request = asked(chain)
    run(operator.settle())
    job = operator.store.ledger.job(request.id)
    named = (request.assurance, request.id, request.model_id, request.input_hash)
    claim = Answering(*named, OPERATOR, fake_output(request.input))
    digest = said(IDENTITY.chain_id, claim)
    assert job.answer.attestation == b"x" * 32 + b"y" * 32 + fake_signature(digest)
    others = [
        replace(claim, tier=STRANGER),
        replace(claim, request_id=bytes(32)),
        replace(claim, model_id=bytes(32)),
        replace(claim, input_hash=bytes(32)),
        replace(claim, owner=STRANGER),
        replace(claim, output=b"another"),
    ]
    assert digest not in {said(IDENTITY.chain_id, other) for other in others}
    assert digest != said(IDENTITY.chain_id + 1, claim)


def test_answer_without_a_key_is_declined():
    chain = FakeChain()
    operator = service(chain)
    request = asked(chain)
    run(operator.settle())
    job = operator.store.ledger.job(request.id)
    assert job.state is JobState.DECLINED and "EINPROOF_ANSWER_KEY" in job.verdict.reason
    assert chain.stage(request).status is Status.OPEN


def test_answer_with_another_key_is_refused_by_the_chain():
    class Stolen(FakeAnswerKey):
        async def attest(self, claim, digest):
            return (await super().attest(claim, digest))[:64] + bytes(64)

    chain = FakeChain()
    operator = service(chain, Stolen())
    request = asked(chain)
    run(operator.settle())
    assert chain.stage(request).status is Status.OPEN
    assert "NotSigned" in operator.store.ledger.job(request.id).note


def test_answer_disputed_is_proved():
    chain = FakeChain()
    operator = service(chain, FakeAnswerKey())
    request = asked(chain)
    run(operator.settle())
    call = chain.dispute_call(request, *chain.stage(request).standing, bytes(32), QUOTE.bond)
    chain.mine(chain.by(STRANGER, call))
    run(operator.settle())
    assert chain.stage(request).status is Status.FINAL and operator.prover.proved == 1


class Ended(FakeAnswerKey):
    """A key that counts no more, or whose hardware is gone."""

    async def attest(self, claim, digest):
        raise KeyRefused("no answer key counts now")


@pytest.mark.parametrize("key", [None, Ended()])
def test_answer_that_stands_is_defended_without_its_key_or_database(key):
    chain = FakeChain()
    request = asked(chain)
    run(service(chain, FakeAnswerKey()).settle())
    again = service(chain, key)
    run(again.settle())
    assert again.store.ledger.job(request.id).mine
    call = chain.dispute_call(request, *chain.stage(request).standing, bytes(32), QUOTE.bond)
    chain.mine(chain.by(STRANGER, call))
    run(again.settle())
    assert chain.stage(request).status is Status.FINAL and again.prover.proved == 1


def test_answer_that_does_not_stand_is_not_posted_without_a_key():
    chain = FakeChain()
    operator = service(chain, Ended())
    request = asked(chain)
    run(operator.settle())
    assert chain.stage(request).status is Status.OPEN
    assert "no answer key counts" in operator.store.ledger.job(request.id).note


def test_answer_that_is_wrong_is_disputed_and_slashed_whatever_signed_it():
    class Corrupt(FakeEngine):
        async def run(self, folder, input):
            return b"wrong" + (await super().run(folder, input))[5:]

    chain = FakeChain()
    cheat = service(chain, FakeAnswerKey(), engine=Corrupt())
    challenger = Challenger(chain)
    request = asked(chain)
    run(cheat.settle())
    run(challenger.settle())
    assert len(chain.stage(request).disputes) == 1
    chain.wait(CLOCK)
    run(challenger.settle())
    assert chain.stage(request).slashed


def test_unanswerable_input_is_signed_too():
    class Strict(FakeEngine):
        async def run(self, folder, input):
            raise InputRefused("out of range")

    chain = FakeChain()
    terms = Terms(OPERATOR, tiers=ALL, unanswerable=True)
    operator = Service(chain, terms=terms, answer_key=FakeAnswerKey(), engine=Strict())
    request = asked(chain)
    run(operator.settle())
    assert chain.stage(request).standing == (OPERATOR, UNANSWERABLE)


@pytest.mark.parametrize("at", range(1, 40, 3))
def test_answer_survives_a_crash_at_any_call(at):
    chain = FakeChain()
    first = service(chain, FakeAnswerKey(), plan=CrashPlan(at))
    request = asked(chain)
    with pytest.raises(Crash):
        run(first.settle())
    second = service(chain, FakeAnswerKey(), store=first.store, holder="second")
    run(second.start())
    run(second.settle())
    chain.wait(WINDOW)
    run(second.settle())
    assert chain.stage(request).status is Status.FINAL
    assert len(chain.settlements(request)) == 1


# --- what a requester is told ---------------------------------------------------------------------


def report(worth, **changes):
    plain = AnswerKeyShown("0x" + "a6" * 20, b"\5" * 32, "TPM", False, 10**9, False)
    request = asked(FakeChain())
    found = Lookup(False, replace(plain, **changes))
    return trust_report(IDENTITY, request, ATTESTED, OPERATOR, Stake(QUOTE, worth), found)


def test_report_names_key_stake_and_who_could_cheat():
    found = report(Worth.SILENCE)
    assert found["tier"] == "Attested" and found["staked"]["vault"] == ATTESTED.vault
    assert found["attested"]["hardware"] == "TPM" and found["proved"] == []
    assert "maker of the hardware" in found["could_have_cheated"][0]
    assert "the operator, where a TPM" in found["could_have_cheated"][2]
    enclave = report(Worth.SILENCE, hardware="SGX")
    assert not [who for who in enclave["could_have_cheated"] if "TPM" in who]


def test_report_of_a_software_tpm_says_so_wherever_it_shows():
    found = report(Worth.PROVISIONAL, software=True)
    assert found["attested"]["label"] == SOFTWARE
    assert SOFTWARE in found["could_have_cheated"][0]


def test_report_of_a_proved_answer_rests_on_the_proof_alone():
    found = report(Worth.PROOF)
    assert "attested" not in found and found["proved"]


# --- keys in files --------------------------------------------------------------------------------


def test_open_answer_key_what_is_none_is_refused(tmp_path):
    (tmp_path / "key").write_text("nothing")
    for named in (tmp_path / "key", tmp_path / "missing"):
        with pytest.raises(KeyRefused):
            open_answer_key(str(named))
    assert open_answer_keys("", None) is open_answer_keys(" , ", None) is None


@pytest.mark.parametrize("registers", ["", "24", "0+", "7,9", "-1", "0+1+2+3+4+5+6+7+8"])
def test_open_answer_key_registers_that_no_tpm_reads_are_refused(registers):
    with pytest.raises(KeyRefused, match="registers below 24"):
        open_answer_key(f"tpm:/dev/tpmrm0#answers@{registers}")


@pytest.mark.parametrize("loose", [16, 20, 21, 22, 23])
def test_open_answer_key_registers_that_anybody_resets_are_refused(loose):
    """Such a key would sign in any boot."""
    with pytest.raises(KeyRefused, match=rf"resets while the machine runs, got \[{loose}\]"):
        open_answer_key(f"tpm:/dev/tpmrm0#answers@7+{loose}")


@pytest.mark.parametrize(
    ("rest", "label", "registers"),
    [("", b"answers", REGISTERS), ("#mine", b"mine", REGISTERS), ("@7+0", b"answers", (0, 7))],
)
def test_a_tpms_label_and_registers_may_each_be_left_out(rest, label, registers):
    key = open_answer_key(f"tpm:/dev/tpmrm0{rest}")
    assert (key.tpm.where, key._label, key._registers) == ("/dev/tpmrm0", label, registers)


def test_open_answer_key_file_signs_what_p256_verifies(tmp_path):
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    for curve, good in ((ec.SECP256R1(), True), (ec.SECP256K1(), False)):
        made = ec.generate_private_key(curve)
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / "key").write_bytes(pem)
        if not good:
            with pytest.raises(KeyRefused, match="P-256"):
                open_answer_key(str(tmp_path / "key"))
            continue
        key = open_answer_key(str(tmp_path / "key"))
        signature, point = run(key.sign(bytes(32))), run(key.point())
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        public = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\4" + point)
        der = utils.encode_dss_signature(r, s)
        public.verify(der, bytes(32), ec.ECDSA(utils.Prehashed(SHA256())))


def test_answers_of_other_tiers_carry_no_attestation():
    chain = FakeChain()
    operator = service(chain, FakeAnswerKey())
    request = chain.ask_staked()
    run(operator.settle())
    found = operator.store.ledger.job(request.id).answer
    assert isinstance(found, Answer) and found.attestation == b""
