"""What attesters approve: statements made of what they hold in their own hands, and said in words.

Who approves a hash that somebody handed over approves what nobody read. `of_evidence` makes the
statements anew from evidence and policy, `of_values` a build's from measurements that the attester
knows, for having built it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from oracle.attestation.enrolment import (
    QUOTED,
    Applicant,
    bounded,
    decide,
    enrolment_of,
    evidence_bytes,
    examine,
    from_quote,
    measurement,
    tpm_measurement,
)
from oracle.attestation.evidence import Kind, MalformedEvidence, Policy, UnexpectedValue
from oracle.attestation.quote import point
from oracle.attestation.tpm import DIGEST, REGISTERS, SHA_256, check_registers
from oracle.attestation.words import HARDWARE, of_chain, of_level, of_measurements, to_hex
from oracle.domain.attested import (
    WORD,
    Enrolment,
    Hardware,
    Level,
    Voucher,
    build_statement,
    enrolment_statement,
    level_statement,
    voucher_statement,
)

#: Kinds whose whole report is the build: no names choose from it.
WHOLE = QUOTED | {Kind.TPM}
SAYS: Mapping[str, str] = {
    "build": "what measures so computes this model, and reports for no key but its own",
    "enrolment": "this key may answer for this owner, by this evidence, until its end",
    "level": "firmware of this level is good until its end, whoever enrols by it",
    "voucher": "this certified key is a TPM's attestation key, until its end",
}


@dataclass(frozen=True)
class Approval:
    """words: what is approved, to be read; statements: the same as the registry counts it, by name;
    looked_at: what is published; unnamed: measurements of the build whose value nobody gave."""

    words: Mapping[str, str]
    statements: Mapping[str, bytes]
    looked_at: bytes
    unnamed: tuple[str, ...] = ()


def asked(
    applicant: Applicant, enrolment: Enrolment, beside: Voucher | Level | bytes
) -> dict[str, bytes]:
    """What attesters have to admit before an enrolment: its build, and what vouches `beside` it, a
    voucher, a level, or the evidence itself."""
    where = (applicant.chain_id, applicant.registry)
    match beside:
        case Voucher():
            found = {"voucher": voucher_statement(*where, beside)}
        case Level():
            found = {"level": level_statement(*where, beside)}
        case bytes():
            found = {"enrolment": enrolment_statement(*where, enrolment, beside)}
    build = (enrolment.kind, enrolment.model_id, enrolment.measurement)
    return {**found, "build": build_statement(*where, *build)}


def of_evidence(
    kind: Kind,
    parts: Mapping[str, bytes],
    policy: Policy,
    applicant: Applicant,
    names: Sequence[str] = (),
    until: int | None = None,
) -> Approval:
    """What an applicant's evidence stands for; `names` are the measurements that make the build,
    where it is not the whole report. Of a TPM the leaf of its chain is the key that is vouched for,
    `until` a second that has to be said.

    Raises AttestationError as `decide` and `from_quote` do."""
    shown = examine(kind, parts, policy, applicant)
    makes = sorted(shown.measurements) if kind in WHOLE else sorted(set(names))
    bare = sorted(set(names) - set(policy.measurements)) if kind in WHOLE else []
    if bare:
        raise UnexpectedValue(f"{kind} measurements", "values: the whole report is the build", bare)
    beside: Voucher | Level | bytes
    if kind is Kind.TPM:
        if until is None:
            raise UnexpectedValue("tpm voucher", "its end", "none")
        check_registers(_numbered(shown.measurements))
        end = bounded("tpm voucher", until, policy, shown.valid_until)
        vouched = point(shown.certificates[0])
        beside = Voucher(Hardware.TPM, False, vouched[:WORD], vouched[WORD:], end)
        word = tpm_measurement(parts["quote"])
        enrolment = enrolment_of(Hardware.TPM, applicant, word, end)
    elif kind in QUOTED:
        enrolment, _, beside = from_quote(kind, parts, policy, applicant, until)
    else:
        enrolment = decide(kind, parts, policy, applicant, names, until)
        beside = evidence_bytes(kind, parts)
    statements = asked(applicant, enrolment, beside)
    words = {
        "hardware": HARDWARE[kind],
        **of_chain(shown, policy),
        "level": of_level(shown, policy),
        "report data": f"{to_hex(shown.report_data)}, which binds chain {applicant.chain_id}, "
        f"registry {applicant.registry}, owner, model and answer key",
        "owner": applicant.owner,
        "answer key": to_hex(applicant.point),
        "model": to_hex(applicant.model_id),
        **of_measurements(kind, shown.measurements, frozenset(makes)),
        "build": to_hex(enrolment.measurement),
        "until": datetime.fromtimestamp(enrolment.until, UTC).isoformat(),
        **{f"approve {name}": SAYS[name] for name in statements},
    }
    unnamed = tuple(name for name in makes if name not in policy.measurements)
    return Approval(words, statements, evidence_bytes(kind, parts), unnamed)


def of_values(
    kind: Kind, chain_id: int, registry: str, model_id: bytes, values: Mapping[str, bytes]
) -> Approval:
    """A build, by the measurements that make it. Raises UnexpectedValue for a kind of which they
    are not all, MalformedEvidence for registers that are none."""
    if kind in QUOTED:
        raise UnexpectedValue("kind", "one whose build is named: here it is the whole report", kind)
    if kind is Kind.NVIDIA:
        raise UnexpectedValue("kind", "one that holds the key: a GPU stands beside a machine", kind)
    if not values:
        raise UnexpectedValue(f"{kind} measurements", "those that make the build", "none")
    word = _registers(values) if kind is Kind.TPM else measurement(values)
    statements = {"build": build_statement(chain_id, registry, Hardware[kind.name], model_id, word)}
    words = {
        "hardware": HARDWARE[kind],
        "model": to_hex(model_id),
        **of_measurements(kind, values, frozenset(values)),
        "build": to_hex(word),
        "approve build": SAYS["build"],
    }
    listed = "\n".join(f"{name}={to_hex(values[name])}" for name in sorted(values))
    return Approval(words, statements, listed.encode())


def _registers(values: Mapping[str, bytes]) -> bytes:
    """`tpm_measurement` of a quote over these registers."""
    held = _numbered(values)
    check_registers(held)
    bitmap = sum(1 << number for number in held).to_bytes(REGISTERS // 8, "little")
    selection = (1).to_bytes(4, "big") + SHA_256.to_bytes(2, "big") + b"\3" + bitmap
    digest = sha256(b"".join(held[number] for number in sorted(held))).digest()
    return sha256(selection + DIGEST.to_bytes(2, "big") + digest).digest()


def _numbered(values: Mapping[str, bytes]) -> dict[int, bytes]:
    """Registers by their numbers. Raises MalformedEvidence."""
    known = {f"pcr{number}": number for number in range(REGISTERS)}
    odd = [name for name, value in values.items() if name not in known or len(value) != DIGEST]
    if odd:
        expected = f"pcr0 to pcr{REGISTERS - 1}, {DIGEST} bytes each"
        raise MalformedEvidence("TPM registers", expected, ", ".join(odd))
    return {known[name]: value for name, value in values.items()}
