"""Bytes read from front to back; no length is trusted."""

from __future__ import annotations

from typing import Literal

from oracle.attestation.evidence import MalformedEvidence

Order = Literal["little", "big"]


class Reader:
    """A cursor over bytes. Raises MalformedEvidence where they end too early, or too late."""

    def __init__(self, what: str, data: bytes, order: Order) -> None:
        self.what, self.data, self.order, self.at = what, data, order, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            left = len(self.data) - self.at
            raise MalformedEvidence(f"{self.what} at byte {self.at}", f"{count} bytes", left)
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), self.order)

    def sized(self, size: int) -> bytes:
        """Bytes after their own count, of `size` bytes."""
        return self.take(self.number(size))

    def expect(self, value: int, size: int, name: str) -> None:
        got = self.number(size)
        if got != value:
            raise MalformedEvidence(f"{self.what} {name}", hex(value), hex(got))

    @property
    def is_done(self) -> bool:
        return self.at == len(self.data)

    def end(self) -> None:
        if not self.is_done:
            raise MalformedEvidence(self.what, f"{self.at} bytes", len(self.data))
