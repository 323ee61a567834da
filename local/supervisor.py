"""Runs ``ProcessSpec``s: in dependency order, in parallel where they are independent, restarted when one dies.

One thread owns all children, so that the kernel ties their lives to it; callers add specs and wait. A reaper process
ends everything should this process be killed. Ending it orderly stops dependents first.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from local.child import (
    STABLE_S,
    Child,
    Phase,
    ProcessState,
    check_dependencies,
    exit_words,
    may_start,
    may_stop,
    pause_before_restart,
    spawn,
    started,
)
from local.files import ROOT, tail
from local.pids import send, sweep
from local.process import ProcessSpec
from local.reaper import record

FAST_PROBE_S, SLOW_PROBE_S = 0.1, 5.0
TICK_S, CALM_TICK_S = 0.05, 0.25
SETTLE_S = 0.3
"""How long a process without a probe must live to count as ready."""
GIVE_UP_AFTER = 3
"""Ends in a row before it was ever ready, after which waiting for it fails."""


class StartFailed(Exception):
    """A process did not become ready; the text holds the end of its log."""


class Supervisor:
    """Owns the children of one stack directory. Use as a context manager, or call ``stop``."""

    def __init__(
        self,
        directory: Path,
        *,
        say: Callable[[str], None] = lambda line: None,
        on_change: Callable[[list[ProcessState]], None] = lambda states: None,
    ) -> None:
        self.directory = directory
        self._say, self._on_change = say, on_change
        self._children: dict[str, Child] = {}
        self._cleanup: list[list[str]] = []
        self._lock = threading.Condition()
        self._stopping = False
        self._pool = concurrent.futures.ThreadPoolExecutor(8, thread_name_prefix="probe")
        directory.mkdir(parents=True, exist_ok=True)
        self._reaper = self._start_reaper()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- what callers use

    def add(self, specs: Iterable[ProcessSpec], *, cleanup: Iterable[list[str]] = ()) -> None:
        """Take over these processes; they start as soon as what they depend on is ready.

        ``cleanup``: commands that a killed stack needs (they must be safe to repeat). ``ValueError`` for a known name,
        an unknown dependency or a circle.
        """
        with self._lock:
            if self._stopping:
                raise StartFailed("the stack stops")
            new = list(specs)
            if again := [spec.name for spec in new if spec.name in self._children]:
                raise ValueError(f"process {again[0]!r} exists already")
            check_dependencies({**self._specs(), **{spec.name: spec for spec in new}})
            self._children.update((spec.name, Child(spec)) for spec in new)
            self._cleanup.extend(cleanup)
            self._write_registry()
            self._lock.notify_all()

    def wait_ready(self, names: Iterable[str], timeout: float = 600) -> None:
        """Return when all are ready. ``StartFailed`` when one is late, ends again and again, or the stack stops."""
        wanted, deadline = list(names), time.monotonic() + timeout
        with self._lock:
            while True:
                children = [self._children[name] for name in wanted]
                if all(child.phase is Phase.READY for child in children):
                    return
                for child in children:
                    self._raise_if_hopeless(child)
                if self._stopping or time.monotonic() > deadline:
                    missing = ", ".join(c.spec.name for c in children if c.phase is not Phase.READY)
                    why = "time is over" if time.monotonic() > deadline else "the stack stops"
                    raise StartFailed(f"{why} while waiting for {missing}")
                self._lock.wait(0.2)

    def restart(self, name: str) -> None:
        """Stop one process and start it again at once (its files have changed)."""
        with self._lock:
            child = self._children[name]
            child.restart_asked = True
            if child.process is not None:
                send(child.process.pid, child.spec.stop_signal)

    def states(self) -> list[ProcessState]:
        with self._lock:
            return [child.state() for child in self._children.values()]

    def stop(self) -> None:
        """Stop everything, dependents first, then whatever they left behind. Safe to call twice."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        self._thread.join()
        sweep(self.directory, [], grace=1, spare=frozenset({self._reaper.pid}))
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._reaper.poll() is None and self._reaper.stdin is not None:
            self._reaper.stdin.write(b"done")
            self._reaper.stdin.close()
            self._reaper.wait(10)

    # --- the thread that owns the children

    def _run(self) -> None:
        told: list[ProcessState] = []
        while True:
            with self._lock:
                now = time.monotonic()
                for child in self._children.values():
                    self._step(child, now)
                seen = [child.state() for child in self._children.values()]
                if seen != told:
                    told = seen
                    with contextlib.suppress(OSError):  # a full disk must not end the supervision
                        self._on_change(seen)
                    self._lock.notify_all()
                if self._stopping and all(child.phase is Phase.STOPPED for child in self._children.values()):
                    record(self.directory, [], [])
                    return
                calm = not self._stopping and all(child.phase is Phase.READY for child in self._children.values())
                self._lock.wait(CALM_TICK_S if calm else TICK_S)

    def _step(self, child: Child, now: float) -> None:
        if self._stopping:
            self._step_down(child, now)
            return
        if child.process is not None and child.process.poll() is not None:
            self._ended(child, now)
        if child.phase in (Phase.WAITING, Phase.BACKOFF) and now >= child.next_start:
            if may_start(child.spec, self._phases()):
                self._start(child, now)
        elif child.phase in (Phase.STARTING, Phase.READY):
            self._probe(child, now)
        if child.phase is Phase.STARTING and not child.late and now - child.began > child.spec.ready_timeout_s:
            child.late = True
            self._say(f"{child.spec.name} is not ready after {child.spec.ready_timeout_s:.0f} s")

    def _start(self, child: Child, now: float) -> None:
        try:
            process = spawn(child.spec, self.directory)
        except OSError as error:
            child.last_exit, child.quick_ends = f"cannot start: {error}", child.quick_ends + 1
            child.phase, child.next_start = Phase.BACKOFF, now + pause_before_restart(child.quick_ends)
            self._say(f"{child.spec.name} cannot start: {error}")
            return
        started(child, process, now)
        self._write_registry()

    def _ended(self, child: Child, now: float) -> None:
        assert child.process is not None
        send(child.process.pid, signal.SIGKILL, group=True)
        child.last_exit = exit_words(child.process.returncode)
        child.process, child.restarts = None, child.restarts + 1
        if child.restart_asked:
            child.restart_asked, child.phase, child.next_start = False, Phase.WAITING, now
            return
        child.quick_ends = 1 if now - child.began > STABLE_S else child.quick_ends + 1
        pause = pause_before_restart(child.quick_ends)
        child.phase, child.next_start, child.healthy = Phase.BACKOFF, now + pause, False
        self._say(f"{child.spec.name} ended with {child.last_exit}; starting it again in {pause:g} s")

    def _probe(self, child: Child, now: float) -> None:
        if child.probing or now < child.next_probe:
            return
        child.probing = True
        self._pool.submit(self._ask, child, child.process)

    def _ask(self, child: Child, process: subprocess.Popen[bytes] | None) -> None:
        """Runs in the pool: one probe of one incarnation of a child."""
        try:
            settled = time.monotonic() - child.began > SETTLE_S
            good = child.spec.probe() if child.spec.probe is not None else settled
        except Exception:
            good = False
        with self._lock:
            child.probing = False
            if child.process is not process or process is None or process.poll() is not None:
                return
            now = time.monotonic()
            if child.phase is Phase.STARTING and good:
                child.phase, child.ready_after, child.late = Phase.READY, round(now - child.began, 2), False
                again = f" again, restart {child.restarts}" if child.restarts else ""
                self._say(f"{child.spec.name} ready ({child.ready_after:.1f} s{again})")
            elif child.phase is Phase.READY and good != child.healthy:
                self._say(f"{child.spec.name} {'answers again' if good else 'runs but does not answer'}")
            child.healthy = good or child.phase is Phase.STARTING
            child.next_probe = now + (SLOW_PROBE_S if child.phase is Phase.READY else FAST_PROBE_S)
            self._lock.notify_all()

    def _step_down(self, child: Child, now: float) -> None:
        process = child.process
        if process is None or process.poll() is not None:
            if process is not None:
                send(process.pid, signal.SIGKILL, group=True)
            child.phase = Phase.STOPPED
        elif child.phase is not Phase.STOPPING:
            if may_stop(child.spec.name, self._specs(), self._phases()):
                child.phase, child.stop_asked = Phase.STOPPING, now
                send(process.pid, child.spec.stop_signal)
        elif now - child.stop_asked > child.spec.stop_timeout_s:
            send(process.pid, signal.SIGKILL, group=True)

    # --- helpers

    def _raise_if_hopeless(self, child: Child) -> None:
        never_ready = child.ready_after is None and child.quick_ends >= GIVE_UP_AFTER
        if never_ready or child.late:
            why = f"ended with {child.last_exit}" if never_ready else f"not ready in {child.spec.ready_timeout_s:.0f} s"
            raise StartFailed(f"{child.spec.name}: {why}. End of {child.spec.log}:\n{tail(child.spec.log)}")

    def _specs(self) -> dict[str, ProcessSpec]:
        return {name: child.spec for name, child in self._children.items()}

    def _phases(self) -> dict[str, Phase]:
        return {name: child.phase for name, child in self._children.items()}

    def _write_registry(self) -> None:
        alive = [(child.spec.name, child.identity) for child in self._children.values() if child.process is not None]
        record(self.directory, [(name, who) for name, who in alive if who is not None], self._cleanup)

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return subprocess.Popen(
            [sys.executable, "-m", "local.reaper", str(self.directory)],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
