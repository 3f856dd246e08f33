"""A committee of a day, and what its members say (contracts/committee).

commitment = keccak256(abi.encode(payee, output hash, trace root, salt, member))
digest     = EIP-712 Commit(bytes32 requestId,uint256 epoch,bytes32 commitment)

A member signs the digest before it has seen an answer, and shows the opening once a quorum has
signed. In a committee of many it shows, with the opening, its BLS signature of

message    = EIP-712 Agree(bytes32 requestId,uint256 epoch,address payee,bytes32 output,
                           bytes32 traceRoot)

and those of a quorum, added up, are one signature of that message.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.domain import ids

DAY = 86_400
MEMBER_BYTES = 24
OPENING = "(uint8,uint8,bytes32,bytes32,bytes32)"
QUORUM = f"(bytes,bytes32,{OPENING}[])"
AGGREGATE = "(bytes,bytes32,uint256,uint256,bytes,bytes)"
#: First byte of the committee tier's evidence.
PROOF, AGREED, REFUTED = b"\0", b"\1", b"\2"
#: What a refutation says: payee and output hash of what stands, its members' words, the proof.
REFUTATION = ("address", "bytes32", "bytes", "bytes")

DOMAIN = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
COMMIT = keccak(b"Commit(bytes32 requestId,uint256 epoch,bytes32 commitment)")
AGREE = keccak(
    b"Agree(bytes32 requestId,uint256 epoch,address payee,bytes32 output,bytes32 traceRoot)"
)

#: Who signed a digest: (digest, r s v) -> address; empty if nobody can have.
Recover = Callable[[bytes, bytes], str]
Opening = tuple[int, int, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Committee:
    """An epoch's members as `Drawn` said (seat, owner of each place); how many must agree."""

    epoch: int
    members: bytes
    quorum: int

    @property
    def owners(self) -> list[str]:
        """By place; an owner may have several."""
        starts = range(0, len(self.members), MEMBER_BYTES)
        return [to_checksum_address(self.members[at + 4 : at + MEMBER_BYTES]) for at in starts]

    @property
    def seats(self) -> list[int]:
        """Their numbers, by place."""
        starts = range(0, len(self.members), MEMBER_BYTES)
        return [int.from_bytes(self.members[start : start + 4], "big") for start in starts]

    def places(self, owner: str) -> list[int]:
        return [place for place, held in enumerate(self.owners) if held == owner]


@dataclass(frozen=True, slots=True)
class Summons:
    """The requester demands that this epoch's committee speaks on-chain: last seconds for it."""

    epoch: int
    commit_by: int
    reveal_by: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What a member committed to."""

    payee: str
    output: bytes
    trace: bytes
    salt: bytes

    def commitment(self, member: str) -> bytes:
        words = (self.payee, ids.output_hash(self.output), self.trace, self.salt, member)
        return keccak(encode(("address", "bytes32", "bytes32", "bytes32", "address"), words))

    @property
    def claim(self) -> bytes:
        """What `revealedAt` keeps: the claim without its author."""
        words = (self.payee, ids.output_hash(self.output), self.trace)
        return keccak(encode(("address", "bytes32", "bytes32"), words))


@dataclass(frozen=True, slots=True)
class Word:
    """A member's signed commitment (`signature`: r, s, v); with its opening, once it is shown, and
    in a committee of many its `share` of the one signature of what it opened."""

    request_id: bytes
    epoch: int
    member: str
    commitment: bytes
    signature: bytes
    opened: Opened | None = None
    share: bytes = b""

    def sound(self, committee: Committee, chain_id: int, tier: str, recover: Recover) -> bool:
        """Whether that member of that committee said just this."""
        if self.epoch != committee.epoch or not committee.places(self.member):
            return False
        try:
            signed = digest(chain_id, tier, self.request_id, self.epoch, self.commitment)
            return (
                len(self.signature) == 65
                and recover(signed, self.signature) == self.member
                and (self.opened is None or self.opened.commitment(self.member) == self.commitment)
            )
        except (EncodingError, TypeError, ValueError):  # what was never a word's
            return False


def digest(chain_id: int, tier: str, request_id: bytes, epoch: int, commitment: bytes) -> bytes:
    """What a member signs (Openings.digestOf)."""
    types = ("bytes32", "bytes32", "uint256", "bytes32")
    return _typed(chain_id, tier, encode(types, (COMMIT, request_id, epoch, commitment)))


def message(chain_id: int, tier: str, request_id: bytes, epoch: int, claim: Opened) -> bytes:
    """What members of a committee of many sign together (BlsCommitteeAssurance.messageOf)."""
    types = ("bytes32", "bytes32", "uint256", "address", "bytes32", "bytes32")
    said = (claim.payee, ids.output_hash(claim.output), claim.trace)
    return _typed(chain_id, tier, encode(types, (AGREE, request_id, epoch, *said)))


def _typed(chain_id: int, tier: str, struct: bytes) -> bytes:
    names = (keccak(b"einproof committee"), keccak(b"1"), chain_id, tier)
    domain = encode(("bytes32", "bytes32", "bytes32", "uint256", "address"), (DOMAIN, *names))
    return keccak(b"\x19\x01" + keccak(domain) + keccak(struct))


def signed_openings(committee: Committee, words: Sequence[Word], claim: bytes) -> list[Opening]:
    """Openings of one claim, by place: as many as there are places whose owners opened to it."""
    found = {w.member: w for w in words if w.opened is not None and w.opened.claim == claim}
    made: list[Opening] = []
    for place, owner in enumerate(committee.owners):
        word = found.get(owner)
        if word is not None and word.opened is not None:
            sign = word.signature
            made.append((place, sign[64], word.opened.salt, sign[:32], sign[32:64]))
    return made


def spoken_openings(revealed: Mapping[int, bytes], claim: bytes) -> list[Opening]:
    """The same for what was revealed on-chain: the contract knows it, so nothing is signed."""
    empty = bytes(32)
    return [(p, 0, empty, empty, empty) for p in sorted(revealed) if revealed[p] == claim]


def agreement(committee: Committee, trace: bytes, openings: Sequence[Opening]) -> bytes:
    """Evidence that a quorum agrees."""
    return AGREED + encode((QUORUM,), ((committee.members, trace, list(openings)),))


def aggregate(
    committee: Committee,
    trace: bytes,
    signers: Sequence[int],
    spoken: Sequence[int],
    total: bytes,
    signature: bytes,
) -> bytes:
    """The same of a committee of many: places that signed, places that revealed on-chain, the sum
    of all members' keys, and that of the signatures."""
    everyone = (1 << len(committee.owners)) - 1
    masks = (everyone ^ _bits(signers), _bits(spoken))
    return AGREED + encode((AGGREGATE,), ((committee.members, trace, *masks, total, signature),))


def _bits(places: Sequence[int]) -> int:
    return sum(1 << place for place in places)


def refutation(payee: str, output: bytes, agreed: bytes, proof: bytes) -> bytes:
    """Evidence of another output than the one that stands: that one's payee, hash and members'
    words (its own evidence), and the proof."""
    quorum = agreed.removeprefix(AGREED)
    return REFUTED + encode(REFUTATION, (payee, ids.output_hash(output), quorum, proof))
