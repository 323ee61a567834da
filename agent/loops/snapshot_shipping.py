"""Sends what the scheduler sees to the control plane when it has changed, at most once a minute.

Losing one loses nothing: the next takes its place, and a repeated one is the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from agent.link.client import LinkClient, LinkError
from agent.loops.snapshots import document
from agent.scheduler.snapshot import Snapshot
from agent.wire import limits

log = structlog.get_logger(__name__)

EVERY_S = 60.0
FIRST_S = 5.0


async def ship_snapshots(
    link: LinkClient, read: Callable[[], Snapshot | None], leading: Callable[[], bool], every_s: float = EVERY_S
) -> None:
    """Until cancelled. Without a scheduler in this process nothing is sent."""
    shipped: Snapshot | None = None
    await asyncio.sleep(min(FIRST_S, every_s))
    while True:
        found = read() if leading() else None
        if found is not None and found != shipped and await _ship(link, found):
            shipped = found
        await asyncio.sleep(every_s)


async def _ship(link: LinkClient, snapshot: Snapshot) -> bool:
    body = await asyncio.to_thread(document, snapshot, time.time_ns())
    if len(body) > limits.MAX_BLOB:
        log.warning("snapshot_too_large", bytes=len(body), allowed=limits.MAX_BLOB)
        return True
    try:
        await link.send("PUT", "scheduler", body, content_type="application/gzip")
    except LinkError as error:
        log.info("snapshot_not_sent", error=str(error))
        return False
    return True
