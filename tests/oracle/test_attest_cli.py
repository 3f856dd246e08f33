"""einproof attest: evidence in files, decided offline; keys revoked by hand."""

from datetime import timedelta

import pytest

from oracle.adapters.attestations import key_shown
from oracle.adapters.chain import NodeChain
from oracle.adapters.rpc import Node
from oracle.attestation import Kind
from tests.attestation import test_evidence as made
from tests.attestation.authority import NOW
from tests.contracts.bench import WRONG
from tests.contracts.desk import LOGITS
from tests.contracts.hall import point
from tests.evm import Chain
from tests.oracle.attesting import files, opened, typed
from tests.oracle.world import run

__all__ = ["opened"]  # a fixture

AT = NOW.isoformat()


@pytest.mark.parametrize("kind", Kind)
def test_verify_evidence_in_files(kind, tmp_path):
    given = files(tmp_path, made.evidence(kind))
    root = ("--root", made.TOP[kind].root.hex())
    nonce = "0x" + made.NONCE.ljust(made.WIDE.get(kind, 32), b"\0").hex()
    words = ("verify", kind.value, *given, *root, "--at", AT)
    shown = typed(*words, "--report-data", nonce, "--json")
    assert shown["kind"] == kind.value and shown["report_data"] == nonce
    name, value = next(iter(shown["measurements"].items()))
    assert typed(*words, "--measurement", f"{name}={value}", "--json") == shown
    assert name in typed(*words)
    typed(*words, "--measurement", f"{name}=00", code=1)
    typed(*words, "--report-data", "0x00", code=1)
    if kind is Kind.SNP:
        assert typed(*words, "--tcb", "microcode=169", "--tcb", "snp=10", "--json") == shown
        higher = typed(*words, "--tcb", "microcode=170", code=1)
        assert "expected 170 or more, got 169" in higher
    else:
        assert "got microcode" in typed(*words, "--tcb", "microcode=0", code=1)
    typed(
        "verify",
        kind.value,
        *given,
        *root,
        "--at",
        (NOW + timedelta(days=4000)).isoformat(),
        code=1,
    )
    typed("verify", kind.value, *given, "--root", "00" * 32, "--at", AT, code=1)
    odd = ("--part", given[1].replace("=", "s=", 1))
    typed("verify", kind.value, *odd, *given[2:], *root, "--at", AT, code=1)


def test_verify_takes_a_root_in_a_file_and_a_revocation_list(tmp_path):
    kind = Kind.NITRO
    device = made.device(kind)
    given = files(tmp_path, made.evidence(kind, device))
    pem = tmp_path / "root.pem"
    pem.write_bytes(made.TOP[kind].pem)
    words = ("verify", "nitro", *given, "--root", pem, "--at", AT)
    shown = typed(*words, "--json")
    assert shown["kind"] == "nitro"
    assert "NOT the one that is pinned here" in shown["root"]
    assert f"serial number {device.chain[0].serial_number:#x}" in shown["certificate"]
    assert "NONE of Authority of nitro" in shown["revocation lists"]
    chain = tmp_path / "chain.pem"
    chain.write_bytes(device.pem)  # whoever made it put a root of its own at its end
    said = typed("verify", "nitro", *given, "--root", chain, "--at", AT, code=1)
    assert "expected one certificate, the root's" in said
    typed(*words, "--crl", tmp_path / "missing", code=1)


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "abacus", "--part", "a=b"),
        ("verify", "nitro", "--part", "document"),
        ("verify", "nitro", "--part", "document=/missing"),
        ("verify", "nitro", "--part", f"document={__file__}", "--at", "noon"),
        ("verify", "nitro", "--part", f"document={__file__}", "--measurement", "pcr0=xyz"),
        ("verify", "nitro", "--part", f"document={__file__}", "--status", "OutOfDate"),
        ("verify", "snp", "--part", f"report={__file__}", "--tcb", "microcode"),
        ("verify", "snp", "--part", f"report={__file__}", "--tcb", "microcode=-1"),
    ],
)
def test_verify_what_is_typed_wrong_is_refused(words):
    said = typed(*words, code=1)
    assert "expected" in said or "cannot read /missing" in said


@pytest.mark.chain
def test_contradict_two_answers_by_hand(opened):
    """Of two requests; what is no contradiction is refused before anything is sent."""
    with Chain.start() as evm:
        hall = opened(evm)
        hall.ready()

        def asked(nonce, **fields):
            request = hall.request(nonce=nonce, **fields)
            return request, "0x" + hall.request_id(request).hex()

        def posted(nonce, output=LOGITS):
            request, id = asked(nonce)
            hall.ask(request)
            hall.post(request, output=output)
            return id

        def contradicted(*ids, code=0):
            return typed(
                "contradict", *ids, "--key", "dev:6", *(() if code else ("--json",)), code=code
            )

        right, again, wrong = posted(0), posted(1), posted(2, WRONG)
        assert "got the same in both" in contradicted(right, again, code=1)
        request, elsewhere = asked(3, input=b"another")
        call = hall.oracle.functions.request(request.fields, b"another")
        evm.send(call, sender=hall.requester, value=request.cost)
        unsigned = f"no key is shown to have answered {elsewhere}"
        assert unsigned in contradicted(right, elsewhere, code=1)
        claim = {"payee": hall.operator, "image": b"another", "output": WRONG}
        signed = hall.answering(request, **claim, proof=hall.attestation(request, WRONG))
        evm.send(signed, sender=hall.operator)
        assert "of one input" in contradicted(right, elsewhere, code=1)
        assert "no request 0x" in contradicted(right, "0x" + "05" * 32, code=1)
        where = (hall.attestations.address, hall.operator, hall.model_id, point(hall.key))
        chain = NodeChain(Node(evm.url), hall.oracle.address, {})
        assert not run(key_shown(chain, *where))[0].revoked
        done = contradicted(right, wrong)
        assert done["owner"] == hall.operator and done["point"] == "0x" + point(hall.key).hex()
        assert run(key_shown(chain, *where))[0].revoked
        assert "KeyRevoked" in contradicted(right, wrong, code=1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--point", "0x" + "00" * 64, "--answer-key", "a.pem"), "--point or --answer-key"),
        (("--owner", "0x" + "01" * 20), "expected --point with --owner"),
        (("--owner", "me", "--point", "0x" + "00" * 64), "expected an address after --owner"),
        (("--point", "0x00"), "expected 64 bytes"),
    ],
)
def test_revoke_what_is_typed_wrong_is_refused(words, expected):
    assert expected in typed("revoke", "0x" + "00" * 32, *words, code=1)
