"""Signers: a keystore file, or the well-known keys of a development chain.

Keys stay in this module; nothing that it raises, logs or prints contains one.
"""

import json
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak
from eth_keys.exceptions import BadSignature, ValidationError

from oracle.domain.chain import Signed, Unsigned
from oracle.domain.errors import KeyRefused

DEVELOPMENT_CHAIN = 31337

#: The first accounts that Anvil funds. The whole world knows them.
DEVELOPMENT_KEYS = (
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
)


class AccountSigner:
    """Signs with a key held in memory."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account

    @property
    def address(self) -> str:
        return str(self._account.address)

    def sign(self, transaction: Unsigned) -> Signed:
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": transaction.chain_id,
            "nonce": transaction.nonce,
            "to": transaction.call.to,
            "data": transaction.call.data,
            "value": transaction.call.value,
            "gas": transaction.gas,
            "maxFeePerGas": transaction.fees.most,
            "maxPriorityFeePerGas": transaction.fees.tip,
        }
        signed = self._account.sign_transaction(fields)
        return Signed(bytes(signed.hash), bytes(signed.raw_transaction))

    def attest(self, digest: bytes) -> bytes:
        return bytes(self._account.unsafe_sign_hash(digest).signature)

    def secret(self, label: bytes) -> bytes:
        """keccak256 of a signature (EIP-191, RFC 6979) that is shown to nobody."""
        return keccak(bytes(self._account.sign_message(encode_defunct(label)).signature))


def recover(digest: bytes, signature: bytes) -> str:
    """Whose r, s, v (27 or 28, as contracts take it) that is of a digest; empty for nobody's."""
    if len(signature) != 65 or signature[64] not in (27, 28):
        return ""
    try:
        return str(Account._recover_hash(digest, signature=signature))
    except (BadSignature, ValidationError, ValueError):
        return ""


def open_signer(key: str, password: str, chain_id: int) -> AccountSigner:
    """`key` is a keystore file, or "dev:N" for the N-th account of a development chain.
    Raises KeyRefused."""
    if not key:
        raise KeyRefused("no key: name a keystore file with EINPROOF_KEY")
    name, _, index = key.partition(":")
    if name == "dev":
        return _development(index or "0", chain_id)
    return _keystore(Path(key).expanduser(), password)


def _development(index: str, chain_id: int) -> AccountSigner:
    if chain_id != DEVELOPMENT_CHAIN:
        raise KeyRefused(
            f"the development keys are public: expected chain id {DEVELOPMENT_CHAIN}, got "
            f"{chain_id}; name a keystore file with EINPROOF_KEY"
        )
    if not index.isdecimal() or int(index) >= len(DEVELOPMENT_KEYS):
        raise KeyRefused(f"expected dev:0 to dev:{len(DEVELOPMENT_KEYS) - 1}, got dev:{index}")
    return AccountSigner(Account.from_key(DEVELOPMENT_KEYS[int(index)]))


def _keystore(path: Path, password: str) -> AccountSigner:
    try:
        stored = json.loads(path.read_text())
    except OSError as error:
        raise KeyRefused(f"cannot read keystore {path}: {error.strerror}") from error
    except ValueError:
        raise KeyRefused(f"{path} is no keystore file (expected JSON)") from None
    try:
        secret = Account.decrypt(stored, password)
    except ValueError as error:
        if "MAC" in str(error):
            raise KeyRefused(f"the password does not open keystore {path}") from None
        raise KeyRefused(f"{path} is no keystore file that can be read") from None
    except (KeyError, TypeError, NotImplementedError, AttributeError):
        raise KeyRefused(f"{path} is no keystore file that can be read") from None
    return AccountSigner(Account.from_key(secret))
