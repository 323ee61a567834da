"""A keyed work queue: equal keys coalesce, a key is worked on by one worker at a time, failures wait longer each time.

Keys that were never worked on go first, with one of the others between every few: in a burst of new objects each gets
its first step (pods are made) before the news of those that have theirs are told.

It holds hints only. Losing it loses nothing, since at the start every object is added again.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BASE_S = 0.05
MAX_S = 60.0
FRESH_IN_A_ROW = 8
REMEMBERED = 100_000
"""Keys known to have been worked on; beyond this all are forgotten, which only costs their place in the order."""


class WorkQueue(Generic[K]):
    """``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ready: deque[K] = deque()
        self._fresh: deque[K] = deque()
        self._met: set[K] = set()
        self._row = 0
        """Fresh keys taken in a row."""
        self._waiting: set[K] = set()
        """Keys in ``_ready`` and ``_fresh``."""
        self._working: set[K] = set()
        self._again: set[K] = set()
        """Added while being worked on."""
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._number = itertools.count()
        self._sleepers: deque[asyncio.Future[None]] = deque()
        """Workers that wait for a key: one is woken for each, since waking all costs more than most work does."""
        self._timer: tuple[float, asyncio.TimerHandle] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Nothing ready and nothing being worked on; delayed keys do not count."""
        return not self._waiting and not self._working

    def add(self, key: K) -> None:
        """Work on ``key`` soon; one that waits already is not added twice."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            (self._ready if key in self._met else self._fresh).append(key)
            self._wake_one()

    def add_after(self, key: K, delay_s: float) -> None:
        """Work on ``key`` in ``delay_s``; an earlier appointment of the same key stands."""
        due = self._clock() + max(0.0, delay_s)
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._number), key))
        if self._sleepers:
            self._arm()

    async def get(self) -> K:
        """The next key; it is being worked on until ``done`` or ``failed``."""
        while True:
            self._move_due()
            if self._waiting:
                return self._take()
            self._arm()
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._sleepers.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn in self._sleepers:
                    self._sleepers.remove(turn)
                elif self._waiting:
                    self._wake_one()  # what this one was woken for is another's now
                raise

    def _wake_one(self) -> None:
        while self._sleepers:
            turn = self._sleepers.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _arm(self) -> None:
        """Look again when the first appointment comes, whatever else happens."""
        while self._later and self._due.get(self._later[0][2]) != self._later[0][0]:
            heapq.heappop(self._later)  # a later or cancelled appointment
        if not self._later:
            return
        due = self._later[0][0]
        if self._timer is not None:
            if self._timer[0] <= due and not self._timer[1].cancelled():
                return
            self._timer[1].cancel()
        pause = max(0.0, due - self._clock())
        self._timer = due, asyncio.get_running_loop().call_later(pause, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._move_due()
        if self._sleepers:
            self._arm()

    def _take(self) -> K:
        fresh = bool(self._fresh) and (not self._ready or self._row < FRESH_IN_A_ROW)
        self._row = self._row + 1 if fresh else 0
        key = (self._fresh if fresh else self._ready).popleft()
        self._waiting.discard(key)
        self._working.add(key)
        if len(self._met) >= REMEMBERED:
            self._met.clear()
        self._met.add(key)
        return key

    def done(self, key: K) -> None:
        self._failures.pop(key, None)
        self._finish(key)

    def failed(self, key: K, at_least_s: float = 0.0) -> float:
        """Try ``key`` again, later with every failure; returns the pause in seconds."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        pause = max(at_least_s, min(MAX_S, BASE_S * (1 << min(count - 1, 12))))
        self._finish(key)
        self.add_after(key, pause)
        return pause

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The key's object is gone: no appointment, no count of failures."""
        self._due.pop(key, None)
        self._failures.pop(key, None)
        self._met.discard(key)

    def _finish(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _move_due(self) -> None:
        """Make keys ready whose time has come."""
        now = self._clock()
        while self._later:
            due, _, key = self._later[0]
            if self._due.get(key) != due:
                heapq.heappop(self._later)  # a later or cancelled appointment
            elif due <= now:
                heapq.heappop(self._later)
                del self._due[key]
                self.add(key)
            else:
                return
