"""Answer keys by hand: enrolled, approved, vetoed, contradicted; what `einproof attest` does on a
site."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oracle.adapters.answer_key import FileKey, TpmKey
from oracle.adapters.attestations import (
    NoContradiction,
    approve_call,
    contradict_call,
    enrol_call,
    is_admitted,
    is_vetoed,
    signed_by,
    veto_call,
)
from oracle.adapters.deployment import ATTESTATIONS
from oracle.adapters.tpm import Tpm
from oracle.adapters.wallet import Wallet
from oracle.attestation import Kind, Policy
from oracle.attestation.approval import Approval, asked
from oracle.attestation.chain import from_pem, revoked
from oracle.attestation.enrolment import (
    FRESH,
    QUOTED,
    Applicant,
    decide,
    evidence_bytes,
    from_quote,
    from_tpm,
    quoted_parts,
    voucher_of,
)
from oracle.attestation.quote import point
from oracle.attestation.tpm import check_registers
from oracle.bootstrap import Site
from oracle.domain.attested import Enrolment, Level, Voucher, certificate_statement, key_id
from oracle.domain.chain import Stood
from oracle.domain.errors import KeyRefused, SettingsInvalid
from oracle.offers import read_events

Report = dict[str, Any]
#: Seconds by which a person's clock may run before the chain's: a block's time, and more.
AHEAD = 3600


@dataclass(frozen=True)
class Given:
    """Evidence as somebody holds it: the parts, none of a TPM at hand; `names` of measurements that
    make the build, `until` the end that is asked for."""

    kind: Kind
    parts: Mapping[str, bytes]
    policy: Policy | None
    names: Sequence[str]
    until: int | None


async def enrol(
    site: Site,
    wallet: Wallet,
    model_id: bytes,
    key: TpmKey | FileKey,
    given: Given,
    out: Path | None = None,
) -> Report:
    """Enrols a key of the wallet's owner for a model. What attesters have not approved yet is named
    in the report, and nothing is sent. `out`: a folder for what they need of a TPM.

    Raises KeyRefused, SettingsInvalid, AttestationError, TpmFailed, and what sending raises."""
    where = (site.identity.chain_id, site.deployment.address(ATTESTATIONS))
    check_end(given.until, (await site.chain.head()).timestamp)
    applicant = Applicant(*where, wallet.signer.address, model_id, await key.point())
    enrolment, evidence, beside = _made(applicant, key, given, out)
    missing = {
        name: "0x" + statement.hex()
        for name, statement in asked(applicant, enrolment, beside).items()
        if not await is_admitted(site.chain, where[1], statement)
    }
    report: Report = {
        "owner": applicant.owner,
        "key": "0x" + key_id(applicant.owner, model_id, applicant.point).hex(),
        "point": "0x" + applicant.point.hex(),
        "measurement": "0x" + enrolment.measurement.hex(),
        "until": enrolment.until,
        **({"written": str(out)} if out else {}),
    }
    if missing:
        return {**report, "enrolled": False, **{f"approve {n}": s for n, s in missing.items()}}
    await wallet.transact(enrol_call(where[1], enrolment, evidence))
    return {**report, "enrolled": True}


def _made(
    applicant: Applicant, key: TpmKey | FileKey, given: Given, out: Path | None
) -> tuple[Enrolment, bytes, Voucher | Level | bytes]:
    """The enrolment, the evidence that the contract takes, and what vouches beside the build."""
    if given.policy is None:
        if not isinstance(key, TpmKey) or given.until is None:
            raise KeyRefused("a TPM's evidence is made with a key in it: tpm:WHERE#LABEL@REGISTERS")
        tpm, sealed = key.tpm, key.sealed()
        held = tpm.registers(sealed.registers)
        check_registers(dict(zip(sorted(sealed.registers), held, strict=True)))
        voucher = voucher_of(tpm, given.until)
        enrolment, proof = from_tpm(tpm, applicant, sealed, voucher)
        if out is not None:
            _write(out, tpm, quoted_parts(proof, held))
        return enrolment, proof.encoded, voucher
    if given.kind in QUOTED:
        quoted = from_quote(given.kind, given.parts, given.policy, applicant, given.until)
        return quoted[0], quoted[1].encoded, quoted[2]
    how = (given.kind, given.parts, given.policy, applicant, given.names, given.until)
    evidence = evidence_bytes(given.kind, given.parts)
    return decide(*how), evidence, evidence


def _write(out: Path, tpm: Tpm, parts: Mapping[str, bytes]) -> None:
    """The parts of a quote, and the attestation key: its public area says what it can be used for,
    in PEM it is what a certificate is made for."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), b"\4" + tpm.attestation_point()
    )
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files = {**parts, "attestation-key": tpm.attestation_area(), "attestation-key.pem": pem}
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)


