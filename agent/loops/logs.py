"""Logs of the agent: one JSON object a line on standard output, from a level on that may change while it runs."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

_NUMBERS = logging.getLevelNamesMapping()


class _Level:
    """Drops what is below the level. Loggers are made once, so the level is asked at every line instead."""

    def __init__(self) -> None:
        self.least = logging.INFO

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        name = "ERROR" if method == "exception" else method.upper()
        if _NUMBERS.get(name, logging.ERROR) < self.least:
            raise structlog.DropEvent
        return event


_LEVEL = _Level()


def configure(level: str) -> None:
    """Set up once; ``level`` is debug, info, warning or error."""
    set_level(level)
    structlog.configure(
        processors=[
            _LEVEL,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )


def set_level(level: str) -> None:
    """Counts from the next line on."""
    _LEVEL.least = _NUMBERS[level.upper()]
