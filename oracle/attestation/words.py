"""Evidence in words: whose root, which certificate, what was measured, for somebody to read."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.hashes import SHA256

from oracle.attestation.chain import certificate_in_words, is_list_of, list_in_words, name_of
from oracle.attestation.enrolment import QUOTED
from oracle.attestation.evidence import Attested, Kind, Policy
from oracle.attestation.quote import point
from oracle.attestation.roots import ROOTS
from oracle.attestation.tpm import is_empty

HARDWARE: Mapping[Kind, str] = {
    Kind.SGX: "Intel SGX, an enclave",
    Kind.TDX: "Intel TDX, a virtual machine",
    Kind.SNP: "AMD SEV-SNP, a virtual machine",
    Kind.NITRO: "AWS Nitro, an enclave",
    Kind.NVIDIA: "NVIDIA, a GPU",
    Kind.TPM: "TPM 2.0, a machine's boot, in whose state alone its key signs",
}


def of_chain(shown: Attested, policy: Policy) -> dict[str, str]:
    """The root that is trusted, and whether it is the maker's; the certificate of what signed the
    evidence, a TPM's with its key, for which a voucher is; revocation lists."""
    leaf, root = shown.certificates[0], shown.certificates[-1]
    digest = root.fingerprint(SHA256())
    if digest in ROOTS[shown.kind]:
        trusted = "the one that is pinned here"
    elif ROOTS[shown.kind]:
        trusted = "NOT the one that is pinned here: trusted because you named it"
    else:
        trusted = "trusted because you named it: none is pinned for this kind"
    found = {
        "root": f"{to_hex(digest)}, {name_of(root)}, {trusted}",
        "certificate": f"{certificate_in_words(leaf)}, which signed the evidence",
    }
    if shown.kind is Kind.TPM:
        found["attestation key"] = f"{to_hex(point(leaf))}, of that certificate, a TPM's"
    end = "collateral" if shown.kind in QUOTED else "certificates"
    good, until = policy.at.isoformat(), shown.valid_until.isoformat()
    found["certificates"] = f"good at {good}; {end} until {until}"
    return {**found, "revocation lists": _lists(shown, policy)}


def _lists(shown: Attested, policy: Policy) -> str:
    if shown.kind in QUOTED:
        return "Intel's, of root and platforms, in the collateral"
    issuer = shown.certificates[:2][-1]
    lists = [list_in_words(crl) for crl in policy.crls]
    if not any(is_list_of(crl, issuer) for crl in policy.crls):
        lists.append(f"NONE of {name_of(issuer)}, which issued the certificate")
    return "; ".join(lists)


def of_level(shown: Attested, policy: Policy) -> str:
    """The level that was found, and the lowest that the policy takes."""
    if shown.kind in QUOTED:
        taken, known = " or ".join(sorted(policy.statuses)), ", ".join(shown.advisories) or "none"
        return f"{shown.status} ({taken} is taken); advisories: {known}"
    if not shown.levels:
        return "none: evidence of this kind says nothing of it"
    least = ", ".join(f"{name} {policy.tcb[name]}" for name in shown.levels)
    return f"{shown.status}; least: {least}"


def of_measurements(
    kind: Kind, values: Mapping[str, bytes], build: frozenset[str]
) -> dict[str, str]:
    """Each value; those that do not make the build, and registers without any, are marked."""
    found = {}
    for name, value in values.items():
        marks = [] if name in build else ["not of the build"]
        marks += ["nothing measured"] if kind is Kind.TPM and is_empty(value) else []
        found[name] = to_hex(value) + "".join(f" ({mark})" for mark in marks)
    return found


def to_hex(data: bytes) -> str:
    return "0x" + data.hex()
