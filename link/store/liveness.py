"""Brings what the hub heard into the table: every few seconds, in one statement per 500 clusters."""

from __future__ import annotations

import asyncio
import logging
import time
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from link.hub import Heard, Hub
from link.store.pool import Pool

log = logging.getLogger(__name__)
FLUSH_S = 3.0
BATCH = 500
_FLUSH = """
INSERT INTO public.link_liveness AS l (cluster_id, last_seen, dropped_at)
SELECT c.id, clock_timestamp() - make_interval(secs => v.age), clock_timestamp() - make_interval(secs => v.dropped)
FROM unnest(%s::uuid[], %s::float8[], %s::float8[]) AS v(id, age, dropped)
JOIN public.link_cluster c ON c.id = v.id ORDER BY c.id
ON CONFLICT (cluster_id) DO UPDATE SET last_seen = GREATEST(l.last_seen, EXCLUDED.last_seen),
    dropped_at = CASE WHEN EXCLUDED.last_seen >= l.last_seen - interval '1 millisecond' THEN EXCLUDED.dropped_at
                 ELSE l.dropped_at END
"""


async def flush(pool: Pool, heard: dict[str, Heard]) -> None:
    """Receipt times on the database's clock; another process' newer word is kept."""
    now = time.monotonic()
    ids = sorted(heard)
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        ages = [now - heard[name].at for name in part]
        drops = [None if (at := heard[name].dropped_at) is None else now - at for name in part]
        async with pool.connection() as conn:
            await conn.execute(_FLUSH, [[UUID(name) for name in part], ages, drops])


async def flush_for_ever(pool: Pool, hub: Hub) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        heard = hub.take_heard()
        if not heard:
            continue
        try:
            await flush(pool, heard)
        except (psycopg.Error, PoolTimeout, TooManyRequests) as error:
            log.warning("liveness not stored: %s", type(error).__name__)
            hub.heard = heard | hub.heard
