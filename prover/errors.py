"""The root of every error that einproof raises on purpose."""


class EinproofError(Exception):
    """An input or a state that einproof refuses; the message says what was expected and what came."""


class ZeroInverse(EinproofError):
    """Zero has no inverse."""
