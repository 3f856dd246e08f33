"""Signers: a keystore file, or the well-known keys of a development chain.

Keys stay in this module; nothing that it raises, logs or prints contains one.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak
from eth_keys.exceptions import BadSignature, ValidationError

from oracle.domain.chain import Signed, Unsigned
from oracle.domain.errors import KeyRefused

DEVELOPMENT_CHAIN = 31337

#: Of the accounts that Anvil funds: ten, or as many as it is told. The whole world knows it.
DEVELOPMENT_WORDS = "test test test test test test test test test test test junk"
DEVELOPMENT_PATH = "m/44'/60'/0'/0/"
DEVELOPMENT_ACCOUNTS = 100


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
    if not index.isdecimal() or int(index) >= DEVELOPMENT_ACCOUNTS:
        raise KeyRefused(f"expected dev:0 to dev:{DEVELOPMENT_ACCOUNTS - 1}, got dev:{index}")
    return AccountSigner(_derived(int(index)))


@lru_cache
def _derived(index: int) -> LocalAccount:
    seed = seed_from_mnemonic(DEVELOPMENT_WORDS, "")
    return Account.from_key(key_from_seed(seed, f"{DEVELOPMENT_PATH}{index}"))


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
