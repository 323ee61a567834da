"""Who is running: processes found by identity (pid and start time), by group, and by the stack they were started for.

Every child carries ``RUNAI_LOCAL_STACK=<directory>`` in its environment and so do its children, however often they fork
or change session. Ending a stack means ending everything that carries its mark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MARK = "RUNAI_LOCAL_STACK"
PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: str
    """Clock ticks since boot as /proc says, or an empty string where there is no /proc."""


def _stat(pid: int) -> list[str]:
    """Fields of ``/proc/PID/stat`` after the command name; empty when the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def identify(pid: int) -> Identity:
    fields = _stat(pid)
    return Identity(pid, fields[19] if len(fields) > 19 else "")


def alive(who: Identity) -> bool:
    """True while that very process runs; a zombie does not."""
    if not PROC.exists():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(who.pid, 0)
            return True
        return False
    fields = _stat(who.pid)
    return bool(fields) and fields[0] not in "ZX" and (not who.started or fields[19] == who.started)


def marked(stack: Path) -> list[int]:
    """Pids of all processes that were started, directly or not, for the stack in this directory."""
    want = f"{MARK}={stack}".encode()
    found = []
    for entry in PROC.iterdir() if PROC.exists() else ():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if want in (entry / "environ").read_bytes().split(b"\0") and _stat(int(entry.name))[:1] != ["Z"]:
                found.append(int(entry.name))
    return found


def send(pid: int, number: int, *, group: bool = False) -> None:
    """Signal a process, or its whole group when it leads one. Gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def wait_gone(these: Iterable[Identity], timeout: float) -> list[Identity]:
    """Wait until none is alive; returns those that still are when the time is over."""
    deadline = time.monotonic() + timeout
    left = [who for who in these if alive(who)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [who for who in left if alive(who)]
    return left


def sweep(stack: Path, recorded: Iterable[Identity], *, grace: float, spare: frozenset[int] = frozenset()) -> int:
    """End whatever is left of a stack: SIGTERM, ``grace`` seconds, then SIGKILL, to leaders, groups and marked ones.

    ``spare`` pids are left alone (the caller's own helpers). Safe to repeat. Returns how many were found alive.
    """
    leaders = [who for who in recorded if alive(who) and who.pid not in spare]
    others = [identify(pid) for pid in marked(stack) if pid not in spare]
    found = {who.pid: who for who in (*leaders, *others)}
    for pid in found:
        send(pid, signal.SIGTERM)
    wait_gone(found.values(), grace)
    for who in leaders:
        send(who.pid, signal.SIGKILL, group=True)
    for pid in set(marked(stack)) - spare:
        send(pid, signal.SIGKILL)
    wait_gone(found.values(), 5)
    return len(found)
