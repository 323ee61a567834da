"""Following a workload with a scripted API: every change and every line of the log once, and the right exit status."""

import os
from pathlib import Path
from typing import Any

import pytest

from local import follow
from local.files import ROOT
from local.follow import Follower
from local.pids import identify
from local.state import State


class Api:
    """Plays one answer after the other for the workload; the log grows as it is read."""

    def __init__(self, phases: list[tuple[str, str]], log: str, pods: int = 1, broken_once: bool = False) -> None:
        self._phases, self._log, self._pods, self._broken = phases, log, pods, broken_once

    def get(self, path: str, **params: Any) -> Any:
        if path.endswith("/pods"):
            return {"pods": [{"name": f"pod-{n}", "k8sPhase": "Running"} for n in range(self._pods)]}
        if path.endswith("/logs"):
            return self._part(params)
        phase, message = self._phases.pop(0) if len(self._phases) > 1 else self._phases[0]
        return {"phase": phase, "phaseMessage": message}

    def _part(self, params: dict[str, Any]) -> dict[str, Any]:
        if not params.get("stream"):
            return {"stream": "s", "pod": params["pod"], "text": "", "nextOffset": 0, "ended": False, "error": ""}
        offset = params["offset"]
        if self._broken and offset:
            self._broken = False
            return {"stream": "s", "pod": "", "text": "", "nextOffset": offset, "ended": False, "error": "agent left"}
        text = self._log[offset : offset + 7]
        ended = offset + len(text) == len(self._log)
        return {"stream": "s", "pod": "", "text": text, "nextOffset": offset + len(text), "ended": ended, "error": ""}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "POLL_S", 0.001)


def to_the_end(api: Api, timeout: float = 10, *, endless: bool = False) -> int:
    return Follower(api, "id", timeout, endless=endless).to_the_end()  # type: ignore[arg-type]


RUN = [("Pending", "waits for 1 GPU"), ("Pending", "waits for 1 GPU"), ("Running", ""), ("Completed", "")]


def test_each_change_is_told_once_and_completed_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert to_the_end(Api(RUN, "")) == 0
    told = [line.split("] ")[1] for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert told == ["Pending: waits for 1 GPU", "Running", "Completed"]


@pytest.mark.parametrize("broken", [False, True])
def test_every_line_of_the_log_comes_once(capsys: pytest.CaptureFixture[str], broken: bool) -> None:
    to_the_end(Api(RUN, "first line\nsecond line\nno newline at the end", broken_once=broken))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  | ")]
    assert lines == ["  | first line", "  | second line", "  | no newline at the end"]


def test_the_pods_of_a_gang_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    to_the_end(Api(RUN, "started\n", pods=2))
    out = capsys.readouterr().out
    assert "  pod-0 | started" in out
    assert "  pod-1 | started" in out


def test_a_failure_is_non_zero_with_the_cause(capsys: pytest.CaptureFixture[str]) -> None:
    assert to_the_end(Api([("Failed", "container main ended with status 3")], "")) == 1
    assert "Failed: container main ended with status 3" in capsys.readouterr().err


def test_time_over_says_what_it_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert to_the_end(Api([("Pending", "no node has 64 GPUs")], ""), timeout=0) == 1
    assert "still Pending when the time was over: no node has 64 GPUs" in capsys.readouterr().out


def test_without_a_real_node_it_says_so_and_ends_with_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    me = identify(os.getpid())
    tenant = {"index": 0, "tenant": "acme", "console": "http://acme.localhost:1", "api": "http://127.0.0.1:1"}
    cluster = {"uuid": "u", "name": "cluster-1", "kubeconfig": "/k", "real_node": False}
    State(tmp_path).set(
        status="ready",
        daemon={"pid": me.pid, "started": me.started},
        tenants={"acme": {**tenant, "application": {"id": "a", "secret": "s"}}},
        clusters={"cluster-1": cluster},
    )
    assert follow.run(tmp_path, {}, ROOT / "examples" / "hello.yaml", timeout=1) == 3
    assert "needs a real node" in capsys.readouterr().out


def test_a_file_that_is_no_workload_ends_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert follow.run(tmp_path, {}, tmp_path / "nothing.yaml", timeout=1) == 2
    assert "nothing.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(("phases", "status"), [([("Pending", ""), ("Running", "")], 0), ([("Failed", "no image")], 1)])
def test_what_has_no_end_is_followed_until_it_runs(phases: list[tuple[str, str]], status: int) -> None:
    assert to_the_end(Api(phases, ""), endless=True) == status
