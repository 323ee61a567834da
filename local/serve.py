"""The process that owns a running stack: the terminal of ``demo``, the background of ``up``.

It holds the directory's lock for its whole life, ends what an earlier crash left, brings everything up, and stops it on
SIGINT, SIGTERM or SIGHUP. If it is killed outright, its reaper ends the rest.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from local.document import summary
from local.lock import acquire
from local.machine import obstacle_to_a_real_node
from local.options import Options
from local.pids import MARK, identify
from local.progress import Progress
from local.reaper import reap
from local.stack import Stack
from local.state import State

STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(directory: Path, options: Options, *, terminal: bool) -> int:
    """Run until a signal: 0 after an orderly stop, 1 when the stack did not come up. Raises ``lock.Taken``."""
    lock = acquire(directory)
    os.environ[MARK] = str(directory)
    say = Progress(directory / "up.log", terminal=terminal)
    stop = threading.Event()
    for number in STOPPING_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    state = State(directory)
    me = identify(os.getpid())
    owner = {"pid": me.pid, "started": me.started}
    state.set(status="starting", error=None, options=options.as_dict(), processes=[], daemon=owner)
    if left := reap(directory):
        say(f"ended {left} processes that an earlier run had left")
    if options.real_node and options.clusters and (why := obstacle_to_a_real_node()):
        say(why)
        options = dataclasses.replace(options, real_node=False)
    code = _run(Stack(directory, options, say, state), state, say, stop)
    os.close(lock)
    sys.stdout.flush()
    os._exit(code)  # threads of an abandoned start may still wait for something


def _run(stack: Stack, state: State, say: Progress, stop: threading.Event) -> int:
    failure: list[BaseException] = []
    coming_up = threading.Thread(target=_bring_up, args=(stack, state, say, failure, stop), daemon=True)
    coming_up.start()
    stop.wait()
    state.set(status="stopping")
    say("stopping")
    stack.down()
    coming_up.join(15)
    stack.down()
    reap(stack.directory, grace=1)
    error = str(failure[0]) if failure else None
    state.set(status="failed" if error else "stopped", error=error, processes=[])
    say("stopped after a failed start" if error else "stopped; nothing is left running")
    return 1 if failure else 0


def _bring_up(
    stack: Stack, state: State, say: Callable[[str], None], failure: list[BaseException], stop: threading.Event
) -> None:
    try:
        stack.up()
    except BaseException as error:
        if not stop.is_set():
            failure.append(error)
            say(f"start failed: {error}")
            stop.set()
        return
    state.set(status="ready")
    say("everything is ready\n\n" + summary(state) + "\n")
