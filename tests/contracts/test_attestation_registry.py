"""AttestationRegistry: who admits what, what the contract decides itself, what ends a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any

import pytest
from eth_hash.auto import keccak

from oracle.domain import attested
from oracle.domain.attested import Hardware
from tests.attestation.authority import tpm_policy
from tests.contracts.bench import WRONG, ZERO
from tests.contracts.desk import HARNESS, IMAGE, LOGITS
from tests.contracts.hall import DAY, DELAY, LIFE, REGISTERS, Hall, new_key, sign, words
from tests.evm import Chain, reverts


@pytest.fixture(scope="module")
def furnished(anvil: Chain) -> Hall:
    return Hall(anvil)


@pytest.fixture
def hall(furnished: Hall, chain: Chain) -> Hall:
    return furnished


def key_of(hall: Hall, key_id: bytes) -> tuple[Any, ...]:
    return tuple(hall.chain.call(hall.attestations.functions.keyOf(key_id)))


# --- the contract and Python say the same ---------------------------------------------------------


def test_hashes_are_those_of_python(hall: Hall) -> None:
    functions, call = hall.attestations.functions, hall.chain.call
    enrolment, voucher = hall.enrolment(), hall.voucher()
    named = (hall.operator, hall.model_id, *words(hall.key))
    request = hall.request()
    found = [
        call(functions.voucherStatement(astuple(voucher))),
        call(functions.buildStatement(6, hall.model_id, enrolment.measurement)),
        call(functions.enrolmentStatement(astuple(enrolment), keccak(b"e"))),
        call(functions.binding(*named)),
        call(functions.keyIdOf(*named)),
        call(
            functions.said(
                hall.optimistic.address, hall.request_id(request), hall.model_id, keccak(IMAGE),
                hall.operator, keccak(LOGITS),
            )
        ),
    ]  # fmt: skip
    assert found == [
        attested.voucher_statement(*hall.where, voucher),
        attested.build_statement(*hall.where, 6, hall.model_id, enrolment.measurement),
        attested.enrolment_statement(*hall.where, enrolment, b"e"),
        hall.binding(enrolment),
        attested.key_id(hall.operator, hall.model_id, b"".join(words(hall.key))),
        hall.said(request),
    ]


# --- attesters ------------------------------------------------------------------------------------


def test_approve_by_a_stranger_is_refused(hall: Hall) -> None:
    for name in ("approve", "veto"):
        more = [b""] if name == "approve" else []
        with reverts("NotAnAttester", hall.stranger):
            hall.tell_registry(name, bytes(32), *more)


def test_approve_twice_by_one_counts_once(hall: Hall) -> None:
    statement = keccak(b"statement")
    for _ in range(3):
        hall.tell_registry("approve", statement, b"", sender=hall.attesters[0])
    admitted = hall.attestations.functions.isAdmitted(statement)
    assert not hall.chain.call(admitted)
    hall.tell_registry("approve", statement, b"", sender=hall.attesters[1])
    assert hall.chain.call(admitted)


def test_veto_of_one_outweighs_all_approvals_before_and_after(hall: Hall) -> None:
    statement = keccak(b"statement")
    hall.admit(statement)
    hall.tell_registry("veto", statement, sender=hall.attesters[2])
    hall.admit(statement, by=3)
    assert not hall.chain.call(hall.attestations.functions.isAdmitted(statement))


# --- TPMs: decided here ---------------------------------------------------------------------------


def test_enrol_tpm_good_counts_after_the_delay_for_its_life(hall: Hall) -> None:
    hall.admit_all()
    key_id = hall.enrol()
    now = hall.chain.now()
    assert key_of(hall, key_id) == (now + DELAY, now + DELAY + LIFE, False, False, 6)


def test_enrol_ends_with_what_vouches_for_it(hall: Hall) -> None:
    hall.until = hall.chain.now() + 4 * DAY
    hall.admit_all()
    long = hall.enrolment(until=hall.until + 90 * DAY)
    assert key_of(hall, hall.enrol(long))[1] == hall.until


def test_enrol_that_ends_before_it_counts_is_refused(hall: Hall) -> None:
    hall.admit_all()
    with reverts("KeyExpired"):
        hall.enrol(hall.enrolment(until=hall.chain.now() + DELAY))


@pytest.mark.parametrize("missing", ["voucher", "build"])
def test_enrol_by_what_nobody_admitted_is_refused(hall: Hall, missing: str) -> None:
    build = (Hardware.TPM, hall.model_id, hall.measurement())
    statements = {
        "voucher": attested.voucher_statement(*hall.where, hall.voucher()),
        "build": attested.build_statement(*hall.where, *build),
    }
    for name, statement in statements.items():
        hall.admit(statement, by=1 if name == missing else 2)
    with reverts("NotAdmitted", statements[missing]):
        hall.enrol()


def test_enrol_build_of_another_model_is_refused(hall: Hall) -> None:
    hall.admit_all()
    with reverts("NotAdmitted"):
        hall.enrol(hall.enrolment(model_id=keccak(b"another model")))


BENT: dict[str, tuple[str, Callable[[Hall], dict[str, Any]]]] = {
    "a forged signature": ("NotSigned", lambda hall: {"tpm": new_key()}),
    "another nonce": ("WrongQuote", lambda hall: {"nonce": bytes(32)}),
    "another nonce of the certification": (
        "WrongQuote", lambda hall: {"certify_nonce": bytes(32)}
    ),
    "other registers": ("WrongQuote", lambda hall: {"registers": {**REGISTERS, 7: b"8" * 32}}),
    "fewer registers": ("WrongQuote", lambda hall: {"registers": {0: REGISTERS[0]}}),
    "another key certified": ("WrongQuote", lambda hall: {"certify": new_key()}),
    "a key that was imported": ("WrongQuote", lambda hall: {"attributes": 0x40012}),
    "a key that can leave": ("WrongQuote", lambda hall: {"attributes": 0x40030}),
    "a restricted key": ("WrongQuote", lambda hall: {"attributes": 0x50032}),
    "a key that a password lets sign": ("WrongQuote", lambda hall: {"attributes": 0x40072}),
    "a key without a policy": ("WrongQuote", lambda hall: {"policy": b""}),
    "such a key that a password lets sign": (
        "WrongQuote", lambda hall: {"policy": b"", "attributes": 0x40072}
    ),
    "a policy of zeros": ("WrongQuote", lambda hall: {"policy": bytes(32)}),
    "a policy of fewer registers": (
        "WrongQuote", lambda hall: {"policy": tpm_policy({0: REGISTERS[0]})}
    ),
    "a policy of other registers": (
        "WrongQuote", lambda hall: {"policy": tpm_policy({0: REGISTERS[0], 8: REGISTERS[7]})}
    ),
    "a policy of another state": (
        "WrongQuote", lambda hall: {"policy": tpm_policy({**REGISTERS, 7: b"8" * 32})}
    ),
    "statements swapped": ("WrongQuote", lambda hall: {"swapped": True}),
    "another voucher": (
        "NotAdmitted", lambda hall: {"voucher": replace(hall.voucher(), x=bytes(31) + b"\1")}
    ),
    "another maker's voucher": (
        "WrongKind", lambda hall: {"voucher": replace(hall.voucher(), kind=Hardware.SGX)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("bent", BENT)
def test_enrol_forged_evidence_is_refused(hall: Hall, bent: str) -> None:
    hall.admit_all()
    error, change = BENT[bent]
    enrolment = hall.enrolment()
    with reverts(error):
        hall.enrol(enrolment, hall.evidence(enrolment, **change(hall)).encoded)


@pytest.mark.parametrize(
    "shown",
    [
        b"\1",
        bytes(33),
        bytes(10) + b"\0\x14" + bytes(20),
        bytes(30) + b"\0\x14" + bytes(20),
        bytes(10) + b"\0\x21" + bytes(32),
    ],
)
def test_enrol_quote_without_a_digest_by_sha_256_is_refused(hall: Hall, shown: bytes) -> None:
    """Even where attesters admitted what it shows, for a key whose policy is met in any state (that
    of zeros), or none, or what the last 32 bytes would come to."""
    from hashlib import sha256

    from tests.attestation.authority import tpm_statement

    hall.admit_all()
    last = sha256(bytes(32) + b"\0\0\x01\x7f" + shown[:-34] + shown[-32:]).digest()
    enrolment = hall.enrolment(measurement=sha256(shown).digest())
    build = (Hardware.TPM, hall.model_id, enrolment.measurement)
    hall.admit(attested.build_statement(*hall.where, *build))
    quote = tpm_statement(0x8018, hall.binding(enrolment), shown)
    for policy in (bytes(32), b"", last):
        whole = hall.evidence(enrolment, policy=policy)
        signature = sign(hall.tpm, sha256(quote).digest())
        bent = replace(whole, quote=quote, quote_signature=signature)
        with reverts("WrongQuote"):
            hall.enrol(enrolment, bent.encoded)


@pytest.mark.parametrize("field", ["quote", "certified"])
def test_enrol_statement_cut_at_any_byte_is_refused(hall: Hall, field: str) -> None:
    """Signed by the TPM itself, so that only the reader is there to refuse it."""
    from hashlib import sha256

    hall.admit_all()
    enrolment = hall.enrolment()
    whole = hall.evidence(enrolment)
    data = getattr(whole, field)
    end = len(data) if field == "quote" else len(data) - 3  # then the qualified name, unused
    for size in range(0, end, 7):
        cut = data[:size]
        signature = sign(hall.tpm, sha256(cut).digest())
        bent = replace(whole, **{field: cut, f"{field}_signature": signature})
        with reverts("WrongQuote"):
            hall.chain.call(hall.enrolling(enrolment, bent.encoded), sender=hall.operator)


@pytest.mark.parametrize("change", ["magic", "kind"])
def test_enrol_statement_of_another_sort_is_refused(hall: Hall, change: str) -> None:
    from hashlib import sha256

    hall.admit_all()
    enrolment = hall.enrolment()
    whole = hall.evidence(enrolment)
    bent = bytearray(whole.quote)
    bent[0 if change == "magic" else 5] ^= 1
    data = bytes(bent)
    signed = replace(whole, quote=data, quote_signature=sign(hall.tpm, sha256(data).digest()))
    with reverts("WrongQuote"):
        hall.enrol(enrolment, signed.encoded)


def test_enrol_another_owner_cannot_use_anothers_evidence(hall: Hall) -> None:
    hall.admit_all()
    evidence = hall.evidence(hall.enrolment()).encoded
    stolen = hall.enrolment(owner=hall.rival)
    with reverts("WrongQuote"):
        hall.enrol(stolen, evidence)
    with reverts("NotTheOwner", hall.operator, hall.rival):
        function = hall.enrolling(hall.enrolment(), evidence)
        hall.chain.send(function, sender=hall.rival)


def test_enrol_evidence_for_another_chain_or_registry_is_refused(hall: Hall) -> None:
    hall.admit_all()
    enrolment, point = hall.enrolment(), b"".join(words(hall.key))
    chain_id, registry = hall.where
    for where in ((chain_id + 1, registry), (chain_id, ZERO)):
        nonce = attested.binding(*where, hall.operator, hall.model_id, point)
        with reverts("WrongQuote"):
            hall.enrol(enrolment, hall.evidence(enrolment, nonce=nonce).encoded)


def test_enrol_software_tpm_on_a_development_chain_says_so(hall: Hall) -> None:
    hall.admit_all()
    voucher = hall.voucher(software=True)
    hall.admit(attested.voucher_statement(*hall.where, voucher))
    enrolment = hall.enrolment()
    key_id = hall.enrol(enrolment, hall.evidence(enrolment, voucher=voucher).encoded)
    assert key_of(hall, key_id)[3] is True


def test_enrol_software_tpm_on_a_real_chain_is_refused() -> None:
    with Chain.start("--chain-id", "10") as chain:
        hall = Hall(chain)
        hall.admit_all()
        voucher = hall.voucher(software=True)
        hall.admit(attested.voucher_statement(*hall.where, voucher))
        enrolment = hall.enrolment()
        with reverts("SoftwareOnly", 31337, 10):
            hall.enrol(enrolment, hall.evidence(enrolment, voucher=voucher).encoded)
        hall.enrol()


# --- other kinds: decided by attesters ------------------------------------------------------------


def test_enrol_other_kind_is_admitted_by_the_quorum_and_not_before(hall: Hall) -> None:
    enrolment = hall.enrolment(kind=Hardware.NITRO)
    hall.admit(attested.build_statement(*hall.where, 4, hall.model_id, enrolment.measurement))
    statement = attested.enrolment_statement(*hall.where, enrolment, b"document")
    hall.admit(statement, by=1)
    with reverts("NotAdmitted", statement):
        hall.enrol(enrolment, b"document")
    hall.admit(statement)
    with reverts("NotAdmitted"):  # other evidence than they saw
        hall.enrol(enrolment, b"another document")
    assert key_of(hall, hall.enrol(enrolment, b"document"))[4] == 4


@pytest.mark.parametrize("kind", [Hardware.TPM, Hardware.SNP])
def test_enrol_debug_mode_is_refused(hall: Hall, kind: Hardware) -> None:
    """Even where attesters admitted it."""
    enrolment = hall.enrolment(kind=kind, debug=True)
    hall.admit_all()
    hall.admit(attested.build_statement(*hall.where, kind, hall.model_id, enrolment.measurement))
    hall.admit(attested.enrolment_statement(*hall.where, enrolment, b"report"))
    with reverts("DebugMode"):
        hall.enrol(enrolment, b"report")


def test_enrol_kind_none_is_refused(hall: Hall) -> None:
    with reverts("WrongKind", 0):
        hall.enrol(hall.enrolment(kind=0), b"")


# --- how keys end ---------------------------------------------------------------------------------


def test_enrol_a_key_again_is_refused(hall: Hall) -> None:
    hall.admit_all()
    key_id = hall.enrol()
    with reverts("KeyKnown", key_id):
        hall.enrol()
    hall.revoke()
    with reverts("KeyKnown", key_id):
        hall.enrol()


def test_revoke_is_for_owner_and_attesters_once(hall: Hall) -> None:
    hall.admit_all()
    key_id = hall.enrol()
    with reverts("NotTheOwner", hall.operator, hall.stranger):
        hall.revoke(hall.stranger)
    hall.revoke(hall.attesters[2])
    assert key_of(hall, key_id)[2] is True
    with reverts("KeyRevoked", key_id):
        hall.revoke()


def test_revoke_unknown_key_is_refused(hall: Hall) -> None:
    with reverts("KeyUnknown"):
        hall.revoke()


def test_contradict_two_outputs_of_one_input_revoke_the_key(hall: Hall) -> None:
    """Of two requests, too: a model has one output for an input."""
    hall.admit_all()
    key_id = hall.enrol()
    one, other = hall.request(), hall.request(nonce=1)
    said = hall.one(one), hall.one(other, WRONG)
    hall.chain.send(hall.contradicting(*said, keccak(IMAGE)), sender=hall.stranger)
    assert key_of(hall, key_id)[2] is True
    revoked = hall.attestations.functions.revokedAt(hall.operator, hall.model_id)
    assert hall.chain.call(revoked) == hall.chain.now()


def test_contradict_without_a_contradiction_is_refused(hall: Hall) -> None:
    hall.admit_all()
    hall.enrol()
    one, other = hall.request(), hall.request(nonce=1)
    with reverts("SameOutput", keccak(LOGITS)):
        hall.chain.send(hall.contradicting(hall.one(one), hall.one(other), keccak(IMAGE)))
    forged = hall.one(other, WRONG, key=new_key())
    for pair in ((hall.one(one), forged), (forged, hall.one(one))):
        with reverts("NotSigned"):
            hall.chain.send(hall.contradicting(*pair, keccak(IMAGE)))
    elsewhere = hall.request(nonce=1, input_hash=keccak(b"another input"))
    with reverts("NotSigned"):
        pair = (hall.one(one), hall.one(elsewhere, WRONG))
        hall.chain.send(hall.contradicting(*pair, keccak(IMAGE)))


# --- rules, and chains that cannot check ----------------------------------------------------------


@pytest.mark.parametrize(
    "rules",
    [
        ([], 0, 1, 1),
        ([ZERO], 1, 1, 1),
        (["a", "a"], 1, 1, 1),
        (["a", "b"], 3, 1, 1),
        (["a"], 0, 1, 1),
        (["a"], 1, 1, 0),
        (["a"], 1, 1, LIFE + 1),
        (["a"], 1, 31 * DAY, 1),
    ],
)
def test_constructor_senseless_rules_are_refused(hall: Hall, rules: tuple[Any, ...]) -> None:
    names = {"a": hall.attesters[0], "b": hall.attesters[1], ZERO: ZERO}
    with reverts("WrongRules"):
        hall.make_registry(([names[name] for name in rules[0]], *rules[1:]))


def test_constructor_without_the_precompiled_contract_is_refused() -> None:
    """Before Osaka a call to 0x100 succeeds and answers nothing, which is not a yes."""
    with Chain.start(hardfork="prague") as chain:
        with reverts("NoP256"):
            Hall(chain)
        probe = chain.deploy(f"{HARNESS}/Signatures.sol")
        assert not chain.call(probe.functions.isSigned(*signature()))


def signature() -> tuple[bytes, ...]:
    key = new_key()
    return keccak(b"digest"), *sign(key, keccak(b"digest")), *words(key)


def test_signature_true_of_exactly_what_was_signed(chain: Chain) -> None:
    probe = chain.deploy(f"{HARNESS}/Signatures.sol")
    good = signature()
    assert chain.call(probe.functions.isSigned(*good))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    mirrored = (order - int.from_bytes(good[2], "big")).to_bytes(32, "big")
    assert chain.call(probe.functions.isSigned(*good[:2], mirrored, *good[3:]))
    for place in range(5):
        bent = [bytearray(word) for word in good]
        bent[place][31] ^= 1
        assert not chain.call(probe.functions.isSigned(*map(bytes, bent)))
    assert not chain.call(probe.functions.isSigned(good[0], *[bytes(32)] * 4))


@pytest.mark.parametrize(
    "answer",
    ["", "01", "00" * 31 + "02", "00" * 32, "00" * 31 + "01" + "00"],
    ids=["nothing", "one byte", "two", "zero", "33 bytes"],
)
def test_signature_any_other_answer_than_one_word_of_one_is_no(chain: Chain, answer: str) -> None:
    """Whatever lies at 0x100."""
    size = len(answer) // 2
    code = "7f" + answer.ljust(64, "0")[:64] + "600052" + f"60{size:02x}" + "6000f3"
    probe = chain.deploy(f"{HARNESS}/Signatures.sol")
    stub = "0x" + "00" * 18 + "0200"
    chain.rpc("anvil_setCode", stub, "0x" + code)
    assert not chain.call(probe.functions.isSignedBy(stub, *signature()))
    chain.rpc("anvil_setCode", stub, "0x" + "60016000" + "5260206000f3")
    assert chain.call(probe.functions.isSignedBy(stub, *signature()))
