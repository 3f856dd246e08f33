"""The board on which a committee's words are exchanged, kept by whoever collects them.

It keeps words in memory only: a member's word is the same whenever it is made, and is put again by
its member where it is missing, so a board that died has lost nothing.
"""

from collections.abc import Sequence

from oracle.domain.chain import Identity
from oracle.domain.committee import DAY, Committee, Recover, Word
from oracle.domain.errors import BoardUnavailable
from oracle.newest import Newest
from oracle.ports import Chain, JobStore

#: Rounds kept; the oldest is forgotten first.
ROUNDS = 4096


class WordBoard:
    """Takes the words of the committee's members about requests that its service knows, and no
    others: who put them does not matter, their signatures do."""

    def __init__(self, chain: Chain, store: JobStore, identity: Identity, recover: Recover) -> None:
        self._chain = chain
        self._store = store
        self._identity = identity
        self._recover = recover
        self._rounds: Newest[tuple[bytes, int], dict[str, Word]] = Newest(ROUNDS)

    async def put(self, word: Word) -> None:
        """Raises BoardUnavailable if it is not that member's word, or not its first."""
        committee, tier = await self._committee(word)
        if not word.sound(committee, self._identity.chain_id, tier, self._recover):
            raise BoardUnavailable(f"not the word of a member of epoch {committee.epoch}'s")
        held = self._rounds.setdefault((word.request_id, word.epoch), {})
        known = held.get(word.member)
        if known is not None and known.commitment != word.commitment:
            raise BoardUnavailable(f"{word.member} committed to something else already")
        # What was opened stays: its share is under no signature, so that anyone could put another.
        if known is None or (known.opened is None and word.opened is not None):
            held[word.member] = word

    async def read(self, request_id: bytes, epoch: int) -> list[Word]:
        return list(self._rounds.get((request_id, epoch), {}).values())

    async def _committee(self, word: Word) -> tuple[Committee, str]:
        job = await self._store.run(lambda ledger: ledger.job(word.request_id))
        if job is None:
            raise BoardUnavailable(f"request 0x{word.request_id.hex()} is not known here (yet)")
        today = (await self._chain.head()).timestamp // DAY
        if word.epoch not in (today, today - 1):  # looked for among old logs for whoever names it
            raise BoardUnavailable(f"no words are exchanged for epoch {word.epoch}, it is {today}")
        tier = await self._chain.tier(job.request.assurance)
        committee = await self._chain.committee(tier, word.epoch) if tier else None
        if tier is None or committee is None:
            raise BoardUnavailable(f"no committee is drawn for epoch {word.epoch}")
        return committee, tier.assurance


def committed(committee: Committee, words: Sequence[Word]) -> int:
    """Places whose owners have committed."""
    return sum(len(committee.places(word.member)) for word in words)
