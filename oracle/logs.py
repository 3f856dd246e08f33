"""Logs: one line an event on standard error, as text or as JSON. Never a key, never a password."""

import logging
import sys
from typing import Any

import structlog


def configure_logs(form: str) -> None:
    """`form` is text or json."""
    last: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)
    if form == "json":
        last = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if form == "json" else []),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
