"""What every handler works with: pools, waiters, keys, limits. One per process, made by the ASGI app's start."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from psycopg import Connection
from psycopg_pool import ConnectionPool

from agent.wire.messages import Directives
from link.agent_api.http import Request
from link.credentials import AccessTokens
from link.hub import Hub
from link.outside import Nudger
from link.protocol.pace import Bucket, retry_after_ms, take
from link.protocol.state import DigestWatch
from link.refusal import Refused
from link.store.exchange import Caller
from link.store.pool import Pool, open_metrics_pool, open_pool

REQUESTS = (100.0, 400.0)
"""Per cluster and process: requests a second, burst. Fifty followed logs alone make a hundred."""
TENANT_REQUESTS = (500.0, 3_000.0)
BYTES = (4e6, 32e6)
"""Per cluster and process."""
SESSIONS = (200.0, 200.0)
ENROLMENTS = (5.0, 50.0)
MAX_BUCKETS = 20_000
SHED_ABOVE = 300
"""Requests that wait for a connection: some tenths of a second; above that, newcomers are sent away."""


@dataclass(slots=True)
class Desk:
    pool: Pool
    tokens: AccessTokens
    audience: str
    nudger: Nudger
    hub: Hub = field(default_factory=Hub)
    watches: dict[str, DigestWatch] = field(default_factory=dict)
    metrics_threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "metrics"))
    metrics_pool: ConnectionPool[Connection[Any]] | None = None
    _buckets: OrderedDict[tuple[str, str], Bucket] = field(default_factory=OrderedDict)

    @classmethod
    def make(cls) -> Desk:
        return cls(open_pool(), AccessTokens(settings.SIGNING_KEY), settings.LINK_URL.rstrip("/"), Nudger())

    def directives(self) -> Directives:
        return Directives(spread_ms=5_000) if self.hub.draining else Directives()

    def caller(self, request: Request, scope: str) -> Caller:
        """Who calls, allowed to do this, within the rates of cluster and tenant. Raises ``Refused``."""
        self.check_load()
        caller = self.tokens.read(request.bearer(), scope)
        length = request.headers.get("content-length", "")
        cluster = str(caller.cluster_id)
        self.charge(caller.schema_name, "requests", TENANT_REQUESTS)
        self.charge(cluster, "requests", REQUESTS)
        self.charge(cluster, "bytes", BYTES, int(length) if length.isdigit() and len(length) < 12 else 0)
        self.hub.hear(cluster)
        return caller

    def charge(self, who: str, what: str, rate: tuple[float, float], cost: float = 1.0) -> None:
        """Take from a token bucket. Raises ``Refused`` 429 with the time to wait."""
        now, key = time.monotonic(), (who, what)
        bucket = self._buckets.pop(key, None) or Bucket.full(rate[0], rate[1], now)
        self._buckets[key], wait = take(bucket, now, cost)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if wait > 0:
            raise Refused(429, "rate_limited", f"too many {what}", retry_after_ms=max(100, int(wait * 1000)))

    def check_load(self) -> None:
        """Refuse cheaply, before any work, while requests queue up for the database. Raises ``Refused`` 503."""
        if self.pool.get_stats().get("requests_waiting", 0) > SHED_ABOVE:
            raise self.busy()

    @staticmethod
    def busy() -> Refused:
        wait = retry_after_ms(5_000, 60_000, random.random())  # noqa: S311
        return Refused(503, "busy", "the link is busy", retry_after_ms=wait)

    @staticmethod
    def no_database() -> Refused:
        """A restart of the database takes seconds: come back soon, but not together."""
        wait = retry_after_ms(1_000, 5_000, random.random())  # noqa: S311
        return Refused(503, "unavailable", "the database does not answer", retry_after_ms=wait)

    async def store_metrics(self, work: Any) -> Any:
        """Run ``work(connection)`` in one of two threads with a connection of their own."""
        return await asyncio.get_running_loop().run_in_executor(self.metrics_threads, self._with_connection, work)

    def _with_connection(self, work: Any) -> Any:
        if self.metrics_pool is None:
            self.metrics_pool = open_metrics_pool()
        with self.metrics_pool.connection() as conn:
            return work(conn)

    async def close(self) -> None:
        self.nudger.close()
        self.metrics_threads.shutdown(wait=False, cancel_futures=True)
        if self.metrics_pool is not None:
            self.metrics_pool.close()
        await self.pool.close()
