"""Chains of X.509 certificates up to a pinned root, at a time of the caller's.

Source: RFC 5280, sections 4.2.1 (extensions of certificates), 5 (revocation lists), 6.1 (paths).
`cryptography` parses and checks signatures; its own verifier is for the web's certificates, and
takes neither AMD's nor NVIDIA's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtensionOID, NameOID

from oracle.attestation.evidence import (
    Expired,
    MalformedEvidence,
    Policy,
    Revoked,
    SignatureInvalid,
    UnexpectedValue,
    UntrustedRoot,
)

Certificate = x509.Certificate
Extension = TypeVar("Extension", bound=x509.ExtensionType)
MOST = 10  # certificates of a chain
#: Critical extensions that a certificate may have. No name is relied on, so any may be there.
KNOWN = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
UNREADABLE = (
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)


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


def verify_chain(
    chain: Sequence[Certificate], policy: Policy, purpose: x509.ObjectIdentifier | None = None
) -> datetime:
    """Each certificate is signed by the next, an authority; the first may sign data, and is for
    `purpose` (an extended key usage) if one is named; the last is a pinned root; all are valid at
    the policy's time and none is revoked. When the first of them ends.

    Raises UntrustedRoot, Expired, Revoked, SignatureInvalid, and for revocation lists
    MalformedEvidence, UnexpectedValue.
    """
    fingerprint = chain[-1].fingerprint(SHA256())
    if fingerprint not in policy.roots:
        expected = ", ".join(root.hex() for root in sorted(policy.roots)) or "a root"
        raise UntrustedRoot("root certificate", expected, fingerprint.hex())
    for certificate in chain:
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not since <= policy.at <= until:
            raise Expired(name_of(certificate), f"a time from {since} to {until}", policy.at)
        _check_critical(certificate, purpose is not None and certificate is chain[0])
    if purpose is not None:
        _check_purpose(chain[0], purpose)
    usage = _extension(chain[0], x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        raise UntrustedRoot(name_of(chain[0]), "a key that may sign data", f"{usage}")
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
    basic, usage = _extension(issuer, x509.BasicConstraints), _extension(issuer, x509.KeyUsage)
    if basic is None:
        raise UntrustedRoot(name_of(issuer), "an authority", "no basic constraints")
    if not basic.ca or (basic.path_length is not None and basic.path_length < below):
        raise UntrustedRoot(name_of(issuer), f"an authority over {below} more", f"{basic}")
    if usage is None or not usage.key_cert_sign:
        raise UntrustedRoot(name_of(issuer), "a key that may sign certificates", f"{usage}")


def _check_purpose(leaf: Certificate, purpose: x509.ObjectIdentifier) -> None:
    uses, basic = _extension(leaf, x509.ExtendedKeyUsage), _extension(leaf, x509.BasicConstraints)
    named = [each.dotted_string for each in uses or ()]
    if purpose.dotted_string not in named:
        expected = f"a key for {purpose.dotted_string}"
        raise UntrustedRoot(name_of(leaf), expected, f"for {named or 'nothing that is named'}")
    if basic is not None and basic.ca:
        raise UntrustedRoot(name_of(leaf), f"a key for {purpose.dotted_string}", "an authority")


def _check_critical(certificate: Certificate, purposed: bool) -> None:
    """What has to be understood, and is not, is refused. `purposed`: its purpose is checked."""
    for found in certificate.extensions:
        if purposed and found.oid == ExtensionOID.EXTENDED_KEY_USAGE:
            continue
        if found.critical and found.oid not in KNOWN:
            odd = f"{found.oid.dotted_string}, critical"
            raise UntrustedRoot(name_of(certificate), "extensions that are known here", odd)


def _check_revocation(chain: Sequence[Certificate], policy: Policy) -> None:
    issuers = [*chain[1:], chain[-1]]
    lists = [_crl(data) for data in policy.crls]
    for crl in lists:
        if crl.issuer not in [issuer.subject for issuer in issuers]:
            expected = "one of " + ", ".join(sorted({name_of(issuer) for issuer in issuers}))
            raise UnexpectedValue(
                "revocation list", expected, printable(crl.issuer.rfc4514_string())
            )
    for certificate, issuer in zip(chain, issuers, strict=True):
        own = [crl for crl in lists if crl.issuer == issuer.subject]
        for crl in own:
            _check_list(crl, issuer, policy.at)
            entry = _entry(crl, certificate)
            if entry is not None and entry.revocation_date_utc <= policy.at:
                when = f"revoked at {entry.revocation_date_utc}"
                raise Revoked(name_of(certificate), "a certificate that holds", when)
        if name_of(issuer) in policy.crl_issuers and not own:
            raise Revoked(name_of(certificate), "a revocation list of its issuer", "none")


def revoked(data: bytes, issuer: Certificate, at: datetime) -> list[int]:
    """The serial numbers that a revocation list (DER) of an issuer names, good at a time. Raises
    MalformedEvidence, SignatureInvalid, UntrustedRoot, Expired."""
    crl = _crl(data)
    _check_list(crl, issuer, at)
    return [entry.serial_number for entry in crl]


def _check_list(crl: x509.CertificateRevocationList, issuer: Certificate, at: datetime) -> None:
    """It is whole, its issuer's, who may sign it, and not stale."""
    what = f"revocation list of {name_of(issuer)}"
    try:
        is_own = crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
        critical = [found.oid.dotted_string for found in crl.extensions if found.critical]
    except (ValueError, TypeError, *UNREADABLE) as error:
        raise MalformedEvidence(what, "X.509", f"{error}") from error
    if not is_own:
        raise SignatureInvalid(what, "its own", "another")
    usage = _extension(issuer, x509.KeyUsage)
    if usage is None or not usage.crl_sign:
        raise UntrustedRoot(what, "a key that may sign revocation lists", f"{usage}")
    if critical:  # of a part of them, of changes, of another issuer's
        raise MalformedEvidence(what, "a list of all, without critical extensions", critical)
    since, until = crl.last_update_utc, crl.next_update_utc
    if until is None or not since <= at < until:
        raise Expired(what, f"a time from {since} to before {until}", at)


