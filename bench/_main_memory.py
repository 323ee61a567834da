"""What an idle stack costs: memory of each process (PSS, with its children) and CPU time over a while, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bench._main_figures import Line, line
from bench._main_stack import Target

PROC = Path("/proc")
CONTROL_PLANE = ("web", "link", "worker", "beat")
CONTROL_PLANE_MIB, AGENT_MIB, AGENT_CPU = 700.0, 200.0, 3.0
TICKS = os.sysconf("SC_CLK_TCK")


def families(roots: Mapping[str, int]) -> dict[str, list[int]]:
    """Each process with all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    return {name: list(_family(pid, children)) for name, pid in roots.items()}


def _family(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _family(child, children)


def _stat(pid: int) -> list[str]:
    """Fields of ``/proc/PID/stat`` after the command name; empty when it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def pss_mib(pids: Iterable[int]) -> float:
    """Proportional set size: shared pages are divided among those that share them."""
    total = 0
    for pid in pids:
        try:
            rollup = (PROC / str(pid) / "smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(row.split()[1]) for row in rollup.splitlines() if row.startswith("Pss:")), 0)
    return total / 1024


def cpu_seconds(pids: Iterable[int]) -> float:
    return sum((int(fields[11]) + int(fields[12])) / TICKS for pid in pids if (fields := _stat(pid)))


def measure(target: Target, seconds: float, moment: str) -> Iterator[Line]:
    """A line a process, then the sums that have targets. Takes ``seconds``, in which nothing should be asked of it."""
    groups = families(target.processes())
    begun = time.monotonic()
    before = {pid: cpu_seconds([pid]) for pids in groups.values() for pid in pids}
    time.sleep(seconds)
    took = time.monotonic() - begun
    memory = {name: pss_mib(pids) for name, pids in groups.items()}
    cpu = {
        name: 100 * sum(max(0.0, cpu_seconds([pid]) - before[pid]) for pid in pids) / took
        for name, pids in groups.items()
    }
    for name, mib in memory.items():
        figures = {"pss_mib": round(mib, 1), "cpu_percent": round(cpu[name], 2)}
        limits = {"pss_mib": AGENT_MIB, "cpu_percent": AGENT_CPU} if name.endswith(".agent") else None
        yield line("idle_process", figures, limits, process=name, moment=moment)
    whole = {"pss_mib": round(sum(memory.get(name, 0.0) for name in CONTROL_PLANE), 1)}
    yield line(
        "idle_control_plane", whole, {"pss_mib": CONTROL_PLANE_MIB}, process="+".join(CONTROL_PLANE), moment=moment
    )
