"""Frozen dataclasses as JSON and back, by their type hints.

bytes are 0x-hex, integers stay integers of any size, enumerations are their values, None is null;
a tuple, of one kind of items, is a list.
"""

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def dumps(value: Any) -> str:
    return json.dumps(plain(value), separators=(",", ":"))


def loads(kind: type[T], text: str) -> T:
    """Raises ValueError, KeyError or TypeError if the text is no `kind`."""
    value: T = typed(kind, json.loads(text))
    return value


def plain(value: Any) -> Any:
    """The value in JSON's terms."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def typed(kind: Any, value: Any) -> Any:
    """The inverse of `plain`, for a value known to be a `kind`."""
    options = get_args(kind)
    if get_origin(kind) is tuple:
        return tuple(typed(options[0], item) for item in value)
    if options:
        if value is None:
            return None
        kind = next(option for option in options if option is not NoneType)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: typed(hints[name], item) for name, item in value.items()})
    if kind is bytes:
        return bytes.fromhex(value[2:])
    if issubclass(kind, Enum):
        return kind(value)
    return value


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)
