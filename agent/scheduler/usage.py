"""Usage history for time-aware fairness: what queues held over a window, as shares of what the cluster had.

Samples come from the live loop (or anywhere); the window and half-life are applied here, so no outside database is
needed. A sliding window looks back a fixed time; a tumbling one counts from its last start; "cron" is a tumbling one
whose starts the caller computes from a schedule (``start``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from agent.domain.queues import UsageShare

MILLIONTHS = 1_000_000
Vector = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """``kind`` "sliding", "tumbling" or "cron"; ``length`` and ``half_life`` in ns (half-life 0 = no decay).

    ``start``: when tumbling windows began to count (ns); the current one starts at the last multiple of ``length``
    after it. For "cron" it is the start of the current window itself.
    """

    kind: str = "sliding"
    length: int = 7 * 24 * 3600 * 1_000_000_000
    half_life: int = 0
    start: int = 0

    def begins(self, now: int) -> int:
        """Start of the window that ``now`` is in."""
        if self.kind == "tumbling" and self.length > 0:
            return now - (now - self.start) % self.length
        if self.kind == "cron":
            return self.start
        return now - self.length


@dataclass(frozen=True, slots=True)
class Sample:
    """At ``time`` (ns) the queues held ``held`` and the cluster offered ``capacity``: (milli-GPU, milli-CPU, bytes)."""

    time: int
    held: Mapping[str, Vector]
    capacity: Vector


@dataclass(frozen=True, slots=True)
class History:
    """Samples of one window, oldest first; immutable, so a snapshot of it costs nothing."""

    window: Window = Window()
    samples: tuple[Sample, ...] = field(default_factory=tuple)

    def add(self, sample: Sample) -> "History":
        """With one more sample and without what has left the window for good."""
        begins = self.window.begins(sample.time)
        kept = tuple(one for one in self.samples if one.time >= begins and one.time <= sample.time)
        return replace(self, samples=(*kept, sample))

    def shares(self, now: int) -> dict[str, UsageShare]:
        """Each queue's decayed use over the decayed capacity, in millionths; queues without any are left out."""
        begins = self.window.begins(now)
        held: dict[str, list[Fraction]] = {}
        capacity = [Fraction(0)] * 3
        for sample in self.samples:
            if not begins <= sample.time <= now:
                continue
            weight = self._decay(now - sample.time)
            for index in range(3):
                capacity[index] += sample.capacity[index] * weight
            for queue, vector in sample.held.items():
                sums = held.setdefault(queue, [Fraction(0)] * 3)
                for index in range(3):
                    sums[index] += vector[index] * weight
        return {
            queue: UsageShare(*(_share(sums[index], capacity[index]) for index in range(3)))
            for queue, sums in held.items()
        }

    def _decay(self, age: int) -> Fraction:
        """0.5 ** (age / half-life), to a fixed precision so that it is the same everywhere."""
        if not self.window.half_life:
            return Fraction(1)
        whole, rest = divmod(age, self.window.half_life)
        part = round(0.5 ** (rest / self.window.half_life) * MILLIONTHS)
        return Fraction(part, MILLIONTHS * 2 ** min(whole, 200))


def _share(held: Fraction, capacity: Fraction) -> int:
    return int(held * MILLIONTHS / capacity) if capacity > 0 else 0
