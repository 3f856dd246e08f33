"""What a service remembers to spare itself work: so much of it, however long it runs."""

from collections import UserDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Newest(UserDict[K, V]):
    """A dictionary of what was put last; beyond `most`, the oldest is forgotten."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __setitem__(self, key: K, item: V) -> None:
        self.data.pop(key, None)
        self.data[key] = item
        while len(self.data) > self.most:
            del self.data[next(iter(self.data))]
