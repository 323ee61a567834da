"""From measurements to the figures that templates draw. Pure."""

from collections.abc import Sequence
from datetime import datetime

from runai_cp.lib.drawing import Figure, Line
from usage.services import Measurement

GIB = 1 << 30

RANGES = {
    "15m": ("15 min", 900),
    "1h": ("1 h", 3600),
    "6h": ("6 h", 21600),
    "24h": ("24 h", 86400),
    "7d": ("7 d", 604800),
}
POINTS = 96


def seconds_of(name: str | None, default: str) -> tuple[str, int]:
    key = name if name in RANGES else default
    return key, RANGES[key][1]


def line(label: str, found: Measurement | None, scale: float = 1.0, area: bool = False) -> Line:
    points = found.points if found else []
    return Line(label, [None if value is None else value / scale for _, value in points], area)


def times(found: Sequence[Measurement]) -> list[float]:
    longest: list[tuple[datetime, float | None]] = max((m.points for m in found), key=len, default=[])
    return [at.timestamp() for at, _ in longest]


def summed(found: Sequence[Measurement]) -> list[float | None]:
    """Point by point over several clusters; a point that none has stays a gap."""
    rows = zip(*(m.points for m in found), strict=True) if found else []
    out: list[float | None] = []
    for row in rows:
        known = [value for _, value in row if value is not None]
        out.append(sum(known) if known else None)
    return out


def averaged(found: Sequence[Measurement]) -> list[float | None]:
    rows = zip(*(m.points for m in found), strict=True) if found else []
    out: list[float | None] = []
    for row in rows:
        known = [value for _, value in row if value is not None]
        out.append(sum(known) / len(known) if known else None)
    return out


def last_of(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def workload_figures(found: dict[str, Measurement]) -> list[Figure]:
    """GPU use, GPU memory, CPU and memory, each with what was asked as a dashed line."""
    at = times(list(found.values()))
    cpu_asked = last_of([v for _, v in found["CPU_REQUEST_CORES"].points])
    memory_asked = last_of([v for _, v in found["CPU_MEMORY_REQUEST_BYTES"].points])
    return [
        Figure("gpu", "GPU utilisation", at, [line("GPU", found["GPU_UTILIZATION"])], "%", ceiling=100.0),
        Figure(
            "gpumem", "GPU memory", at, [line("Used", found["GPU_MEMORY_USAGE_BYTES"], GIB)], "GiB", digits=1
        ),
        Figure(
            "cpu", "CPU", at, [line("Used", found["CPU_USAGE_CORES"])], "cores", digits=2, limit=cpu_asked,
            limit_label="" if cpu_asked is None else f"Request {cpu_asked:g}",
        ),
        Figure(
            "memory", "Memory", at, [line("Used", found["CPU_MEMORY_USAGE_BYTES"], GIB)], "GiB", digits=2,
            limit=None if memory_asked is None else memory_asked / GIB,
            limit_label="" if memory_asked is None else f"Request {memory_asked / GIB:.3g} GiB",
        ),
        Figure(
            "pods", "Pods", at,
            [line("Running", found["RUNNING_POD_COUNT"]), line("All", found["POD_COUNT"])],
        ),
    ]  # fmt: skip


def overview_figures(found: dict[str, list[Measurement]]) -> list[Figure]:
    at = times([m for rows in found.values() for m in rows])
    total = last_of(summed(found["TOTAL_GPU"]))
    return [
        Figure(
            "allocated", "GPUs allocated", at, [Line("Allocated", summed(found["ALLOCATED_GPU"]), True)], limit=total,
            limit_label="" if total is None else f"All {total:g}", tall=True, digits=1,
        ),
        Figure(
            "utilised", "Utilisation", at,
            [
                Line("GPU", averaged(found["GPU_UTILIZATION"])),
                Line("CPU", averaged(found["CPU_UTILIZATION"])),
                Line("Memory", averaged(found["CPU_MEMORY_UTILIZATION"])),
            ],
            "%", ceiling=100.0, tall=True, digits=1,
        ),
    ]  # fmt: skip
