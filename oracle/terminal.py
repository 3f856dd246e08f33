"""What a command shows on stderr while it works."""

import sys
from contextlib import AbstractContextManager, nullcontext


def status(text: str) -> AbstractContextManager[object]:
    """A spinner where stderr is a terminal; nothing, and nothing imported for it, where not."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)