def _crl(data: bytes) -> x509.CertificateRevocationList:
    try:
        crl = x509.load_der_x509_crl(data)
        _ = crl.issuer, crl.last_update_utc, crl.next_update_utc  # parsed when they are asked for
    except (ValueError, *UNREADABLE) as error:
        raise MalformedEvidence("revocation list", "X.509 in DER", f"{error}") from error
    return crl


def _entry(
    crl: x509.CertificateRevocationList, certificate: Certificate
) -> x509.RevokedCertificate | None:
    try:
        return crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    except (ValueError, *UNREADABLE) as error:
        raise MalformedEvidence("revocation list", "X.509 in DER", f"{error}") from error


def _extension(certificate: Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def name_of(certificate: Certificate) -> str:
    """The common name, else the serial number (NVIDIA's device certificates)."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = names or certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    return printable(str(names[0].value) if names else certificate.subject.rfc4514_string())


def certificate_in_words(certificate: Certificate) -> str:
    """What tells it from all others; of AMD's that is its hash alone."""
    subject, issuer = (
        printable(name.rfc4514_string()) for name in (certificate.subject, certificate.issuer)
    )
    with warnings.catch_warnings():  # AMD's VCEKs have the serial number 0
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        serial = certificate.serial_number
    digest = certificate.fingerprint(SHA256()).hex()
    return f"{subject}, serial number {serial:#x}, SHA-256 0x{digest}, issued by {issuer}"


def list_in_words(data: bytes) -> str:
    """Whose a revocation list (DER) is, which, and from when to when. Raises MalformedEvidence."""
    crl = _crl(data)
    try:
        found = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        number = f"list {found}"
    except x509.ExtensionNotFound:
        number = "a list without number"
    except (ValueError, *UNREADABLE) as error:
        raise MalformedEvidence("revocation list", "X.509 in DER", f"{error}") from error
    since, until = crl.last_update_utc.isoformat(), crl.next_update_utc
    end = "any time" if until is None else until.isoformat()
    return f"{number} of {printable(crl.issuer.rfc4514_string())}, from {since} until {end}"


def is_list_of(data: bytes, issuer: Certificate) -> bool:
    """Whether a revocation list (DER) has this issuer's name. Raises MalformedEvidence."""
    return _crl(data).issuer == issuer.subject


def list_ends(data: bytes) -> datetime | None:
    """When a revocation list (DER) has to be fetched anew. Raises MalformedEvidence."""
    return _crl(data).next_update_utc


def printable(text: str) -> str:
    """Names are whoever's who made the certificate: nothing in them moves a terminal's cursor."""
    return "".join(each if each.isprintable() else "?" for each in text)


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
