"""The proof within what a final claim was handed in with."""

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from oracle.domain.chain import Shown
from oracle.domain.committee import PROOF, REFUTATION, REFUTED
from oracle.domain.job import Standing
from oracle.domain.request import STAKED, TierKind

#: A refutation under a staked tier begins with payee and output hash of what stands.
NAMED = 64


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
