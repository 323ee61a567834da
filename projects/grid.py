"""The quota grid's sheets: one number (or a rank) of every department and project in every node pool. Pure.

A cell holds text as people type it: devices, cores, GiB, a weight, a rank; ``∞`` or nothing is no limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from agent.wire.objects import UNLIMITED
from projects import quotas
from projects.quotas import QuotaError, QuotaProblem, read_amount

NO_LIMIT = "∞"
_UNLIMITED_WORDS = frozenset({"", NO_LIMIT, "-", "–", "none", "no limit", "unlimited"})
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Sheet:
    """One value of a quota: its column, how people see it, and what an emptied cell means."""

    key: str
    column: str
    label: str
    unit: str
    scale: int
    maximum: int
    empty: int
    """Stored when a cell is emptied; ``UNLIMITED`` also lets the words for no limit in."""
    held: str = ""
    """Column of what the queue holds, shown beside the value."""
    sums: bool = False
    """Whether projects add up to their department."""

    def write(self, value: int) -> str:
        """The stored number as a cell shows it; at most three decimals."""
        if value == UNLIMITED:
            return NO_LIMIT
        return f"{Decimal(value) / self.scale:.3f}".rstrip("0").rstrip(".")

    def read(self, text: str) -> int:
        """What a person typed as the number to store. Raises ``QuotaError`` naming what is allowed."""
        typed = text.strip()
        if typed.lower() in _UNLIMITED_WORDS and (self.empty == UNLIMITED or not typed):
            return self.empty
        try:
            return read_amount(self.key, typed, scale=self.scale, maximum=self.maximum)
        except QuotaError as error:
            allowed = error.problem.allowed + (f", or {NO_LIMIT} for no limit" if self.empty == UNLIMITED else "")
            raise QuotaError(QuotaProblem(self.key, typed, allowed)) from error

    @property
    def nothing(self) -> str:
        """What an emptied cell becomes."""
        return self.write(self.empty)

    @property
    def allowed(self) -> str:
        """The largest number of a cell, for the browser's own check."""
        return f"{Decimal(self.maximum) / self.scale:.3f}".rstrip("0").rstrip(".")


class RankSheet(Sheet):
    """Ranks among siblings, by name."""

    def write(self, value: int) -> str:
        return quotas.rank_name(value)

    def read(self, text: str) -> int:
        word = text.strip().lower().replace(" ", "-") or quotas.rank_name(quotas.DEFAULT_RANK)
        if word not in quotas.RANKS:
            raise QuotaError(QuotaProblem(self.key, text.strip(), f"one of {', '.join(quotas.RANKS)}"))
        return quotas.RANKS[word]

    @property
    def allowed(self) -> str:
        return " ".join(quotas.RANKS)


def _resource(name: str, label: str, unit: str, scale: int, maximum: int, least: int, tail: str) -> list[Sheet]:
    held = f"allocated_{name}_{tail}"
    weight = f"{label} over-quota weight"
    return [
        Sheet(f"{name}.deserved", f"{name}_deserved_{tail}", f"{label} quota", unit, scale, maximum, least, held, True),
        Sheet(f"{name}.limit", f"{name}_limit_{tail}", f"{label} limit", unit, scale, maximum, UNLIMITED, held),
        Sheet(f"{name}.weight", f"{name}_weight", weight, "weight", 1000, quotas.MAX_WEIGHT_MILLI, 1000),
    ]


SHEETS: dict[str, Sheet] = {
    sheet.key: sheet
    for sheet in [
        *_resource("gpu", "GPU", "GPUs", 1000, quotas.MAX_GPU_MILLI, 0, "milli"),
        *_resource("cpu", "CPU", "cores", 1000, quotas.MAX_CPU_MILLI, UNLIMITED, "milli"),
        *_resource("memory", "Memory", "GiB", GIB, quotas.MAX_MEMORY_BYTES, UNLIMITED, "bytes"),
        RankSheet("rank", "priority", "Rank", "rank", 1, max(quotas.RANKS.values()), quotas.DEFAULT_RANK),
    ]
}
DEFAULT_SHEET = "gpu.deserved"
