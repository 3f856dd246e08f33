"""A node's arguments with the values that they name put in their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prover.compiler.trace import PREVIOUS, Ref


def resolved(args: tuple[Any, ...], values: Mapping[str, Any], previous: str) -> tuple[Any, ...]:
    def one(arg: Any) -> Any:
        if arg is PREVIOUS:
            return values[previous]
        if isinstance(arg, Ref):
            return values[arg.name]
        return tuple(map(one, arg)) if isinstance(arg, tuple) else arg

    return tuple(map(one, args))
