"""What is typed of evidence: its parts in files, the policy that it is held against."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from eth_utils.address import is_address, to_checksum_address

from oracle.attestation import ROOTS, Kind, Policy
from oracle.cli.prove import parse_word
from oracle.domain.attested import WORD
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
    tcb: list[str] | None = None,
    report_data: str = "",
) -> Policy:
    """What is typed of it; `measurements` and `tcb` are NAME=VALUE, each."""
    if statuses and kind not in (Kind.SGX, Kind.TDX):
        raise SettingsInvalid(f"expected --status with sgx or tdx, got it with {kind}")
    wanted = dict(_pair(each, "--measurement") for each in measurements or [])
    least = dict(_pair(each, "--tcb") for each in tcb or [])
    plain = Policy(frozenset(map(_root, roots)) or ROOTS[kind], parse_time(at))
    return Policy(
        plain.roots,
        plain.at,
        report_data=_hex(report_data, "--report-data") if report_data else None,
        measurements={name: _hex(value, "--measurement") for name, value in wanted.items()},
        crls=tuple(map(read_crl, crls or [])),
        statuses=plain.statuses | set(statuses or []),
        tcb={name: _number(value, "--tcb") for name, value in least.items()},
    )


def parse_end(text: str) -> int | None:
    """None if nothing was typed."""
    return int(parse_time(text).timestamp()) if text else None


def unread(beside: str, **typed: object) -> None:
    """Raises SettingsInvalid for options that would be read by nobody: whoever typed one takes it
    for heard."""
    named = ["--" + name.replace("_", "-") for name, value in typed.items() if value]
    if named:
        raise SettingsInvalid(f"expected no {', '.join(named)} with {beside}: nothing reads it")


def parse_time(text: str) -> datetime:
    """Now if nothing was typed."""
    try:
        found = datetime.fromisoformat(text) if text else datetime.now(UTC)
    except ValueError:
        raise SettingsInvalid(f"expected a time like 2026-01-03T20:45:00Z, got {text}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parse_owner(text: str) -> str:
    if not is_address(text):
        raise SettingsInvalid(f"expected an address after --owner, got {text or 'none'}")
    return str(to_checksum_address(text))


def parse_point(text: str) -> bytes:
    """x and y of an answer key."""
    found = _hex(text, "--point")
    if len(found) != 2 * WORD:
        raise SettingsInvalid(f"expected 64 bytes, x and y, after --point, got {len(found)}")
    return found


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
    """SHA-256 of a certificate: given, or of the one in a PEM file. Not of a chain: its last would
    make good whatever somebody hands over."""
    if not Path(text).is_file():
        return parse_word(text if text.startswith("0x") else "0x" + text, "--root")
    try:
        found = x509.load_pem_x509_certificates(read_bytes(Path(text)))
    except ValueError as error:
        raise SettingsInvalid(f"{text} holds no certificate in PEM: {error}") from None
    if len(found) != 1:
        raise SettingsInvalid(
            f"expected one certificate, the root's, in {text}, got {len(found)}: a chain that "
            "comes with evidence names no root of yours"
        )
    return sha256(found[0].public_bytes(Encoding.DER)).digest()


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise SettingsInvalid(f"expected NAME=... after {option}, got {text}")
    return name, value


def _number(text: str, option: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise SettingsInvalid(f"expected a number after {option} NAME=, got {text}")
    return int(text)


def _hex(text: str, option: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise SettingsInvalid(f"expected hexadecimal digits after {option}, got {text}") from None
