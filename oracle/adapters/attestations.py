"""AttestationRegistry as owners, attesters and requesters use it.

Signatures are written out here, as in abi.py; tests/oracle compares them with the contract.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from eth_abi.abi import decode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import call_data, topic
from oracle.adapters.chain import NodeChain
from oracle.domain.attested import ENROLMENT_TYPE, SAID_TYPE, WORD, Enrolment, Hardware, key_id
from oracle.domain.chain import Call, Stood
from oracle.domain.errors import OracleError
from oracle.domain.evidence import pieces_of
from oracle.domain.report import AnswerKeyShown
from oracle.domain.request import Request, Tier, TierKind

REGISTRY: Mapping[str, tuple[str, ...]] = {
    "attestations": (),  # AttestedAssurance's
    "approve": ("bytes32", "bytes"),
    "veto": ("bytes32",),
    "enrol": (ENROLMENT_TYPE, "bytes"),
    "revoke": ("address", "bytes32", "bytes32", "bytes32"),
    "contradict": ("address", *("bytes32",) * 4, SAID_TYPE, SAID_TYPE),
    "keyOf": ("bytes32",),
    "isAdmitted": ("bytes32",),
    "isVetoed": ("bytes32",),
}
#: IAttestationRegistry.Key
KEY = "(uint40,uint40,bool,bool,uint8)"
#: Key and signature: x, y, r, s.
ATTESTATION_BYTES = 4 * WORD
ANSWERED = topic("Answered")


class NoContradiction(OracleError):
    """Two answers say nothing against a key."""


@dataclass(frozen=True, slots=True)
class Signed:
    """An answer under an attested tier, and the key (x, y) and signature (r, s) with it."""

    registry: str
    tier: str
    request: Request
    owner: str
    output: bytes
    attestation: bytes

    @property
    def point(self) -> bytes:
        return self.attestation[: 2 * WORD]

    @property
    def said(self) -> tuple[str, bytes, bytes, bytes, bytes]:
        """IAttestationRegistry.Said."""
        r, s = self.attestation[2 * WORD : 3 * WORD], self.attestation[3 * WORD :]
        return self.tier, self.request.id, keccak(self.output), r, s


def approve_call(registry: str, statement: bytes, evidence: bytes) -> Call:
    return Call(registry, _data("approve", statement, evidence))


def veto_call(registry: str, statement: bytes) -> Call:
    return Call(registry, _data("veto", statement))


def enrol_call(registry: str, enrolment: Enrolment, evidence: bytes) -> Call:
    return Call(registry, _data("enrol", astuple(enrolment), evidence))


def revoke_call(registry: str, owner: str, model_id: bytes, point: bytes) -> Call:
    return Call(registry, _data("revoke", owner, model_id, point[:WORD], point[WORD:]))


def contradict_call(one: Signed, other: Signed) -> Call:
    """What revokes the key of two answers. Raises NoContradiction if they are not of one key, model
    and input, or say the same."""
    pairs = {
        "registry": (one.registry, other.registry),
        "owner": (one.owner, other.owner),
        "model": (one.request.model_id, other.request.model_id),
        "input": (one.request.input_hash, other.request.input_hash),
        "key": (one.point, other.point),
    }
    for name, (first, second) in pairs.items():
        if first != second:
            shown = [
                each if isinstance(each, str) else f"0x{each.hex()}" for each in (first, second)
            ]
            raise NoContradiction(f"expected answers of one {name}, got {' and '.join(shown)}")
    if one.output == other.output:
        raise NoContradiction("expected two outputs, got the same in both answers")
    x, y, request = one.point[:WORD], one.point[WORD:], one.request
    key = (one.owner, request.model_id, x, y, request.input_hash)
    return Call(one.registry, _data("contradict", *key, one.said, other.said))


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
    """The key that signed the claim that stands under a tier, or its attested part. None if a
    contract handed the answer in."""
    found = await signed_by(chain, request, tier, stood)
    if found is None:
        return None
    named = (found.registry, found.owner, request.model_id, found.point)
    return (await key_shown(chain, *named))[0]


async def signed_by(chain: NodeChain, request: Request, tier: Tier, stood: Stood) -> Signed | None:
    """What the claim that stands was signed with: it is in the calldata of the transaction that the
    oracle logged, whatever others say in its block. None if a contract handed the answer in."""
    at, topics = stood.block.number, ["0x" + word.hex() for word in (ANSWERED, request.id)]
    for log in await chain.logs(at, at, [chain.oracle], topics):
        shown = await chain.shown(request, bytes.fromhex(log["transactionHash"][2:]))
        if shown is None or (shown.payee, shown.output) != (stood.payee, stood.output):
            continue
        for part, piece in zip(tier.vouchers, pieces_of(tier, shown.evidence), strict=True):
            if part.kind is not TierKind.ATTESTED or len(piece) != ATTESTATION_BYTES:
                continue
            registry = await registry_of(chain, part.assurance)
            return Signed(registry, part.assurance, request, shown.payee, shown.output, piece)
    return None


def _data(function: str, *arguments: Any) -> bytes:
    return call_data(function, *arguments, among=REGISTRY)
