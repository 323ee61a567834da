"""One supervised child: how it is spawned, how its state is told, and the pure rules of when it starts and restarts.

``supervisor`` owns these objects and is the only one to change them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from local.pids import MARK, Identity, identify
from local.process import ProcessSpec

STABLE_S = 15.0
"""A process that ran this long starts again with the shortest pause."""


class Phase(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ProcessState:
    """What others may know of a child; JSON-ready."""

    name: str
    phase: str
    pid: int | None
    log: str
    restarts: int = 0
    last_exit: str | None = None
    healthy: bool = True
    ready_after_s: float | None = None


@dataclass
class Child:
    spec: ProcessSpec
    phase: Phase = Phase.WAITING
    process: subprocess.Popen[bytes] | None = None
    identity: Identity | None = None
    began: float = 0.0
    ready_after: float | None = None
    next_start: float = 0.0
    next_probe: float = 0.0
    stop_asked: float = 0.0
    restarts: int = 0
    quick_ends: int = 0
    """Ends in a row that came before it was stable."""
    last_exit: str | None = None
    healthy: bool = True
    late: bool = False
    """Its ready timeout has passed and has been told."""
    probing: bool = False
    restart_asked: bool = False
    """The next end is wanted, not an accident."""

    def state(self) -> ProcessState:
        running = self.process is not None and self.process.returncode is None
        return ProcessState(
            name=self.spec.name,
            phase=str(self.phase),
            pid=self.process.pid if running and self.process else None,
            log=str(self.spec.log),
            restarts=self.restarts,
            last_exit=self.last_exit,
            healthy=self.healthy,
            ready_after_s=self.ready_after,
        )


def pause_before_restart(quick_ends: int) -> float:
    """Seconds to wait: 0.5, 1, 2, 4 … at most 30."""
    return min(30.0, 0.5 * 2.0 ** max(0, quick_ends - 1))


def may_start(spec: ProcessSpec, phases: Mapping[str, Phase]) -> bool:
    """True once everything it depends on is ready."""
    return all(phases[name] is Phase.READY for name in spec.depends_on)


def may_stop(name: str, specs: Mapping[str, ProcessSpec], phases: Mapping[str, Phase]) -> bool:
    """True once everything that depends on it has stopped."""
    return all(phases[other] is Phase.STOPPED for other, spec in specs.items() if name in spec.depends_on)


def check_dependencies(specs: Mapping[str, ProcessSpec]) -> None:
    """Raise ``ValueError`` that names an unknown dependency or a circle."""
    done: set[str] = set()
    for spec in specs.values():
        for name in spec.depends_on:
            if name not in specs:
                raise ValueError(f"process {spec.name!r} depends on {name!r}, which does not exist")
    left = dict(specs)
    while left:
        free = [name for name, spec in left.items() if done.issuperset(spec.depends_on)]
        if not free:
            raise ValueError(f"processes depend on each other in a circle: {', '.join(sorted(left))}")
        done.update(free)
        for name in free:
            del left[name]


def exit_words(status: int) -> str:
    """``status 3`` or ``signal SIGKILL``."""
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


def spawn(spec: ProcessSpec, stack: Path) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own, its output appended to its log.

    Where ``setpriv`` exists the kernel sends it ``stop_signal`` when the calling *thread* ends; the reaper does the
    rest.
    """
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    argv = list(spec.argv)
    if setpriv := shutil.which("setpriv"):
        argv = [setpriv, "--pdeathsig", signal.Signals(spec.stop_signal).name.removeprefix("SIG"), *argv]
    account: dict[str, object] = {}
    if spec.user is not None and os.geteuid() == 0:
        account = {"user": spec.user, "group": _group_of(spec.user), "extra_groups": []}
    with spec.log.open("ab") as log:
        log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} start: {' '.join(spec.argv)}\n".encode())
        log.flush()
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **spec.env, MARK: str(stack)},
            cwd=spec.cwd,
            start_new_session=True,
            **account,
        )


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def started(child: Child, process: subprocess.Popen[bytes], now: float) -> None:
    """Note that a child was spawned just now."""
    child.process = process
    child.identity = identify(process.pid)
    child.began = now
    child.next_probe = now
    child.phase = Phase.STARTING
    child.healthy = True
