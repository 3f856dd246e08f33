"""Claims that the oracle's week gave back, undecided: their lock lasts until someone closes them.

Anyone may. An operator does for a claim of its own that nobody disputed, and has its stake back; a
challenger for one that it disputed, and has bond and reward; a watcher for one that an audit drew.
"""

from oracle.domain.chain import Call
from oracle.domain.errors import CallRefused
from oracle.domain.job import Due
from oracle.domain.move import Move
from oracle.ports import Chain

#: Time mends these: a beacon's round is not published yet.
PASSING = ("SeedUnknown", "TooEarly")


async def close(chain: Chain, sender: str, call: Call) -> Due:
    """The move that ends a lock, if one is left."""
    try:
        await chain.preflight(sender, call)
    except CallRefused as reason:
        if reason.name not in PASSING:
            return Due(None)
    return Due(Move.CLOSE, call=call)
