"""What is typed of evidence: its parts in files, the policy that it is held against."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from oracle.attestation import ROOTS, Kind, Policy
from oracle.cli.prove import parse_word
from oracle.domain.errors import SettingsInvalid


def parse_kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        kinds = ", ".join(Kind)
        raise SettingsInvalid(f"expected one of {kinds} as KIND, got {text}") from None


def read_parts(named: list[str]) -> dict[str, bytes]:
    """NAME=FILE, each."""
    pairs = (_pair(each, "--part") for each in named)
    return {name: read_bytes(Path(path)) for name, path in pairs}


def parse_policy(
    kind: Kind,
    roots: list[str],
    at: str,
    *,
    measurements: list[str] | None = None,
    crls: list[Path] | None = None,
    statuses: list[str] | None = None,
    report_data: str = "",
) -> Policy:
    wanted = dict(_pair(each, "--measurement") for each in measurements or [])
    plain = Policy(frozenset(map(_root, roots)) or ROOTS[kind], parse_time(at))
    return Policy(
        plain.roots,
        plain.at,
        report_data=_hex(report_data, "--report-data") if report_data else None,
        measurements={name: _hex(value, "--measurement") for name, value in wanted.items()},
        crls=tuple(map(read_crl, crls or [])),
        statuses=plain.statuses | set(statuses or []),
    )


def parse_time(text: str) -> datetime:
    """Now if nothing was typed."""
    try:
        found = datetime.fromisoformat(text) if text else datetime.now(UTC)
    except ValueError:
        raise SettingsInvalid(f"expected a time like 2026-01-03T20:45:00Z, got {text}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def read_crl(path: Path) -> bytes:
    """A revocation list in DER, of a file in DER or PEM."""
    data = read_bytes(path)
    try:
        pem = data.startswith(b"-----")
        return x509.load_pem_x509_crl(data).public_bytes(Encoding.DER) if pem else data
    except ValueError as error:
        raise SettingsInvalid(f"{path} holds no revocation list in PEM: {error}") from None


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsInvalid(f"cannot read {path}: {error.strerror}") from error


def _root(text: str) -> bytes:
    """SHA-256 of a certificate: given, or of the last one in a PEM file."""
    if not Path(text).is_file():
        return parse_word(text if text.startswith("0x") else "0x" + text, "--root")
    try:
        last = x509.load_pem_x509_certificates(read_bytes(Path(text)))[-1]
    except ValueError as error:
        raise SettingsInvalid(f"{text} holds no certificate in PEM: {error}") from None
    return sha256(last.public_bytes(Encoding.DER)).digest()


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise SettingsInvalid(f"expected NAME=... after {option}, got {text}")
    return name, value


def _hex(text: str, option: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise SettingsInvalid(f"expected hexadecimal digits after {option}, got {text}") from None
