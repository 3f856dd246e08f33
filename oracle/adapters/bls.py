"""BLS12-381 for committees of many: a member's key, what it signs, and what many sign together.

Keys lie in G2, signatures in G1, encoded as in EIP-2537 (256 and 128 bytes), under the suite
BLS12381G1_XMD:SHA-256_SSWU_RO_ (RFC 9380); curve arithmetic is py_ecc's. A member's secret is a
function of its account's key, so there is none to keep besides. Signatures of others are checked by
the contract's own view, which takes a node milliseconds.

Signatures of functions are written out here, as in abi.py; tests/oracle compares them with the
contracts.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from eth_abi.abi import decode, encode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.fields import optimized_bls12_381_FQ as FQ
from py_ecc.optimized_bls12_381 import G2, Z1, add, curve_order, multiply, normalize

from oracle.adapters.abi import signature as spelled
from oracle.adapters.chain import NodeChain
from oracle.domain.chain import Call
from oracle.domain.errors import CallRefused
from oracle.ports import Signer

POSSESSION = b"EINPROOF_POSSESSION_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
QUORUM = b"EINPROOF_QUORUM_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
LABEL = b"einproof/bls/v1"
COORDINATE = 64
G1_BYTES = 2 * COORDINATE

#: BlsKeys; `keys` is BlsCommitteeAssurance's.
FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "keys": (),
    "register": ("bytes", "bytes"),
    "possessionOf": ("address", "bytes"),
    "hasKey": ("address",),
    "keyOf": ("address",),
    "sum": ("address[]",),
    "signed": ("bytes", "address[]", "bytes", "bytes"),
}


class BlsKey:
    """A member's secret, in [1, r)."""

    def __init__(self, secret: int) -> None:
        self._secret = secret

    @classmethod
    def of(cls, signer: Signer) -> "BlsKey":
        """The one key of an account: 512 bits of its secret, reduced, so that no value is favoured
        (2^-257)."""
        seed = signer.secret(LABEL)
        wide = int.from_bytes(keccak(seed + b"\0") + keccak(seed + b"\1"), "big")
        return cls(1 + wide % (curve_order - 1))

    @property
    def public(self) -> bytes:
        return encoded(multiply(G2, self._secret))

    def sign(self, message: bytes) -> bytes:
        return self._sign(message, QUORUM)

    def prove(self, statement: bytes) -> bytes:
        """A proof of possession, over what `possessionOf` says, under a tag of its own."""
        return self._sign(statement, POSSESSION)

    def _sign(self, message: bytes, tag: bytes) -> bytes:
        return encoded(multiply(hash_to_G1(message, tag, hashlib.sha256), self._secret))


class BlsAggregation:
    """The Aggregation port over a node."""

    def __init__(self, chain: NodeChain, signer: Signer) -> None:
        self._chain = chain
        self._signer = signer
        self._own: BlsKey | None = None
        self._keys: dict[str, str] = {}

    async def keys(self, tier: str) -> str:
        if tier not in self._keys:
            self._keys[tier] = await keys_of(self._chain, tier)
        return self._keys[tier]

    def sign(self, message: bytes) -> bytes:
        if self._own is None:
            self._own = BlsKey.of(self._signer)
        return self._own.sign(message)

    async def holds(self, keys: str, owner: str, message: bytes, signature: bytes) -> bool:
        try:
            (key,) = await _read(self._chain, keys, ("bytes",), "keyOf", owner)
            words = (key, [], message, signature)
            return bool((await _read(self._chain, keys, ("bool",), "signed", *words))[0])
        except CallRefused:  # no key, or no point
            return False

    async def total(self, keys: str, owners: Sequence[str]) -> bytes:
        return bytes((await _read(self._chain, keys, ("bytes",), "sum", list(owners)))[0])

    def together(self, signatures: Sequence[bytes]) -> bytes:
        point = Z1
        for each in signatures:
            point = add(point, _decoded(each))
        return encoded(point)


async def keys_of(chain: NodeChain, tier: str) -> str:
    """Where a committee's keys are registered; empty for one whose members sign one by one."""
    try:
        (found,) = await _read(chain, tier, ("address",), "keys")
    except CallRefused:
        return ""
    return str(to_checksum_address(found))


async def has_key(chain: NodeChain, keys: str, owner: str) -> bool:
    return bool((await _read(chain, keys, ("bool",), "hasKey", owner))[0])


async def register_call(chain: NodeChain, keys: str, signer: Signer) -> Call:
    """Registers the account's key, with the proof that it is its own."""
    key = BlsKey.of(signer)
    named = (signer.address, key.public)
    (statement,) = await _read(chain, keys, ("bytes",), "possessionOf", *named)
    return Call(keys, _data("register", key.public, key.prove(statement)))


def encoded(point: Any) -> bytes:
    """As EIP-2537 has points of either group: x y, or x0 x1 y0 y1, 64 bytes each; infinity is
    zeros."""
    parts = [c for part in normalize(point) for c in getattr(part, "coeffs", (part,))]
    if point[2] == type(point[2]).zero():
        return bytes(COORDINATE * len(parts))
    return b"".join(int(getattr(c, "n", c)).to_bytes(COORDINATE, "big") for c in parts)


def _decoded(data: bytes) -> Any:
    """A point of G1 that the contract took before."""
    x, y = (int.from_bytes(data[at : at + COORDINATE], "big") for at in (0, COORDINATE))
    return (FQ(x), FQ(y), FQ(1)) if x or y else Z1


async def _read(
    chain: NodeChain, to: str, kinds: tuple[str, ...], name: str, *arguments: Any
) -> tuple[Any, ...]:
    return decode(kinds, await chain.call(to, _data(name, *arguments)))


def _data(name: str, *arguments: Any) -> bytes:
    types = FUNCTIONS[name]
    return keccak(spelled(name, types).encode())[:4] + encode(types, arguments)
