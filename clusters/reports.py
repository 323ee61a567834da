"""What every room does with a batch of reports: claim in order, read what can be read, and the small parsers.

Safe to repeat: rows leave the inbox in the transaction that applies them, and the link lets one claim of a topic run at
a time, so that a newer report is never overwritten by an older one.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from django.db import connection
from django.utils.dateparse import parse_datetime

from agent.wire import codec
from link import services as link
from link.services import InboxItem

log = logging.getLogger(__name__)
T = TypeVar("T")
BATCH = 500
MAX_BATCHES = 200


def drain(topic: str, apply: Callable[[list[InboxItem]], None]) -> int:
    """Apply batch after batch until the topic is empty; returns the number of rows. Bounded: a sweeper calls again."""
    done = 0
    for _ in range(MAX_BATCHES):
        with link.claim_inbox(schema_name=connection.schema_name, topic=topic, limit=BATCH) as claimed:
            items = list(claimed)
            if items:
                apply(items)
        done += len(items)
        if len(items) < BATCH:
            break
    return done


def latest(items: Iterable[InboxItem], kind: str) -> list[InboxItem]:
    """The newest row of each object of a kind: reports are absolute, so the older ones say nothing more."""
    newest: dict[tuple[UUID, str], InboxItem] = {}
    for item in items:
        if item.kind == kind:
            newest[(item.cluster_id, item.uid)] = item
    return list(newest.values())


def read(cls: type[T], item: InboxItem) -> T | None:
    """The report of an upsert; None for a deletion, and for a body this version cannot read (logged, not retried)."""
    if item.op == "delete" or item.body is None:
        return None
    try:
        return codec.from_dict(cls, item.body)
    except (ValueError, TypeError) as error:
        log.warning("a %s report of cluster %s cannot be read: %s", item.kind, item.cluster_id, error)
        return None


def moment(text: str | None) -> datetime | None:
    """An RFC 3339 time, read as UTC where it names no zone; None for nothing or nonsense."""
    try:
        value = parse_datetime(text) if text else None
    except ValueError:
        return None
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def uid_of(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def clip(text: str | None, length: int) -> str:
    """Text that fits its column; NUL, which PostgreSQL cannot hold, is dropped."""
    return (text or "").replace("\x00", "")[:length]
