"""A stack of its own that is interrupted and killed: nothing is left, and the next start is quick."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.files import ROOT, read_json
from local.pids import marked
from tests.fixtures_stack import clean_environment, local

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
SIZE = ("--nodes", "2", "--data", "empty")


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="runai-crash-")).resolve()
    path.chmod(0o711)
    yield path
    local(path, "down", "--purge")


def traces(directory: Path) -> list[str]:
    """Processes, mounts and network interfaces of the stack in this directory."""
    found = [f"process {pid}" for pid in marked(directory)]
    found += [f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if str(directory) in line]
    links = subprocess.run(["ip", "link", "show"], capture_output=True, text=True, check=False).stdout
    return found + [f"interface {line}" for line in links.splitlines() if str(directory) in line]


def eventually(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_kill_9_of_the_owner_leaves_nothing_within_seconds(directory: Path) -> None:
    done = local(directory, "up", *SIZE, timeout=1500)
    assert done.returncode == 0, done.stdout[-4000:]
    assert traces(directory)
    os.kill(read_json(directory / "state.json")["daemon"]["pid"], signal.SIGKILL)
    assert eventually(lambda: traces(directory) == [], 15), traces(directory)
    assert local(directory, "status").returncode == 1


def test_the_next_start_is_quick_and_ctrl_c_ends_everything(directory: Path) -> None:
    """After the crash of the test before: console within 30 s, everything within 60 s, and a terminal's Ctrl-C."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "local", "demo", *SIZE],
        cwd=ROOT,
        env=clean_environment(directory),
        stdout=subprocess.PIPE,
        text=True,
    )
    began = time.monotonic()
    seen: dict[str, float] = {}
    assert demo.stdout is not None
    for line in demo.stdout:
        for words in ("console answers at", "everything is ready", "Login"):
            if words in line:
                seen.setdefault(words, time.monotonic() - began)
        if "REST" in line:
            break
    assert seen["console answers at"] < 30
    assert seen["everything is ready"] < 60
    assert "Login" in seen
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 0
    assert traces(directory) == []
