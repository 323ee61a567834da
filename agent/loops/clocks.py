"""The time that planning goes by: the wall clock's, but never in leaps."""

from __future__ import annotations

import time

FOLLOWS = 10
"""Of so much time that passes, one part may be gained or lost to come back to the wall clock."""


class SteadyClock:
    """Nanoseconds since the epoch. A wall clock that is set is followed slowly, and time never goes back.

    An hour that is leapt over would make every pod that leaves look stuck, and others would be evicted in its place.
    """

    def __init__(self) -> None:
        self._now, self._at = time.time_ns(), time.monotonic_ns()

    def __call__(self) -> int:
        at = time.monotonic_ns()
        passed = at - self._at
        behind, most = time.time_ns() - (self._now + passed), passed // FOLLOWS
        self._now += passed + max(-most, min(most, behind))
        self._at = at
        return self._now
