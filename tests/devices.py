"""Where torch computes: the devices that are here, and one that it is made to believe in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from oracle.adapters import torch_engine

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    ),
]
PRETENDED = torch.device("meta")  # which nothing computes on


class There(torch.Tensor):
    """A tensor of PRETENDED; its cells are a processor's, out of sight."""

    cells: torch.Tensor

    @staticmethod
    def __new__(cls, cells: torch.Tensor) -> There:
        made: There = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, cells.shape, cells.stride(), cells.storage_offset(), dtype=cells.dtype,
            device=PRETENDED,
        )  # fmt: skip
        made.cells = cells
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return called(func, args, kwargs or {})


class Pretence(TorchDispatchMode):
    """Makes tensors there, too, where they are asked for."""

    calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = called(func, args, kwargs or {})
        self.calls += isinstance(found, There)
        return found


def called(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """As of a device: it takes its own tensors and no others, unless it is told to fetch them."""
    given: list[torch.Tensor] = []
    tree_map(lambda x: given.append(x) if isinstance(x, torch.Tensor) else None, (args, kwargs))
    there = any(isinstance(x, There) for x in given)
    if there and not all(isinstance(x, There) for x in given):
        raise RuntimeError(f"{func}: expected all tensors on one device, got some of the processor")
    wanted = kwargs.get("device")
    kwargs = {name: x for name, x in kwargs.items() if name != "device"}
    args, kwargs = tree_map(lambda x: x.cells if isinstance(x, There) else x, (args, kwargs))
    made = func(*args, **kwargs, **({} if wanted is None else {"device": "cpu"}))
    if there if wanted is None else torch.device(wanted) == PRETENDED:
        return tree_map(lambda x: There(x) if isinstance(x, torch.Tensor) else x, made)
    return made


@contextmanager
def pretended(patch: pytest.MonkeyPatch) -> Iterator[Pretence]:
    """torch's `cuda` is PRETENDED meanwhile, for the engine."""
    patch.setattr(torch_engine, "device", lambda on: {"cuda": PRETENDED, "cpu": "cpu"}[on])
    with Pretence() as mode:
        yield mode
