"""Outlives the supervisor by seconds: when the supervisor is gone, however it went, end all it had started.

It holds one end of a pipe; the supervisor holds the other and never writes more than ``done``. End of file without that
word means the supervisor was killed: then every recorded or marked process ends and the recorded clean-up commands run
(network namespaces, mounts). ``python -m local down`` and the next ``up`` call the same ``reap`` after a crash of both.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from local.files import read_json, write_json
from local.pids import Identity, identify, marked, send, sweep, wait_gone

REGISTRY = "processes.json"


def record(directory: Path, children: list[tuple[str, Identity]], cleanup: list[list[str]]) -> None:
    """Write what must be ended and cleaned up if this process dies now."""
    processes = [{"name": name, "pid": who.pid, "started": who.started} for name, who in children]
    write_json(directory / REGISTRY, {"processes": processes, "cleanup": cleanup})


def reap(directory: Path, *, grace: float = 2.0, spare: frozenset[int] = frozenset()) -> int:
    """End the recorded and marked processes of a stack and run its clean-up. Safe to repeat. Returns how many lived."""
    registry = read_json(directory / REGISTRY) or {"processes": [], "cleanup": []}
    recorded = [Identity(item["pid"], item["started"]) for item in registry["processes"]]
    found = sweep(directory, recorded, grace=grace, spare=spare)
    for argv in registry["cleanup"]:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60, check=False)
    left = [identify(pid) for pid in marked(directory) if pid not in spare]
    for who in left:
        send(who.pid, signal.SIGKILL)
    wait_gone(left, 5)
    record(directory, [], [])
    return found


def main() -> int:
    directory = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read().endswith(b"done"):
        return 0
    reap(directory, spare=frozenset({os.getpid()}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
