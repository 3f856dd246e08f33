"""Evidence as a combination takes it, and the proof within what a claim was handed in with."""

from collections.abc import Sequence
from dataclasses import replace

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from oracle.domain.chain import Shown
from oracle.domain.committee import PROOF, REFUTATION, REFUTED
from oracle.domain.job import Standing
from oracle.domain.request import STAKED, Tier, TierKind

#: A refutation under a staked tier begins with payee and output hash of what stands.
NAMED = 64
#: A combination's evidence is for all parts, a piece each, or for one (ICombinedAssurance).
ALL, PIECES = b"\0", ("bytes[]",)


def for_all(pieces: Sequence[bytes]) -> bytes:
    """Evidence for every part of a combination, in their order."""
    return ALL + encode(PIECES, (list(pieces),))


def by_all(tier: Tier, proof: bytes) -> bytes:
    """A proof as a tier takes it; a combination, for each of its parts."""
    return for_all([proof] * len(tier.parts)) if proof and tier.parts else proof


def alone(tier: Tier, part: Tier) -> bytes:
    """What says that a combination's part gives a claim back, as its clock has it; nothing where
    the part is the tier itself."""
    return bytes([1 + tier.vouchers.index(part)]) if tier.parts else b""


def pieces_of(tier: Tier, evidence: bytes) -> list[bytes]:
    """What each of `tier.vouchers` was handed; nothing where it cannot be read."""
    if not tier.parts:
        return [evidence]
    nothing = [b""] * len(tier.parts)
    if evidence[:1] != ALL:
        return nothing
    try:
        pieces = [bytes(each) for each in decode(PIECES, evidence[1:])[0]]
    except (DecodingError, OverflowError):
        return nothing
    return pieces if len(pieces) == len(nothing) else nothing


def proof_of(tier: Tier, standing: Standing | None, shown: Shown) -> bytes:
    """`proof_in` what was handed to a tier, or to the first part of a combination that got one."""
    pieces = zip(tier.vouchers, pieces_of(tier, shown.evidence), strict=True)
    found = (
        proof_in(part.kind, standing, replace(shown, evidence=piece)) for part, piece in pieces
    )
    return next(filter(None, found), b"")


def proof_in(kind: TierKind, standing: Standing | None, shown: Shown) -> bytes:
    """The proof bytes; empty if silence, a quorum or stake made the claim final."""
    evidence = shown.evidence
    if kind is TierKind.PROOF:
        return evidence
    if kind in STAKED:
        stood = standing is None or standing.output == shown.output
        return evidence if stood else evidence[NAMED:]
    if kind is TierKind.COMMITTEE and evidence[:1] == PROOF:
        return evidence[1:]
    if kind is TierKind.COMMITTEE and evidence[:1] == REFUTED:
        try:
            return bytes(decode(REFUTATION, evidence[1:])[3])
        except (DecodingError, OverflowError):  # the latter of lengths that are beyond a machine's
            return b""
    return b""
