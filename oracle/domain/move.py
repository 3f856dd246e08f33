"""What a transaction of the service does for its request."""

from enum import StrEnum


class Role(StrEnum):
    """What a service does with the requests that it sees; each role has its key and its jobs."""

    OPERATOR = "operator"
    CHALLENGER = "challenger"
    MEMBER = "member"
    WATCHER = "watcher"


class Move(StrEnum):
    """One kind of transaction; a job wants one at a time.

    ANSWER    the first claim: with a proof, or vouched for by stake
    FINALISE  our own claim handed in again, its window being over
    PROVE     our own claim with a proof
    DISPUTE   a proof of another's claim is demanded, with a bond
    REFUTE    another output proved, where another's claim says that there is none
    SETTLE    a disputed claim handed in again, its proof not having come
    REVEAL    our commitment opened to the output that was proved
    AWARD     the reward credited to the winner
    COLLECT   our bond paid out
    CLOSE     the lock of a claim ended that the oracle's week gave back undecided

    Of a committee's member:

    ANSWER    enough openings of one claim, handed in
    COMMIT    our commitment on-chain, because the requester summoned its committee
    OPEN      that commitment opened
    DISSENT   our word that the claim which stands is wrong
    PROVE     a proof of the claim, where another dissented
    REFUTE    another output proved
    PUBLISH   the beacon's round that draws the day's committee, handed in
    DRAW      that committee drawn

    Of a watcher, and PUBLISH of an operator too:

    PUBLISH   the beacon's round that decides about an audit, handed in
    FREEZE    a drawn claim said to be so, so that its operator's others wait for its proof
    SETTLE    a drawn claim handed in, its proof not having come
    STOP      a verifier stopped, or a model there, by proofs that cannot both be right

    In a bisection, of either side; PROVE is of one segment then, SETTLE of a span that is overdue,
    REFUTE of the segment that is said to have no output, COLLECT of one span's bond:

    DEMAND    a span of another's claim is to be split, or proved; with a bond
    SPLIT     a span of our own claim split by the states of its run
    """

    ANSWER = "answer"
    FINALISE = "finalise"
    PROVE = "prove"
    DISPUTE = "dispute"
    REFUTE = "refute"
    SETTLE = "settle"
    REVEAL = "reveal"
    AWARD = "award"
    COLLECT = "collect"
    COMMIT = "commit"
    OPEN = "open"
    DISSENT = "dissent"
    CLOSE = "close"
    PUBLISH = "publish"
    DRAW = "draw"
    FREEZE = "freeze"
    STOP = "stop"
    DEMAND = "demand"
    SPLIT = "split"
