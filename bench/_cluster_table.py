"""The table of ``bench cluster``: a row a case, the peer and ours side by side, what was aimed at. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench._cluster_machine import FLOOR, OURS, THEIRS
from bench._main_figures import Line

ROWS = (
    ("fill", "pods a second", "pods_per_s", ">= kube-scheduler"),
    ("fill", "last bind, s", "last_bind_s", ""),
    ("fill", "API server CPU a pod, ms, to the last bind", "api_cpu_ms_per_pod_last_bind", "<= 7"),
    ("fill", "the same, to the last Event", "api_cpu_ms_per_pod", ""),
    ("fill", "the same, until all pods run", "api_cpu_ms_per_pod_all_running", ""),
    ("fill", "writes a pod, Events included", "scheduler_writes_per_pod", "<= 2.2"),
    ("fill", "API requests a pod, all clients", "requests_per_pod", ""),
    ("fill", "bytes of request bodies a pod", "request_bytes_per_pod", ""),
    ("fill", "bytes the scheduler received a pod", "scheduler_bytes_received_per_pod", ""),
    ("fill", "bytes the scheduler sent a pod", "scheduler_bytes_sent_per_pod", ""),
    ("fill", "scheduler CPU a pod, ms", "scheduler_cpu_ms_per_pod", ""),
    ("gangs", "last bind, s", "last_bind_s", "<= 4"),
    ("steady", "submit to bound p50, ms", "bound_p50_ms", "<= 20"),
    ("steady", "submit to bound p99, ms", "bound_p99_ms", "<= 60"),
    ("reclaim", "last bind, s", "last_bind_s", "<= 7"),
    ("reclaim", "evictions", "evictions", "= 400"),
    ("idle", "percent of a core", "core_percent", "<= 3"),
    ("idle", "peak MiB", "scheduler_peak_mib", "<= 300"),
    ("takeover", "holder killed to next bind, s, longest", "takeover_max_s", "<= 5"),
    ("takeover", "pods bound twice", "bound_twice", "= 0"),
)
"""Case, what people call the figure, its name, the target at full size."""


def table(lines: Sequence[Line]) -> str:
    """The rows of the cases that ran. A figure that a run does not have is a dash."""
    found: dict[tuple[str, str], Line] = {(str(one["benchmark"]), str(one["scheduler"])): one for one in lines}
    rows = [("case", "figure", FLOOR, THEIRS, OURS, "target")]
    for case, words, name, target in ROWS:
        sides = [found.get((f"cluster {case}", which)) for which in (FLOOR, THEIRS, OURS)]
        if any(sides):
            rows.append((case, words, *(_shown(side, name) for side in sides), target))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in rows)


def _shown(line: Line | None, name: str) -> str:
    value: Any = (line or {}).get(name)
    return "-" if value is None else f"{value:g}"
