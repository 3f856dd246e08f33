"""What a ModelRegistry knows of a model, by RPC, for auditors."""

from __future__ import annotations

from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

from oracle.adapters.rpc import Node
from oracle.domain.errors import ModelMissing, NodeRefused, OracleError
from prover.audit import Registered

REGISTERED = keccak(b"ModelRegistered(bytes32,address,bytes32,bytes32,bytes32)")
MANIFEST_K = 32  # the byte after the SRS id


class RegistryForeign(OracleError):
    """The address does not answer as a ModelRegistry."""


async def fetch(node: Node, registry: str, model_id: bytes, first_block: int = 0) -> Registered:
    """Program, points, SRS id, k, and the auxiliary hash from the registration's event.

    Raises ModelMissing for an id that is not registered, RegistryForeign, and what the node raises.
    """

    async def view(function: str, kind: str) -> Any:
        data = keccak(f"{function}(bytes32)".encode())[:4] + encode(["bytes32"], [model_id])
        answer = await node.rpc("eth_call", {"to": registry, "data": "0x" + data.hex()}, "latest")
        try:
            return decode([kind], bytes.fromhex(answer[2:]))[0]
        except (DecodingError, ValueError) as error:
            raise RegistryForeign(
                f"expected a ModelRegistry at {registry}, got no answer to {function}"
            ) from error

    if not await view("isRegistered", "bool"):
        raise ModelMissing(f"model 0x{model_id.hex()} is not registered at {registry}")
    manifest = await view("manifest", "address")
    code = await node.rpc("eth_getCode", manifest, "latest")
    record = bytes.fromhex(code[2:])[1:]  # blobs are contract code, 00 || data
    if len(record) <= MANIFEST_K:
        raise RegistryForeign(f"expected a manifest at {manifest}, got {len(record)} bytes")
    return Registered(
        model_id,
        await view("program", "bytes"),
        await view("points", "bytes"),
        record[:MANIFEST_K],
        record[MANIFEST_K],
        await _aux_hash(node, registry, model_id, first_block),
    )


async def _aux_hash(node: Node, registry: str, model_id: bytes, first: int) -> bytes | None:
    """From the event; None where the node will not search so many blocks."""
    wanted = {
        "address": registry,
        "topics": ["0x" + REGISTERED.hex(), "0x" + model_id.hex()],
        "fromBlock": hex(first),
        "toBlock": "latest",
    }
    try:
        found = await node.rpc("eth_getLogs", wanted)
    except NodeRefused:
        return None
    words = bytes.fromhex(found[0]["data"][2:]) if found else b""
    return words[64:96] if len(words) == 96 else None
