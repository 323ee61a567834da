"""Who is waiting in this process: held polls by cluster, and the Redis listener that wakes them.

A wake-up is a hint. Every waiter also looks at PostgreSQL at the end of its hold, and all of them look when the
listener (re)connects, since anything may have been said while it was away.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass, field
from enum import Enum

import redis.asyncio

from link.wake import CHANNEL

log = logging.getLogger(__name__)
WAKE_ALL_SPREAD_S = 2.0


class Reason(Enum):
    WAKE = "wake"
    SUPERSEDED = "superseded"
    DRAIN = "drain"
    TIMEOUT = "timeout"


@dataclass(slots=True)
class Waiter:
    """One held poll. ``wait`` returns why it ended; wake-ups that come before it are not lost."""

    cluster_id: str
    poll_seq: int
    epoch: int
    _event: asyncio.Event = field(default_factory=asyncio.Event)
    _reason: Reason = Reason.WAKE

    def tell(self, reason: Reason) -> None:
        if self._reason is Reason.WAKE:
            self._reason = reason
        self._event.set()

    async def wait(self, timeout_s: float) -> Reason:
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return Reason.TIMEOUT
        if self._reason is Reason.WAKE:
            self._event.clear()
        return self._reason


@dataclass(slots=True)
class Heard:
    """When a cluster was last heard (``time.monotonic``), and when its connection broke after that."""

    at: float
    dropped_at: float | None = None


class Hub:
    def __init__(self) -> None:
        self._waiters: dict[str, Waiter] = {}
        self._later: set[asyncio.Task[None]] = set()
        self.heard: dict[str, Heard] = {}
        self.draining = False

    def __len__(self) -> int:
        return len(self._waiters)

    def register(self, cluster_id: str, epoch: int, poll_seq: int) -> Waiter | None:
        """Take the cluster's place; a waiter of an older poll is told to go. None when a newer one is here."""
        old = self._waiters.get(cluster_id)
        if old is not None:
            if (old.epoch, old.poll_seq) > (epoch, poll_seq):
                return None
            old.tell(Reason.SUPERSEDED)
        waiter = Waiter(cluster_id, poll_seq, epoch)
        self._waiters[cluster_id] = waiter
        if self.draining:
            waiter.tell(Reason.DRAIN)
        return waiter

    def unregister(self, waiter: Waiter) -> None:
        if self._waiters.get(waiter.cluster_id) is waiter:
            del self._waiters[waiter.cluster_id]

    def wake(self, cluster_id: str) -> None:
        waiter = self._waiters.get(cluster_id)
        if waiter is not None:
            waiter.tell(Reason.WAKE)

    def wake_all(self) -> None:
        """Everybody looks again, spread over two seconds."""
        task = asyncio.get_running_loop().create_task(self._wake_slowly(list(self._waiters)))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _wake_slowly(self, cluster_ids: list[str]) -> None:
        pause = WAKE_ALL_SPREAD_S / max(1, len(cluster_ids))
        for cluster_id in cluster_ids:
            self.wake(cluster_id)
            await asyncio.sleep(pause)

    def drain(self) -> None:
        """Answer all held polls now; new ones are answered at once."""
        self.draining = True
        for waiter in list(self._waiters.values()):
            waiter.tell(Reason.DRAIN)

    def hear(self, cluster_id: str) -> None:
        self.heard[cluster_id] = Heard(time.monotonic())

    def drop(self, cluster_id: str) -> None:
        """Its held connection broke."""
        known = self.heard.get(cluster_id)
        self.heard[cluster_id] = Heard(known.at if known else time.monotonic(), time.monotonic())

    def take_heard(self) -> dict[str, Heard]:
        heard, self.heard = self.heard, {}
        return heard


async def listen(hub: Hub, url: str) -> None:
    """Follow the wake channel for ever; reconnects with jittered pauses."""
    failures = 0
    while True:
        client = redis.asyncio.Redis.from_url(
            url, socket_connect_timeout=2, socket_keepalive=True, health_check_interval=15
        )
        try:
            async with client, client.pubsub() as channel:
                await channel.subscribe(CHANNEL)
                hub.wake_all()
                failures = 0
                async for message in channel.listen():
                    if message["type"] == "message":
                        hub.wake(message["data"].decode())
        except (redis.RedisError, OSError) as error:
            log.warning("wake channel lost, holds go on: %s", type(error).__name__)
        failures += 1
        await asyncio.sleep(min(5.0, 0.25 * 2**failures) * random.uniform(0.5, 1.0))  # noqa: S311
