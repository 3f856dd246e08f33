"""The two prime fields of BN254, as plain integers.

Fr (order P) holds every tensor cell and challenge; Fq (order Q) holds curve coordinates. An element
is its canonical representative, an int in [0, modulus). Source: EIP-196.
"""

from collections.abc import Iterable, Sequence

from prover.errors import NonCanonicalScalar, WrongLength, ZeroInverse

P = 21888242871839275222246405745257275088548364400416034343698204186575808495617
Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583
ELEMENT_BYTES = 32


def inverse(value: int, modulus: int = P) -> int:
    """1/value; raises ZeroInverse on zero."""
    if value % modulus == 0:
        raise ZeroInverse("expected an invertible field element, got 0")
    return pow(value, -1, modulus)


def batch_inverse(values: Sequence[int], modulus: int = P) -> list[int]:
    """All inverses for one inversion and 3n multiplications (Montgomery 1987, section 10.3.1)."""
    prefixes = [1]
    for value in values:
        prefixes.append(prefixes[-1] * value % modulus)
    suffix = inverse(prefixes[-1], modulus)
    inverses = []
    for value, prefix in zip(reversed(values), reversed(prefixes[:-1]), strict=True):
        inverses.append(suffix * prefix % modulus)
        suffix = suffix * value % modulus
    return inverses[::-1]


def product(values: Iterable[int]) -> int:
    """The product of the values in Fr."""
    result = 1
    for value in values:
        result = result * value % P
    return result


def centred(value: int) -> int:
    """The representative of value in (-P/2, P/2): a field element as a signed integer."""
    value %= P
    return value - P if value > P // 2 else value


def encode_scalar(value: int) -> bytes:
    """32 bytes, big-endian, of the canonical representative of value."""
    return (value % P).to_bytes(ELEMENT_BYTES, "big")


def decode_scalar(data: bytes) -> int:
    """The scalar of 32 big-endian bytes; raises WrongLength or NonCanonicalScalar."""
    if len(data) != ELEMENT_BYTES:
        raise WrongLength(ELEMENT_BYTES, len(data))
    value = int.from_bytes(data, "big")
    if value >= P:
        raise NonCanonicalScalar(value)
    return value
