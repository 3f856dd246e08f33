"""Blocks as the service remembers them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block, named by number and hash: a number alone means nothing after a reorg."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header, as far as the service reads it; `timestamp` in seconds."""

    number: int
    hash: bytes
    parent: bytes
    timestamp: int

    @property
    def ref(self) -> BlockRef:
        return BlockRef(self.number, self.hash)
