"""``up``, ``down`` and ``status`` of the background stack, as functions that return an exit status."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import postgres
from local.clusters import own_environment
from local.document import document, summary, table
from local.files import ROOT, tail, write_json
from local.lock import is_taken
from local.options import Options
from local.pids import Identity, alive, send, wait_gone
from local.reaper import reap
from local.state import State

TAKEN = 75
"""Exit status of the background process that lost the race for the directory."""


def say(text: str) -> None:
    print(text, flush=True)


def up(directory: Path, given: dict[str, Any], json_file: Path | None) -> int:
    """Bring the stack up in the background, or wait for the one that is coming up. ``given``: options said aloud.

    0 ready, 1 failed, 2 a stack of another size runs already, 130 interrupted.
    """
    began = time.monotonic()
    if code := ensure_up(directory, given):
        return code
    state = State(directory)
    if json_file is not None:
        write_json(json_file, document(state))
    say(f"\n{summary(state)}\n\nready after {time.monotonic() - began:.1f} s; stop with: python -m local down")
    return 0


def ensure_up(directory: Path, given: dict[str, Any]) -> int:
    """As ``up``, silent where the stack is ready already."""
    state = State(directory)
    if state.get("status") == "ready" and owner(state) is not None and not _differing(state, given):
        return 0
    daemon = None if is_taken(directory) else _start_daemon(directory, Options(**given))
    try:
        return _follow(directory, daemon, given)
    except KeyboardInterrupt:
        say("interrupted; stopping the stack")
        down(directory)
        return 130


def _differing(state: State, given: dict[str, Any]) -> list[str]:
    """Options said aloud that the running stack has otherwise."""
    running = state.get("options", {})
    return [name for name, value in given.items() if running.get(name) != value]


def _start_daemon(directory: Path, options: Options) -> subprocess.Popen[bytes]:
    directory.mkdir(parents=True, exist_ok=True)
    words = [
        part for name, value in options.as_dict().items() if name != "real_node" for part in (f"--{name}", str(value))
    ]
    if not options.real_node:
        words.append("--no-real-node")
    (directory / "logs").mkdir(exist_ok=True)
    with (directory / "logs" / "serve.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "local", "serve", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **own_environment(), "RUNAI_LOCAL_DIR": str(directory)},
            start_new_session=True,
        )


def owner(state: State) -> Identity | None:
    """The process that owns the stack, if it lives."""
    known = state.get("daemon")
    who = Identity(known["pid"], known["started"]) if known else None
    return who if who is not None and alive(who) else None


def _follow(directory: Path, daemon: subprocess.Popen[bytes] | None, given: dict[str, Any]) -> int:
    """Print the owner's progress until it is ready or has failed."""
    shown = 0
    while True:
        state = State(directory)
        ours = daemon is None or (state.get("daemon") or {}).get("pid") == daemon.pid
        status = state.get("status") if ours else None
        if status is not None:
            if wrong := _differing(state, given):
                return _other_size(state, wrong)
            shown = _print_new(directory / "up.log", shown)
        if status == "ready" and owner(state) is not None:
            return 0
        if daemon is not None and daemon.poll() is not None:
            if daemon.returncode != TAKEN:
                _print_new(directory / "up.log", shown)
                known = State(directory).get("error")
                say("the stack did not come up" if known else f"the stack's own process ended with {daemon.returncode}")
                say("" if known else tail(directory / "logs" / "serve.log"))
                return 1
            daemon = None
        elif daemon is None and owner(state) is None and not is_taken(directory):
            say(f"the stack is not running any more: {state.get('error') or 'it was stopped'}")
            return 1
        time.sleep(0.1)


def attend(directory: Path, given: dict[str, Any]) -> int:
    """``demo`` beside a stack that runs in the background: show it, and stop it on Ctrl-C."""
    say("a stack runs here already; Ctrl-C stops it")
    if code := up(directory, given, None):
        return code
    try:
        while owner(State(directory)) is not None:
            time.sleep(0.5)
    except KeyboardInterrupt:
        return down(directory)
    say("the stack was stopped")
    return 0


def _other_size(state: State, wrong: list[str]) -> int:
    running = ", ".join(f"--{name} {state.get('options', {}).get(name)}" for name in wrong)
    say(f"a stack with {running} runs already; stop it first with: python -m local down")
    return 2


def _print_new(log: Path, shown: int) -> int:
    try:
        lines = log.read_text().splitlines()
    except FileNotFoundError:
        return shown
    if len(lines) < shown:
        shown = 0
    for line in lines[shown:]:
        if not line.startswith("  ") and line:
            say(line)
    return len(lines)


def down(directory: Path, *, purge: bool = False, tell: Callable[[str], None] = say) -> int:
    """Stop the stack; after a crash, end and clean up what is left. Safe to repeat. ``purge`` removes its data too."""
    state = State(directory)
    who = owner(state)
    if who is not None:
        tell(f"stopping the stack in {directory}")
        send(who.pid, signal.SIGTERM)
        if wait_gone([who], 90):
            tell("it does not stop; killing it")
            send(who.pid, signal.SIGKILL)
            wait_gone([who], 5)
    left = reap(directory, spare=frozenset({os.getpid()})) if directory.exists() else 0
    if left:
        tell(f"ended {left} processes that a crash had left")
    if directory.exists() and state.path.exists():
        State(directory).set(status="stopped", processes=[])
    if purge and directory.exists():
        shutil.rmtree(postgres.home_of(directory), ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)
    tell("stopped" if who or left else "nothing was running")
    return 0


def status(directory: Path, *, as_json: bool) -> int:
    """0 when the stack is ready, 1 when it is not."""
    state = State(directory)
    running = owner(state) is not None
    word = state.get("status", "stopped") if running else "stopped"
    if as_json:
        say(
            json.dumps({**document(state), "status": word, "processes": _processes(state) if running else []}, indent=2)
        )
    elif running:
        say(f"{word}, owned by process {state.get('daemon')['pid']}\n\n{table(state)}\n\n{summary(state)}")
    else:
        say("the stack is not running; start it with: python -m local up")
    return 0 if word == "ready" else 1


def _processes(state: State) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = state.get("processes", [])
    return found
