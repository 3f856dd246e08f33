"""Between the user's floats and the statement's int16: the public quantiser of a model.

A value x stands for the integer n = round(x * 2^exponent), half to even, and an integer n for n *
2^-exponent; nothing else is lost or added. Its canonical JSON is hashed into the model's id, so it
holds integers only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prover.errors import EinproofError
from prover.keccak import keccak

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
MOST_EXPONENT = 1 << 12  # beyond any ratio of two float64


class InputRefused(EinproofError):
    """An input that the model has no answer for: not numbers, another shape, out of the declared
    range.
    """


class QuantizerMalformed(EinproofError):
    """JSON that does not describe a quantiser."""


def round_half_even(values: FloatArray, exponent: int) -> FloatArray:
    """round(values * 2^exponent), half to even; float64, infinite where that overflows."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.rint(np.ldexp(values, exponent)), dtype=np.float64)


@dataclass(frozen=True)
class Scaled:
    """An int16 statement tensor as its user sees it: the shape, the scale, and the integers that
    are valid.
    """

    tensor: str
    shape: tuple[int, ...]
    exponent: int
    lo: int
    hi: int

    @property
    def range(self) -> tuple[float, float]:
        """The declared range, in the user's units."""
        return float(np.ldexp(self.lo, -self.exponent)), float(np.ldexp(self.hi, -self.exponent))

    def values(self, integers: IntArray) -> FloatArray:
        """What integers of this tensor stand for, in the user's units and shape."""
        floats = integers.reshape(self.shape).astype(np.float64)
        return np.asarray(np.ldexp(floats, -self.exponent), dtype=np.float64)


@dataclass(frozen=True)
class Quantizer:
    """How a model's input becomes integers, and its output floats.

    tokenizer: where the input is token ids of a text, the hash of the file that says which.
    """

    input: Scaled
    output: Scaled
    tokenizer: str = ""

    def quantize(self, values: npt.ArrayLike) -> IntArray:
        """int64 of the input's shape, each in [lo, hi]; raises InputRefused, in one line."""
        spec = self.input
        try:
            given = np.asarray(values)
        except (TypeError, ValueError, OverflowError):
            raise InputRefused(
                f"expected numbers of shape {spec.shape}, got a ragged list"
            ) from None
        if given.dtype.kind not in "biuf":  # complex numbers, strings and big integers convert
            raise InputRefused(f"expected numbers of shape {spec.shape}, got others")
        floats = given.astype(np.float64)
        if floats.shape != spec.shape:
            raise InputRefused(f"expected an input of shape {spec.shape}, got {floats.shape}")
        if not np.isfinite(floats).all():
            raise InputRefused(
                f"expected finite numbers, got {_first(~np.isfinite(floats), floats)}"
            )
        scaled = round_half_even(floats, spec.exponent)
        outside = (scaled < spec.lo) | (scaled > spec.hi)
        if outside.any():
            low, high = spec.range
            raise InputRefused(
                f"expected values in [{low:g}, {high:g}], got {_first(outside, floats)}"
            )
        return scaled.astype(np.int64)

    def dequantize(self, integers: npt.ArrayLike) -> FloatArray:
        """The output in the user's units, float64 of the output's shape; raises InputRefused."""
        array = np.asarray(integers)
        if array.dtype.kind not in "iu" or array.size != int(np.prod(self.output.shape)):
            raise InputRefused(
                f"expected integers of shape {self.output.shape},"
                f" got {array.dtype} of shape {array.shape}"
            )
        return self.output.values(array)

    def to_dict(self) -> dict[str, Any]:
        """What `model.json` records."""

        def fields(s: Scaled) -> dict[str, Any]:
            return {
                "tensor": s.tensor,
                "shape": list(s.shape),
                "exponent": s.exponent,
                "lo": s.lo,
                "hi": s.hi,
            }

        return {
            "input": fields(self.input),
            "output": fields(self.output),
            "rounding": "half-to-even",
            "version": 1,
            **({"tokenizer": self.tokenizer} if self.tokenizer else {}),
        }

    def canonical(self) -> bytes:
        """The bytes that are hashed: JSON with sorted keys and no spaces."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":")).encode("ascii")

    @property
    def hash(self) -> bytes:
        """keccak256 of the canonical bytes: the auxiliary hash of a model id."""
        return keccak(self.canonical())

    @classmethod
    def from_dict(cls, data: object) -> Quantizer:
        """The inverse of `to_dict`; raises QuantizerMalformed."""
        try:
            tokenizer = data.get("tokenizer") if isinstance(data, Mapping) else None
            names = {"input", "output", "rounding", "version"}
            require_fields(data, names if tokenizer is None else {*names, "tokenizer"})
            given = _scaled(data["input"]), _scaled(data["output"])  # type: ignore[index]
            quantizer = cls(*given, "" if tokenizer is None else _hash(tokenizer))
        except (KeyError, TypeError, ValueError) as error:
            raise QuantizerMalformed(f"expected a quantiser, got one with {error}") from None
        if quantizer.to_dict() != data:
            raise QuantizerMalformed("expected a quantiser of version 1 rounding half-to-even")
        return quantizer


def _hash(text: object) -> str:
    digits = text.removeprefix("0x") if isinstance(text, str) else ""
    if len(digits) != 64 or set(digits) - set("0123456789abcdef") or text == digits:
        raise ValueError("a tokenizer that is no hash")
    return f"0x{digits}"


def require_fields(data: object, names: set[str]) -> None:
    """Raises ValueError unless `data` is a mapping with exactly these keys."""
    if not isinstance(data, Mapping) or set(data) != names:
        raise ValueError(f"other fields than {sorted(names)}")


def _scaled(data: object) -> Scaled:
    require_fields(data, {"tensor", "shape", "exponent", "lo", "hi"})
    fields: Mapping[str, Any] = data  # type: ignore[assignment]
    numbers = [fields["exponent"], fields["lo"], fields["hi"], *fields["shape"]]
    if not isinstance(fields["tensor"], str) or any(type(n) is not int for n in numbers):
        raise ValueError("fields of another type")
    exponent, lo, hi = numbers[:3]
    if min(fields["shape"], default=1) < 1 or abs(exponent) > MOST_EXPONENT:
        raise ValueError("a shape or an exponent out of range")
    if not INT16_MIN <= lo <= hi <= INT16_MAX:
        raise ValueError(f"a range [{lo}, {hi}] that is not int16")
    return Scaled(fields["tensor"], tuple(fields["shape"]), exponent, lo, hi)


def _first(where: npt.NDArray[np.bool_], values: FloatArray) -> str:
    at = tuple(int(i) for i in np.argwhere(where)[0])
    return f"{values[at]:g} at {list(at)}"
