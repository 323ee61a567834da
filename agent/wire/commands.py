"""Verbs that travel as commands, and the words of their life on both sides."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    POD_DELETE = "pod.delete"
    LOG_OPEN = "log.open"
    LOG_CLOSE = "log.close"
    WORKLOAD_SUSPEND = "workload.suspend"
    WORKLOAD_DELETE = "workload.delete"


class Delivery(StrEnum):
    AT_LEAST_ONCE = "at_least_once"
    """Idempotent by construction: after a restart the agent runs it again."""
    AT_MOST_ONCE = "at_most_once"
    """``started`` is journalled before acting; if a restart finds no end, it is ``unknown`` and never run again."""


class AckState(StrEnum):
    RECEIVED = "received"
    STARTED = "started"
    REJECTED = "rejected"


class ResultState(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    UNKNOWN_COMMAND = "unknown_command"


FORGETTABLE = frozenset({Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.CONFLICT})
"""Verdicts after which the agent drops its copy of a result."""
