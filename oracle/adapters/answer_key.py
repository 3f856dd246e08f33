"""Answer keys: in a TPM, or in a file that measured hardware keeps to itself (an enclave's)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from oracle.adapters.tpm import Tpm
from oracle.domain.errors import KeyRefused
from oracle.ports import AnswerKey

WORD = 32
LABEL = "answers"


class TpmKey:
    """The answer key of a label in a TPM: it was made there, and cannot leave it."""

    def __init__(self, tpm: Tpm, label: str) -> None:
        self.tpm, self.label = tpm, label.encode()

    async def point(self) -> bytes:
        return await asyncio.to_thread(self.tpm.answer_point, self.label)

    async def sign(self, digest: bytes) -> bytes:
        return b"".join(await asyncio.to_thread(self.tpm.sign, self.label, digest))


class FileKey:
    """A P-256 key in PEM, unencrypted: as safe as the memory of the machine that it lies in."""

    def __init__(self, path: Path) -> None:
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise KeyRefused(f"cannot read answer key {path}: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyRefused(f"{path} is no unencrypted key in PEM") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise KeyRefused(f"{path}: expected a key on P-256")
        self._key = key

    async def point(self) -> bytes:
        numbers = self._key.public_key().public_numbers()
        return numbers.x.to_bytes(WORD, "big") + numbers.y.to_bytes(WORD, "big")

    async def sign(self, digest: bytes) -> bytes:
        signature = self._key.sign(digest, ec.ECDSA(utils.Prehashed(SHA256())))
        r, s = utils.decode_dss_signature(signature)
        return r.to_bytes(WORD, "big") + s.to_bytes(WORD, "big")


def open_answer_key(named: str) -> AnswerKey | None:
    """tpm:WHERE#LABEL (oracle/adapters/tpm.py says what WHERE can be), a PEM file, or nothing.
    Raises KeyRefused."""
    if not named:
        return None
    kind, _, rest = named.partition(":")
    if kind == "tpm":
        where, _, label = rest.partition("#")
        return TpmKey(Tpm(where), label or LABEL)
    return FileKey(Path(named).expanduser())
