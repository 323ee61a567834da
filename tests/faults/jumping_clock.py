"""``python -m tests.faults.jumping_clock ARGS``: the agent on a machine whose clock is set while it runs.

SIGUSR1 sets it an hour ahead, SIGUSR2 an hour back. Monotonic time goes on, as it does.
"""

from __future__ import annotations

import signal
import sys
import time

from agent.main import main

HOUR_NS = 3600 * 10**9


class Clock:
    """In the place of the process's wall clock."""

    def __init__(self) -> None:
        self.ahead_ns, self.real_ns = 0, time.time_ns

    def set(self, by_ns: int) -> None:
        self.ahead_ns += by_ns

    def now_ns(self) -> int:
        return self.real_ns() + self.ahead_ns


if __name__ == "__main__":
    clock = Clock()
    time.time_ns = clock.now_ns
    time.time = lambda: clock.now_ns() / 1e9
    signal.signal(signal.SIGUSR1, lambda *_: clock.set(HOUR_NS))
    signal.signal(signal.SIGUSR2, lambda *_: clock.set(-HOUR_NS))
    sys.exit(main(sys.argv[1:]))
