"""The link role's clock and dice, in one place so that everything else can be told time and chance."""

from __future__ import annotations

import random
import time


def now_ms() -> int:
    """Monotonic."""
    return int(time.monotonic() * 1000)


def chance() -> float:
    """Uniform in [0, 1)."""
    return random.random()  # noqa: S311