async def approve(
    site: Site,
    wallet: Wallet,
    approval: Approval,
    *,
    evidence: bytes,
    only: Sequence[str],
    ask: Callable[[str], bool] | None,
) -> Report:
    """Approves what an approval stands for and is not admitted yet: of it `only` those of these
    names, if there are any, and those to which `ask` says yes; without `ask` all, if every
    measurement of the build was named. Raises SettingsInvalid, and what sending raises."""
    registry, statements = site.deployment.address(ATTESTATIONS), approval.statements
    odd = sorted(set(only) - set(statements))
    if odd:
        named = " or ".join(statements)
        raise SettingsInvalid(f"expected {named} after --only, got {', '.join(odd)}")
    chosen = [
        name
        for name, word in statements.items()
        if name in (only or statements) and not await is_admitted(site.chain, registry, word)
    ]
    if ask is None and "build" in chosen and approval.unnamed:
        listed = ", ".join(approval.unnamed)
        raise SettingsInvalid(f"expected --measurement NAME=HEX with --yes, of {listed}")
    if ask is not None:
        chosen = [name for name in chosen if ask(name)]
    for name in chosen:
        call = approve_call(registry, statements[name], evidence or approval.looked_at)
        await wallet.transact(call)
    admitted = [await is_admitted(site.chain, registry, word) for word in statements.values()]
    report: Report = {name: "0x" + word.hex() for name, word in statements.items()}
    return {**report, "approved": chosen, "admitted": all(admitted)}


def listed(site: Site, lists: Sequence[bytes], issuer: bytes, at: datetime) -> list[bytes]:
    """The statements about certificates that Intel's revocation lists (DER) of an issuer (PEM)
    name, good at a time. Raises AttestationError."""
    where = (site.identity.chain_id, site.deployment.address(ATTESTATIONS))
    by = from_pem(issuer)[0]
    serials = [serial for crl in lists for serial in revoked(crl, by, at)]
    return [certificate_statement(*where, point(by), serial) for serial in serials]


async def veto(site: Site, wallet: Wallet, statements: Sequence[bytes]) -> Report:
    """Ends those that nobody ended yet."""
    registry = site.deployment.address(ATTESTATIONS)
    new = [each for each in statements if not await is_vetoed(site.chain, registry, each)]
    for each in new:
        await wallet.transact(veto_call(registry, each))
    return {"vetoed": ["0x" + each.hex() for each in new], "known": len(statements) - len(new)}


async def contradict(site: Site, wallet: Wallet, one: bytes, other: bytes) -> Report:
    """Revokes the key that answered two requests, by their ids, in two ways. Raises
    NoContradiction, NoRequest, and what sending raises."""
    found = []
    for id in (one, other):
        request, events = await read_events(site, id)
        tier = await site.chain.tier(request.assurance)
        stood = [event for event in events if isinstance(event, Stood)]
        signed = tier and stood and await signed_by(site.chain, request, tier, stood[-1])
        if not signed:
            raise NoContradiction(f"no key is shown to have answered 0x{id.hex()}")
        found.append(signed)
    await wallet.transact(contradict_call(*found))
    named = {"owner": found[0].owner, "model": "0x" + found[0].request.model_id.hex()}
    return {**named, "point": "0x" + found[0].point.hex(), "revoked": True}


def check_end(until: int | None, now: int) -> None:
    """Raises SettingsInvalid for an end that the chain has passed."""
    if until is not None and until <= now:
        raise SettingsInvalid(f"expected --until after {_at(now)}, the chain's time: {_at(until)}")


def check_time(at: datetime, now: int) -> None:
    """Raises SettingsInvalid for a time of verification that is not about now by the chain: of what
    was good once, or will be good, nothing follows that an attester could say today."""
    if not now - FRESH <= at.timestamp() <= now + AHEAD:
        span = f"from {_at(now - FRESH)} to {_at(now + AHEAD)}"
        raise SettingsInvalid(f"expected --at {span}, about the chain's time, got {at.isoformat()}")


def _at(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()
