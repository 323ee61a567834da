"""Tell the link processes that a cluster is owed something. A hint: what is lost here is found at the end of a hold.

Published straight from the process that committed, after its commit; the sweeper repeats it through Celery.
"""

from __future__ import annotations

import logging
import time
from uuid import UUID

import redis
from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)

CHANNEL = "link:wake"
_PAUSE_S = 2.0
"""After a failure nobody tries for this long: a dead Redis must not slow every request down."""


class _Publisher:
    def __init__(self) -> None:
        self._client: redis.Redis | None = None
        self._not_before = 0.0

    def publish(self, cluster_ids: list[str]) -> bool:
        if time.monotonic() < self._not_before:
            return False
        try:
            if self._client is None:
                self._client = redis.Redis.from_url(
                    settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5, health_check_interval=15
                )
            pipe = self._client.pipeline(transaction=False)
            for cluster_id in cluster_ids:
                pipe.publish(CHANNEL, cluster_id)
            pipe.execute()
            return True
        except (redis.RedisError, OSError) as error:
            self._not_before = time.monotonic() + _PAUSE_S
            log.warning("wake not sent, the end of the hold will find it: %s", type(error).__name__)
            return False


_publisher = _Publisher()


def wake_now(cluster_ids: list[UUID]) -> bool:
    """Publish at once; False when Redis could not take it."""
    return bool(cluster_ids) and _publisher.publish([str(item) for item in cluster_ids])


def wake_on_commit(cluster_id: UUID) -> None:
    """Publish once the transaction has committed (at once when there is none)."""
    transaction.on_commit(lambda: wake_now([cluster_id]), robust=True)
