"""Vectors that stay on the device: cells of 4 words (a field element) or 8 (an affine point).

Cells are what the interface calls a Vec and Points: slices are views, as in numpy; indexing with an
array of integers gives a copy. Where an assignment names a cell twice, either value may stay.
Nothing leaves the device but through `copy_to_host`.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numba import cuda

from prover.kernels.cuda.kernel import kernel, launch, on_device
from prover.kernels.interface import Vec

WORDS, POINT_WORDS = 4, 8


@kernel
def _copy(
    source: Any, first: Any, step: Any, target: Any, start: Any, stride: Any, width: Any, n: Any
) -> None:
    """target[start + stride i] = source[first + step i], cells of `width` words."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        for j in range(width):
            target[(start + stride * i) * width + j] = source[(first + step * i) * width + j]


@kernel
def _gather(source: Any, index: Any, target: Any, width: Any, n: Any) -> None:
    """target[i] = source[index[i]]."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        for j in range(width):
            target[i * width + j] = source[index[i] * width + j]


@kernel
def _scatter(source: Any, step: Any, index: Any, target: Any, width: Any, n: Any) -> None:
    """target[index[i]] = source[step i]."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        for j in range(width):
            target[index[i] * width + j] = source[step * i * width + j]


class Cells:
    """`length` cells: those at start, start + step, ... of a flat array of words on the device."""

    dtype = np.dtype(np.uint64)
    ndim = 2

    def __init__(self, words: Any, width: int, start: int, step: int, length: int) -> None:
        self.words, self.width = words, width
        self.start, self.step, self.length = start, step, length
        self.writeable = True

    def __len__(self) -> int:
        return self.length

    @property
    def shape(self) -> tuple[int, int]:
        """As numpy's."""
        return self.length, self.width

    def flat(self) -> Any:
        """The words, one cell after another: the very ones where they lie so, else a copy."""
        if self.step != 1 and self.length > 1:
            return self.copy().words
        low, high = self.start * self.width, (self.start + self.length) * self.width
        if low == 0 and high == self.words.size:
            return self.words
        return self.words[low:high] if self.length else cuda.device_array(0, np.uint64)

    def copy(self) -> Cells:
        """A copy, cell after cell."""
        made = empty(self.length, self.width)
        _assign(made, self)
        return made

    def copy_to_host(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """The words as an array of shape (length, width)."""
        words = self.flat().copy_to_host()
        return cast(Any, words).reshape(self.length, self.width)

    def setflags(self, write: bool) -> None:
        """As numpy's: without `write`, assignments raise ValueError."""
        self.writeable = write

    def _view(self, key: slice) -> Cells:
        start, stop, step = key.indices(self.length)
        length = len(range(start, stop, step))
        found = Cells(
            self.words, self.width, self.start + start * self.step, self.step * step, length
        )
        found.writeable = self.writeable
        return found

    def _places(self, key: Any) -> Any:
        """Where the cells of an array of indices lie; raises IndexError."""
        index = np.asarray(key)
        if index.ndim != 1 or index.dtype.kind not in "iu":
            raise IndexError(f"expected a slice or a vector of integers, got {key!r}")
        index = index.astype(np.int64)
        if len(index) and not (-self.length <= index.min() and index.max() < self.length):
            raise IndexError(f"expected indices of {self.length} cells, got {index}")
        index = np.where(index < 0, index + self.length, index)
        return on_device(self.start + self.step * index)

    def __getitem__(self, key: Any) -> Cells:
        if isinstance(key, slice):
            return self._view(key)
        places = self._places(key)
        found = empty(places.size, self.width)
        launch(_gather, len(found), self.words, places, found.words, self.width)
        return found

    def __setitem__(self, key: Any, value: Cells) -> None:
        if not self.writeable:
            raise ValueError("assignment destination is read-only")
        if isinstance(key, slice):
            target = self._view(key)
            _fits(len(value), len(target))
            _assign(target, value.copy() if value.words is self.words else value)
        else:
            places, source = self._places(key), value.copy()
            _fits(len(source), places.size)
            step = int(len(source) == places.size)
            launch(_scatter, places.size, source.words, step, places, self.words, self.width)


def _fits(given: int, wanted: int) -> None:
    if given not in (1, wanted):
        raise ValueError(f"could not assign {given} cells to {wanted}")


def _assign(target: Cells, source: Cells) -> None:
    """Copies source's cells to target's, the same one to all where there is one."""
    step = source.step if len(source) == len(target) else 0
    launch(
        _copy, len(target), source.words, source.start, step,
        target.words, target.start, target.step, target.width,
    )  # fmt: skip


def empty(n: int, width: int = WORDS) -> Any:
    """n cells not yet written."""
    return Cells(cuda.device_array(n * width, np.uint64), width, 0, 1, n)


def from_host(words: np.ndarray[Any, np.dtype[np.uint64]], width: int = WORDS) -> Any:
    """Cells from words on this side."""
    return Cells(on_device(words), width, 0, 1, words.size // width)


def join(parts: list[Vec], width: int = WORDS) -> Any:
    """The parts' cells, one after another, in new memory."""
    made, at = empty(sum(len(part) for part in parts), width), 0
    for part in parts:
        made[at : at + len(part)] = part
        at += len(part)
    return made
