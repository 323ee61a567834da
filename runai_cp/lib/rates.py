"""How often somebody may ask: a counter in the cache per minute. A cache that is down limits nothing."""

import logging
import time
from dataclasses import dataclass

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)
WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Rate:
    """State after one more request: ``remaining`` is negative once there are too many."""

    limit: int
    remaining: int
    reset_s: int

    @property
    def exceeded(self) -> bool:
        return self.remaining < 0

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": f"{self.limit}, {self.limit};w={WINDOW_S}",
            "RateLimit-Remaining": str(max(0, self.remaining)),
            "RateLimit-Reset": str(self.reset_s),
        }


def take(who: str, limit: int) -> Rate | None:
    """Count one request of ``who`` in this minute. None when the cache cannot be asked."""
    now = time.time()
    window, reset = int(now // WINDOW_S), WINDOW_S - int(now % WINDOW_S)
    key = f"rate:{who}:{window}"
    try:
        if cache.add(key, 1, 2 * WINDOW_S):
            return Rate(limit, limit - 1, reset)
        return Rate(limit, limit - int(cache.incr(key)), reset)
    except ValueError:
        return Rate(limit, limit - 1, reset)  # it ran out between the two calls
    except (RedisError, OSError) as error:
        log.warning("rate limit not counted: %s", error)
        return None
