"""What answer keys sign, and what vouches for them, as contracts/attested reads it."""

from dataclasses import astuple, dataclass
from enum import IntEnum
from hashlib import sha256

from eth_abi.abi import encode
from eth_hash.auto import keccak

SAID, BINDING = keccak(b"einproof attested answer"), keccak(b"einproof answer key")
VOUCHER, BUILD = keccak(b"einproof voucher"), keccak(b"einproof build")
ENROLMENT = keccak(b"einproof enrolment")
LEVEL, CERTIFICATE = keccak(b"einproof level"), keccak(b"einproof certificate")

#: Solidity's structs of the same names, in their order.
VOUCHER_TYPE = "(uint8,bool,bytes32,bytes32,uint64)"
ENROLMENT_TYPE = "(uint8,bool,address,bytes32,bytes32,bytes32,bytes32,uint64)"
TPM_TYPE = f"({VOUCHER_TYPE},bytes,bytes32[2],bytes,bytes32[2])"
LEVEL_TYPE = "(uint8,bytes32,bytes16,bytes16,bytes32,bytes2,bytes2,uint64)"
DCAP_TYPE = "(bytes,bytes32[2],bytes32[2],bytes,bytes32[2],bytes,bytes,bytes,uint64)"
SAID_TYPE = "(address,bytes32,bytes32,bytes32,bytes32)"

WORD = 32


class Hardware(IntEnum):
    """Whose hardware vouches; values as in IAttestationRegistry.Kind."""

    SGX = 1
    TDX = 2
    SNP = 3
    NITRO = 4
    NVIDIA = 5
    TPM = 6


@dataclass(frozen=True, slots=True)
class Voucher:
    """A P-256 key that belongs to hardware and signs what it measures; `software` if the hardware
    is emulated, `until` in seconds."""

    kind: int
    software: bool
    x: bytes
    y: bytes
    until: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An answer key, for answers of one owner by one model; `debug` is never admitted."""

    kind: int
    debug: bool
    owner: str
    model_id: bytes
    measurement: bytes
    x: bytes
    y: bytes
    until: int


@dataclass(frozen=True, slots=True)
class TpmEvidence:
    """A quote and the certification of the answer key, each with (r, s) by the voucher."""

    voucher: Voucher
    quote: bytes
    quote_signature: tuple[bytes, bytes]
    certified: bytes
    certified_signature: tuple[bytes, bytes]

    @property
    def encoded(self) -> bytes:
        """What `enrol` takes for a TPM."""
        signed = (self.quote, self.quote_signature, self.certified, self.certified_signature)
        return encode((TPM_TYPE,), ((astuple(self.voucher), *signed),))


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the firmware that vouches for SGX and TDX, good until a second
    (oracle/attestation/quote.py)."""

    kind: int
    platform: bytes
    module: bytes
    later_module: bytes
    engine_signer: bytes
    engine_product: bytes
    engine_level: bytes
    until: int


@dataclass(frozen=True, slots=True)
class DcapEvidence:
    """A quote's parts and its certificates in DER; pairs are (r, s) or (x, y). `until` is its
    level's."""

    signed: bytes
    signature: tuple[bytes, bytes]
    key: tuple[bytes, bytes]
    engine: bytes
    engine_signature: tuple[bytes, bytes]
    extra: bytes
    pck: bytes
    authority: bytes
    until: int

    @property
    def encoded(self) -> bytes:
        """What `enrol` takes for SGX and TDX."""
        return encode((DCAP_TYPE,), (astuple(self),))


@dataclass(frozen=True, slots=True)
class Answering:
    """The claim that a key signs."""

    tier: str
    request_id: bytes
    model_id: bytes
    input_hash: bytes
    owner: str
    output: bytes


def said(chain_id: int, claim: Answering) -> bytes:
    """SHA-256 that an answer key signs: one chain, tier, request, owner and output."""
    words = (SAID, chain_id, claim.tier, claim.request_id, claim.model_id, claim.input_hash)
    types = ("bytes32", "uint256", "address", "bytes32", "bytes32", "bytes32", "address", "bytes32")
    return sha256(encode(types, (*words, claim.owner, keccak(claim.output)))).digest()


def binding(chain_id: int, registry: str, owner: str, model_id: bytes, point: bytes) -> bytes:
    """What evidence for the key (x, y) must carry, as nonce or report data."""
    types = ("bytes32", "uint256", "address", "address", "bytes32", "bytes32", "bytes32")
    words = (BINDING, chain_id, registry, owner, model_id, point[:WORD], point[WORD:])
    return keccak(encode(types, words))


def voucher_statement(chain_id: int, registry: str, voucher: Voucher) -> bytes:
    """What attesters approve of a voucher."""
    return _statement(VOUCHER, chain_id, registry, (VOUCHER_TYPE,), (astuple(voucher),))


def level_statement(chain_id: int, registry: str, level: Level) -> bytes:
    """What attesters approve of a level of Intel's firmware."""
    return _statement(LEVEL, chain_id, registry, (LEVEL_TYPE,), (astuple(level),))


def certificate_statement(chain_id: int, registry: str, issuer: bytes, serial: int) -> bytes:
    """What an attester vetoes of a certificate that its issuer (x and y) revoked."""
    words = (issuer[:WORD], issuer[WORD:], serial)
    name = keccak(encode(("bytes32", "bytes32", "uint256"), words))
    return _statement(CERTIFICATE, chain_id, registry, ("bytes32",), (name,))


def build_statement(
    chain_id: int, registry: str, kind: int, model_id: bytes, measurement: bytes
) -> bytes:
    """What attesters approve of a build: what measures so computes this model."""
    types = ("uint8", "bytes32", "bytes32")
    return _statement(BUILD, chain_id, registry, types, (kind, model_id, measurement))


def enrolment_statement(
    chain_id: int, registry: str, enrolment: Enrolment, evidence: bytes
) -> bytes:
    """What attesters approve of an enrolment whose kind the contract does not decide."""
    values = (astuple(enrolment), keccak(evidence))
    return _statement(ENROLMENT, chain_id, registry, (ENROLMENT_TYPE, "bytes32"), values)


def key_id(owner: str, model_id: bytes, point: bytes) -> bytes:
    """The name of an answer key in the registry."""
    types = ("address", "bytes32", "bytes32", "bytes32")
    return keccak(encode(types, (owner, model_id, point[:WORD], point[WORD:])))


def _statement(
    tag: bytes, chain_id: int, registry: str, types: tuple[str, ...], values: tuple[object, ...]
) -> bytes:
    return keccak(
        encode(("bytes32", "uint256", "address", *types), (tag, chain_id, registry, *values))
    )
