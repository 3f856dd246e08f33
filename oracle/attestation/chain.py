"""Chains of X.509 certificates up to a pinned root, at a time of the caller's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from oracle.attestation.evidence import (
    Expired,
    MalformedEvidence,
    Policy,
    Revoked,
    SignatureInvalid,
    UntrustedRoot,
)

Certificate = x509.Certificate
MOST = 10  # certificates of a chain
UNREADABLE = (x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm)


def from_pem(data: bytes) -> list[Certificate]:
    """One or more certificates in PEM. Raises MalformedEvidence."""
    return _loaded(lambda: x509.load_pem_x509_certificates(data))


def from_der(*parts: bytes) -> list[Certificate]:
    """Certificates in DER. Raises MalformedEvidence."""
    return _loaded(lambda: [x509.load_der_x509_certificate(part) for part in parts])


def _loaded(load: Callable[[], list[Certificate]]) -> list[Certificate]:
    try:
        with warnings.catch_warnings():  # AMD's VCEKs have the serial number 0
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            found = load()
            for certificate in found:  # parses what was left for later
                _ = certificate.extensions, certificate.subject, certificate.serial_number
                _ = certificate.public_key(), certificate.signature_hash_algorithm
    except (ValueError, TypeError, *UNREADABLE) as error:
        raise MalformedEvidence("certificates", "X.509", f"{error}") from error
    if not 1 <= len(found) <= MOST:
        raise MalformedEvidence("certificates", f"1 to {MOST}", len(found))
    return found


def verify_chain(chain: Sequence[Certificate], policy: Policy) -> datetime:
    """Each certificate is signed by the next, an authority; the last is a pinned root; all are
    valid at the policy's time and none is revoked. When the first of them ends.

    Raises UntrustedRoot, Expired, Revoked, SignatureInvalid.
    """
    fingerprint = chain[-1].fingerprint(SHA256())
    if fingerprint not in policy.roots:
        expected = ", ".join(root.hex() for root in sorted(policy.roots)) or "a root"
        raise UntrustedRoot("root certificate", expected, fingerprint.hex())
    for certificate in chain:
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not since <= policy.at <= until:
            raise Expired(name_of(certificate), f"a time from {since} to {until}", policy.at)
    issuers = [*chain[1:], chain[-1]]
    for depth, (certificate, issuer) in enumerate(zip(chain, issuers, strict=True)):
        _check_authority(issuer, max(0, min(depth, len(chain) - 2)))
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError) as error:
            by = f"the signature of {name_of(issuer)}"
            raise SignatureInvalid(name_of(certificate), by, "another") from error
    _check_revocation(chain, policy)
    return min(certificate.not_valid_after_utc for certificate in chain)


def _check_authority(issuer: Certificate, below: int) -> None:
    """`below`: certificates between it and the leaf."""
    try:
        found = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise UntrustedRoot(name_of(issuer), "an authority", "no basic constraints") from None
    if not found.ca or (found.path_length is not None and found.path_length < below):
        raise UntrustedRoot(name_of(issuer), f"an authority over {below} more", f"{found}")


def _check_revocation(chain: Sequence[Certificate], policy: Policy) -> None:
    lists = [_crl(data) for data in policy.crls]
    for certificate, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        own = [crl for crl in lists if crl.issuer == issuer.subject]
        for crl in own:
            if not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
                raise SignatureInvalid(
                    f"revocation list of {name_of(issuer)}", "its own", "another"
                )
            entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None and entry.revocation_date_utc <= policy.at:
                when = f"revoked at {entry.revocation_date_utc}"
                raise Revoked(name_of(certificate), "a certificate that holds", when)
        if name_of(issuer) in policy.crl_issuers and not any(_fresh(c, policy.at) for c in own):
            raise Revoked(name_of(certificate), "a fresh revocation list of its issuer", "none")


def _crl(data: bytes) -> x509.CertificateRevocationList:
    try:
        return x509.load_der_x509_crl(data)
    except ValueError as error:
        raise MalformedEvidence("revocation list", "X.509 in DER", f"{error}") from error


def revoked(data: bytes, issuer: Certificate) -> list[int]:
    """The serial numbers that a revocation list (DER) of an issuer names. Raises MalformedEvidence,
    SignatureInvalid."""
    crl = _crl(data)
    if not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        raise SignatureInvalid(f"revocation list of {name_of(issuer)}", "its own", "another")
    return [entry.serial_number for entry in crl]


def _fresh(crl: x509.CertificateRevocationList, at: datetime) -> bool:
    return (
        crl.last_update_utc <= at and crl.next_update_utc is not None and at < crl.next_update_utc
    )


def name_of(certificate: Certificate) -> str:
    """The common name, else the serial number (NVIDIA's device certificates)."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = names or certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def verify_ecdsa(
    what: str,
    key: object,
    curve: type[ec.EllipticCurve],
    scalars: tuple[int, int],
    data: bytes,
    algorithm: HashAlgorithm,
) -> None:
    """An ECDSA signature (r, s) over data. Raises SignatureInvalid."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, curve):
        raise SignatureInvalid(what, f"a key on {curve.name}", type(key).__name__)
    try:
        signature = utils.encode_dss_signature(*scalars)
        key.verify(signature, data, ec.ECDSA(algorithm))
    except (InvalidSignature, ValueError) as error:
        raise SignatureInvalid(what, "its key's signature", "another") from error
