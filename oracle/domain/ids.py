"""Ids as the contracts compute them; tests/oracle holds the two against each other.

request id = keccak256(abi.encode(chain id, oracle, the twelve fields of the request))
context    = keccak256(abi.encode(chain id, oracle, request id, model id, input hash, payee))
model id   = keccak256(abi.encode(FORMAT, keccak256(program), keccak256(points), SRS id, k, aux))
pin        = keccak256(abi.encode(verifier, verifier code hash, SRS id))

An id hashes all that it names, so none needs a sequence number (reorgs swap those).
"""

from typing import TYPE_CHECKING

from eth_abi.abi import encode
from eth_hash.auto import keccak

if TYPE_CHECKING:
    from oracle.domain.request import Request

MODEL_FORMAT = keccak(b"einproof/model/v1")

#: The Solidity struct Request, in its order.
REQUEST_TYPES = (
    "address",  # requester
    "address",  # refundTo
    "bytes32",  # modelId
    "bytes32",  # inputHash
    "address",  # assurance
    "bytes32",  # pin
    "bytes32",  # terms
    "uint96",  # fee
    "uint64",  # callbackGasPrice
    "uint32",  # callbackGas
    "uint64",  # deadline
    "uint256",  # nonce
)


def request_id(chain_id: int, oracle: str, request: "Request") -> bytes:
    """The id under which `oracle` on chain `chain_id` keeps the request."""
    types = ("uint256", "address", *REQUEST_TYPES)
    return keccak(encode(types, (chain_id, oracle, *request.fields)))


def context(chain_id: int, oracle: str, request: "Request", payee: str) -> bytes:
    """The word that a proof is bound to: this request, answered to the profit of `payee`."""
    return keccak(
        encode(
            ("uint256", "address", "bytes32", "bytes32", "bytes32", "address"),
            (chain_id, oracle, request.id, request.model_id, request.input_hash, payee),
        )
    )


def segment_context(context: bytes, segment: int) -> bytes:
    """What a proof of one segment of a composition is bound to."""
    return keccak(encode(("bytes32", "uint256"), (context, segment)))


def model_id(program: bytes, points: bytes, srs_id: bytes, k: int, aux_hash: bytes) -> bytes:
    """The id of a model: its program, its tiles' commitments, and what they were made with."""
    return keccak(
        encode(
            ("bytes32", "bytes32", "bytes32", "bytes32", "uint256", "bytes32"),
            (MODEL_FORMAT, keccak(program), keccak(points), srs_id, k, aux_hash),
        )
    )


def proof_pin(verifier: str, code_hash: bytes, srs_id: bytes) -> bytes:
    """What the Proof tier vouches with, in one word; requests quote it."""
    return keccak(encode(("address", "bytes32", "bytes32"), (verifier, code_hash, srs_id)))


def statement(model_id: bytes, input: bytes, output: bytes) -> bytes:
    """How a verifier's guard names its canary: keccak256(abi.encode(model id, input, output))."""
    return keccak(encode(("bytes32", "bytes", "bytes"), (model_id, input, output)))


def output_hash(output: bytes) -> bytes:
    """How disputes and evidence name an output."""
    return keccak(output)


def claim_digest(payee: str, output: bytes) -> bytes:
    """The word that the oracle stores for a claim: its low 5 bytes cleared (status, time)."""
    return keccak(encode(("address", "bytes32"), (payee, keccak(output))))[:27] + bytes(5)


def commitment(
    assurance: str, request_id: bytes, challenger: str, output: bytes, salt: bytes
) -> bytes:
    """What a dispute commits to (OptimisticAssurance.commitmentOf): one's own answer, unseen."""
    types = ("address", "bytes32", "address", "bytes32", "bytes32")
    return keccak(encode(types, (assurance, request_id, challenger, keccak(output), salt)))
