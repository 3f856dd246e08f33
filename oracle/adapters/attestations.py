"""AttestationRegistry as owners, attesters and requesters use it.

Signatures are written out here, as in abi.py; tests/oracle compares them with the contract.
"""

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from eth_abi.abi import decode
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import call_data, topic
from oracle.adapters.chain import NodeChain
from oracle.domain.attested import ENROLMENT_TYPE, WORD, Enrolment, Hardware, key_id
from oracle.domain.chain import Call, Stood
from oracle.domain.evidence import pieces_of
from oracle.domain.report import AnswerKeyShown
from oracle.domain.request import Request, Tier, TierKind

REGISTRY: Mapping[str, tuple[str, ...]] = {
    "attestations": (),  # AttestedAssurance's
    "approve": ("bytes32", "bytes"),
    "veto": ("bytes32",),
    "enrol": (ENROLMENT_TYPE, "bytes"),
    "revoke": ("address", "bytes32", "bytes32", "bytes32"),
    "keyOf": ("bytes32",),
    "isAdmitted": ("bytes32",),
    "isVetoed": ("bytes32",),
}
#: IAttestationRegistry.Key
KEY = "(uint40,uint40,bool,bool,uint8)"
#: Key and signature: x, y, r, s.
ATTESTATION_BYTES = 4 * WORD
ANSWERED = topic("Answered")


def approve_call(registry: str, statement: bytes, evidence: bytes) -> Call:
    return Call(registry, _data("approve", statement, evidence))


def veto_call(registry: str, statement: bytes) -> Call:
    return Call(registry, _data("veto", statement))


def enrol_call(registry: str, enrolment: Enrolment, evidence: bytes) -> Call:
    return Call(registry, _data("enrol", astuple(enrolment), evidence))


def revoke_call(registry: str, owner: str, model_id: bytes, point: bytes) -> Call:
    return Call(registry, _data("revoke", owner, model_id, point[:WORD], point[WORD:]))


async def registry_of(chain: NodeChain, assurance: str) -> str:
    """The registry that an attested tier asks."""
    (found,) = decode(("address",), await chain.call(assurance, _data("attestations")))
    return str(to_checksum_address(found))


async def is_admitted(chain: NodeChain, registry: str, statement: bytes) -> bool:
    return bool(decode(("bool",), await chain.call(registry, _data("isAdmitted", statement)))[0])


async def is_vetoed(chain: NodeChain, registry: str, statement: bytes) -> bool:
    return bool(decode(("bool",), await chain.call(registry, _data("isVetoed", statement)))[0])


async def key_shown(
    chain: NodeChain, registry: str, owner: str, model_id: bytes, point: bytes
) -> tuple[AnswerKeyShown | None, int]:
    """A key as the registry has it, and from when it counts; None if it was never enrolled."""
    name = key_id(owner, model_id, point)
    found = decode((KEY,), await chain.call(registry, _data("keyOf", name)))[0]
    ready_at, until, revoked, software, kind = found
    if not ready_at:
        return None, 0
    return AnswerKeyShown(registry, name, Hardware(kind).name, software, until, revoked), ready_at


async def signing_key_of(
    chain: NodeChain, request: Request, tier: Tier, stood: Stood
) -> AnswerKeyShown | None:
    """The key that signed the claim that stands under a tier, or its attested part: it is in the
    calldata of the transaction that the oracle logged, whatever others say in its block. None if a
    contract handed the answer in."""
    at, topics = stood.block.number, ["0x" + word.hex() for word in (ANSWERED, request.id)]
    for log in await chain.logs(at, at, [chain.oracle], topics):
        shown = await chain.shown(request, bytes.fromhex(log["transactionHash"][2:]))
        if shown is None or (shown.payee, shown.output) != (stood.payee, stood.output):
            continue
        for part, piece in zip(tier.vouchers, pieces_of(tier, shown.evidence), strict=True):
            if part.kind is not TierKind.ATTESTED or len(piece) != ATTESTATION_BYTES:
                continue
            registry, point = await registry_of(chain, part.assurance), piece[: 2 * WORD]
            return (await key_shown(chain, registry, shown.payee, request.model_id, point))[0]
    return None


def _data(function: str, *arguments: Any) -> bytes:
    return call_data(function, *arguments, among=REGISTRY)
