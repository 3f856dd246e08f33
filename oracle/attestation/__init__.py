"""Evidence that certain code ran on certain hardware, decided offline: docs/attestation.md.

    attested = verify(Kind.NITRO, {"document": data}, Policy(roots=NITRO_ROOTS, at=now))

No network and no clock: certificates, revocation lists, collateral and the time come from the
caller, the roots are pinned. What is refused is refused with an AttestationError.
"""

from collections.abc import Callable, Mapping

from oracle.attestation import dcap, nitro, nvidia, snp, tpm
from oracle.attestation.evidence import (
    AttestationError,
    Attested,
    DebugMode,
    Expired,
    Kind,
    MalformedEvidence,
    Policy,
    Revoked,
    SignatureInvalid,
    TcbRefused,
    UnexpectedValue,
    UntrustedRoot,
)
from oracle.attestation.roots import ROOTS

VERIFIERS: Mapping[Kind, tuple[tuple[str, ...], Callable[..., Attested]]] = {
    Kind.SGX: (("quote", "collateral"), dcap.verify_sgx),
    Kind.TDX: (("quote", "collateral"), dcap.verify_tdx),
    Kind.SNP: (("report", "chain"), snp.verify),
    Kind.NITRO: (("document",), nitro.verify),
    Kind.NVIDIA: (("report", "chain"), nvidia.verify),
    Kind.TPM: (("quote", "signature", "pcrs", "chain"), tpm.verify),
}


def verify(kind: Kind, parts: Mapping[str, bytes], policy: Policy) -> Attested:
    """What evidence of a kind shows under a policy. Raises AttestationError."""
    names, decide = VERIFIERS[kind]
    if set(parts) != set(names):
        raise MalformedEvidence(kind, f"the parts {', '.join(names)}", f"{sorted(parts)}")
    return decide(**parts, policy=policy)


__all__ = [
    "ROOTS",
    "AttestationError",
    "Attested",
    "DebugMode",
    "Expired",
    "Kind",
    "MalformedEvidence",
    "Policy",
    "Revoked",
    "SignatureInvalid",
    "TcbRefused",
    "UnexpectedValue",
    "UntrustedRoot",
    "verify",
]
