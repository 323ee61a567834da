"""The supervisor with stand-in processes: order, restarts, orderly stops, and nothing left after kill -9."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.files import ROOT
from local.pids import marked
from local.process import ProcessSpec
from local.supervisor import StartFailed, Supervisor
from tests.local.standins import FORKS, STUBBORN, standin


def eventually(true: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def test_one_without_a_probe_is_ready_when_it_has_lived_a_moment(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.add([ProcessSpec("short", ("true",), tmp_path / "short.log"), standin(tmp_path, "long")])
        supervisor.wait_ready(["long"])
        assert next(state for state in supervisor.states() if state.name == "short").phase != "ready"


def test_dependents_start_after_the_probe_of_what_they_need(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Supervisor(tmp_path) as supervisor:
        supervisor.add(
            [standin(tmp_path, "first", probe=gate.exists), standin(tmp_path, "second", depends_on=("first",))]
        )
        time.sleep(0.3)
        assert [state.phase for state in supervisor.states()] == ["starting", "waiting"]
        gate.touch()
        supervisor.wait_ready(["first", "second"], timeout=5)


def test_one_that_dies_is_started_again_and_the_fact_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    with Supervisor(tmp_path, say=said.append) as supervisor:
        supervisor.add([standin(tmp_path, "web")])
        supervisor.wait_ready(["web"])
        first = supervisor.states()[0].pid
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: supervisor.states()[0].restarts == 1 and supervisor.states()[0].phase == "ready")
        assert supervisor.states()[0].pid != first
    assert "web ended with signal SIGKILL; starting it again in 0.5 s" in said


def test_waiting_for_one_that_never_lives_fails_with_its_log(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        code = "import sys; print('no such setting'); sys.exit(4)"
        supervisor.add([standin(tmp_path, "broken", code, probe=lambda: False)])
        with pytest.raises(StartFailed, match=r"(?s)broken: ended with status 4.*no such setting"):
            supervisor.wait_ready(["broken"], timeout=30)


def test_waiting_for_one_that_is_never_ready_fails(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.add([standin(tmp_path, "slow", probe=lambda: False, ready_timeout_s=0.3)])
        with pytest.raises(StartFailed, match="slow: not ready in"):
            supervisor.wait_ready(["slow"], timeout=5)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.add([standin(tmp_path, "ghost", cwd=tmp_path / "nowhere")])
        with pytest.raises(StartFailed, match="ghost: ended with cannot start"):
            supervisor.wait_ready(["ghost"], timeout=30)


def test_stop_ends_grandchildren_in_sessions_of_their_own(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.add([standin(tmp_path, "parent", FORKS)])
    supervisor.wait_ready(["parent"])
    assert eventually(lambda: len(marked(tmp_path)) == 2)
    supervisor.stop()
    assert eventually(lambda: marked(tmp_path) == [])


def test_one_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    spec = standin(tmp_path, "stubborn", STUBBORN, stop_timeout_s=0.3)
    supervisor.add([spec])
    assert eventually(lambda: spec.log.exists() and b"up" in spec.log.read_bytes().splitlines())
    supervisor.stop()
    assert marked(tmp_path) == []


def test_a_wanted_restart_does_not_count_as_an_accident(tmp_path: Path) -> None:
    said: list[str] = []
    with Supervisor(tmp_path, say=said.append) as supervisor:
        supervisor.add([standin(tmp_path, "link")])
        supervisor.wait_ready(["link"])
        first = supervisor.states()[0].pid
        supervisor.restart("link")
        assert eventually(lambda: supervisor.states()[0].pid not in (None, first))
    assert not [line for line in said if "ended with" in line]


PARENT = """
import sys, time
from pathlib import Path
from local.supervisor import Supervisor
from tests.local.standins import FORKS, standin
directory = Path(sys.argv[1])
supervisor = Supervisor(directory)
supervisor.add([standin(directory, "parent", FORKS)], cleanup=[["touch", str(directory / "cleaned")]])
supervisor.wait_ready(["parent"])
time.sleep(600)
"""


def test_kill_9_of_the_owner_leaves_no_process_and_runs_the_clean_up(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=ROOT)
    try:
        assert eventually(lambda: len(marked(tmp_path)) == 2, 10)
    finally:
        owner.kill()
        owner.wait()
    assert eventually(lambda: marked(tmp_path) == [], 10)
    assert eventually((tmp_path / "cleaned").exists, 10)
