"""Answer keys: in a TPM, or in a file that measured hardware keeps to itself (an enclave's)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from oracle.adapters.attestations import key_shown, registry_of
from oracle.adapters.chain import NodeChain
from oracle.adapters.tpm import Tpm
from oracle.attestation.tpm import RESETTABLE, Sealed
from oracle.domain.attested import Answering
from oracle.domain.errors import KeyRefused
from oracle.ports import AnswerKey

log = structlog.get_logger("work")

WORD = 32
LABEL = "answers"
#: Firmware and option ROMs, boot programs, secure boot, GRUB's commands and the command line that
#: it gives the kernel (8), initrd (9), systemd-boot's command line (12), shim's keys (14): they
#: rest while a machine runs.
#: (10, IMA's, moves with each file that is opened: a key for it would soon sign nothing more.)
REGISTERS = (0, 2, 4, 7, 8, 9, 12, 14)
#: TPM2_PCR_Read gives eight at once.
ALL_REGISTERS, MOST_REGISTERS = 24, 8
#: Seconds before a key's end at which its successor should be enrolled: the delay, and a day.
RENEWAL = 3 * 86_400


class TpmKey:
    """The answer key of a label in a TPM, for the state that its registers show at its first use:
    it was made there, cannot leave it, and signs in no other state (StateChanged)."""

    def __init__(self, tpm: Tpm, label: str, registers: Sequence[int] = REGISTERS) -> None:
        self.tpm, self._label, self._registers = tpm, label.encode(), registers
        self._sealed: Sealed | None = None

    def sealed(self) -> Sealed:
        if self._sealed is None:
            self._sealed = self.tpm.sealed(self._label, self._registers)
        return self._sealed

    async def point(self) -> bytes:
        return await asyncio.to_thread(lambda: self.tpm.answer_point(self.sealed()))

    async def sign(self, digest: bytes) -> bytes:
        return b"".join(await asyncio.to_thread(lambda: self.tpm.sign(self.sealed(), digest)))


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


class AnswerKeys:
    """Keys that follow each other: a claim is signed by the one that the registry counts longest
    from now. One alone signs whatever the registry says: that it does not count yet is the chain's
    to say."""

    def __init__(self, chain: NodeChain, keys: Sequence[TpmKey | FileKey]) -> None:
        self._chain, self._keys = chain, list(keys)

    async def attest(self, claim: Answering, digest: bytes) -> bytes:
        key = self._keys[0] if len(self._keys) == 1 else await self._current(claim)
        return await key.point() + await key.sign(digest)

    async def _current(self, claim: Answering) -> TpmKey | FileKey:
        now = (await self._chain.head()).timestamp
        registry = await registry_of(self._chain, claim.tier)
        found: list[tuple[int, TpmKey | FileKey]] = []
        last = 0
        for key in self._keys:
            named = (registry, claim.owner, claim.model_id, await key.point())
            shown, ready_at = await key_shown(self._chain, *named)
            if shown is None or shown.revoked or shown.until < now:
                continue
            last = max(last, shown.until)
            if ready_at <= now:
                found.append((shown.until, key))
        if last < now + RENEWAL:
            log.warning("answer keys end soon: enrol the next", until=last, owner=claim.owner)
        if not found:
            raise KeyRefused(
                f"none of {len(self._keys)} answer keys counts now for {claim.owner} and model "
                f"0x{claim.model_id.hex()}: enrol one with einproof attest enrol"
            )
        return max(found, key=lambda each: each[0])[1]


def open_answer_keys(named: str, chain: NodeChain) -> AnswerKey | None:
    """Those that are named, with commas between; none for an empty name. Raises KeyRefused."""
    names = [each.strip() for each in named.split(",") if each.strip()]
    return AnswerKeys(chain, [open_answer_key(name) for name in names]) if names else None


def open_answer_key(named: str) -> TpmKey | FileKey:
    """tpm:WHERE#LABEL@REGISTERS, both of which may be left out (oracle/adapters/tpm.py says what
    WHERE can be; registers have a + between), or a PEM file. Raises KeyRefused."""
    kind, _, rest = named.partition(":")
    if kind == "tpm":
        rest, at, registers = rest.partition("@")
        where, _, label = rest.partition("#")
        return TpmKey(Tpm(where), label or LABEL, _registers(registers) if at else REGISTERS)
    return FileKey(Path(named).expanduser())


def _registers(text: str) -> tuple[int, ...]:
    numbers = [int(each) if each.isdecimal() else ALL_REGISTERS for each in text.split("+")]
    if max(numbers) >= ALL_REGISTERS or len(set(numbers)) > MOST_REGISTERS:
        raise KeyRefused(
            f"expected up to {MOST_REGISTERS} registers below {ALL_REGISTERS}, with a + between, "
            f"got {text or 'none'}"
        )
    if loose := sorted(set(numbers) & RESETTABLE):
        raise KeyRefused(
            f"expected registers that nobody resets while the machine runs, got {loose}: a key for "
            "them would sign in whatever state they were set to"
        )
    return tuple(sorted(set(numbers)))
