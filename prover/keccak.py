"""keccak256, by pysha3."""

from sha3 import keccak_256


def keccak(data: bytes) -> bytes:
    """The 32 bytes of keccak256(data)."""
    digest: bytes = keccak_256(data).digest()
    return digest
