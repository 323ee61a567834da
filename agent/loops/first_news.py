"""When a new workload's first word is said. Each costs the API server as much as a pod does, so none is wasted.

Most pods have a place or run within half a second: the first word waits so long for a better one. In a burst of new
workloads, words of those that have their pods wait until the burst is over: pods come first. Trouble is told at once.

Nothing that matters is kept here: whoever starts anew tells at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

FIRST_NEWS_S = 0.5
"""How long a word without news may wait for a better one."""
BURST_NEWS_S = 30.0
"""How long any word without trouble may wait while a burst goes on."""
BURST = 20
BURST_WITHIN_S = 3.0
"""So many new workloads within so long are a burst. Not more: the slower the API server, the more it matters."""


class FirstNews:
    """``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._born: dict[str, float] = {}
        """When a workload's first pods were made, by uid, while nothing was said about it."""
        self._last: deque[float] = deque(maxlen=BURST)

    def born(self, uid: str) -> None:
        """Its first pods were made just now."""
        self._born[uid] = self._clock()
        self._last.append(self._born[uid])

    def told(self, uid: str) -> None:
        """Something was said about it, or it is gone."""
        self._born.pop(uid, None)

    def burst(self) -> bool:
        return len(self._last) == BURST and self._clock() - self._last[0] < BURST_WITHIN_S

    def hold(self, uid: str, *, trouble: bool) -> float:
        """Seconds after which to look at it again, since others come first; 0: now."""
        since = self._born.get(uid)
        if since is None or trouble or not self.burst():
            return 0.0
        return min(1.0, max(0.0, since + BURST_NEWS_S - self._clock()))

    def left(self, uid: str, *, plain: bool) -> float:
        """Seconds to wait for a better word than a ``plain`` one, which is no news; 0: say it."""
        since = self._born.get(uid)
        return max(0.0, since + FIRST_NEWS_S - self._clock()) if since is not None and plain else 0.0
