"""Every example, by ``python -m local run`` and by ``kubectl apply``, with real containers on the real node: it ends as
its comment says. A few in the short run, all in the long one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.files import ROOT
from tests.fixtures_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.node, pytest.mark.usefixtures("real_node"), pytest.mark.timeout(600)]
SPACE = "runai-vision"
WITHIN_S = 120.0


@dataclass(frozen=True)
class Example:
    """``phase`` is the right final one; ``markers`` how many lines its containers leave; ``words`` in its sentence."""

    phase: str
    markers: int = 0
    words: str = ""


EXAMPLES = {
    "cannot-run": Example("Pending", words="64"),
    "completions": Example("Completed", 6),
    "elastic": Example("Completed", 4),
    "fails": Example("Failed", words="exited with code 3"),
    "gang": Example("Completed", 4),
    "gpu-fraction": Example("Completed", 1),
    "hello": Example("Completed", 1),
    "inference": Example("Running"),
    "jax": Example("Completed", 2),
    "mpi": Example("Completed", 4),
    "pytorch": Example("Completed", 2),
    "tensorflow": Example("Completed", 2),
    "workspace": Example("Running"),
    "xgboost": Example("Completed", 2),
}
BY_REST = ("hello", "fails", "cannot-run", "mpi")
BY_KUBECTL = ("pytorch", "inference")


def cases(short: tuple[str, ...]) -> list[Any]:
    return [pytest.param(name, marks=[] if name in short else [pytest.mark.long], id=name) for name in EXAMPLES]


def test_every_example_is_in_the_table() -> None:
    assert sorted(path.stem for path in (ROOT / "examples").glob("*.yaml")) == sorted(EXAMPLES)


@pytest.fixture(autouse=True)
def nothing_stays(stack: RunningStack) -> Iterator[None]:
    """What runs on would hold its devices: it goes by the door by which it came."""
    yield
    with stack.rest() as rest:
        mine = [row for row in rest.get("/workloads", limit=500)["workloads"] if row["name"].startswith(_ours())]
        ids = [row["id"] for row in mine if row["source"] != "Other" and row["phase"] not in ("Completed", "Failed")]
        if ids:
            rest.post("/workloads/batch", {"action": "delete", "ids": ids})
    files = [word for name in EXAMPLES for word in ("-f", str(ROOT / "examples" / f"{name}.yaml"))]
    stack.kubectl("delete", "--ignore-not-found", "--wait=false", *files)


def _ours() -> tuple[str, ...]:
    return tuple(EXAMPLES)


@pytest.mark.parametrize("name", cases(BY_REST))
def test_by_local_run(stack: RunningStack, name: str) -> None:
    example = EXAMPLES[name]
    patience = "8" if example.phase == "Pending" else "120"
    done = stack.local("run", f"examples/{name}.yaml", "--timeout", patience)
    said = done.stdout + done.stderr
    assert done.returncode == (0 if example.phase in ("Completed", "Running") else 1), said
    statuses = [line.split("] ", 1)[1].split(":")[0] for line in done.stdout.splitlines() if line.startswith("[")]
    assert statuses[-1] == example.phase
    assert len([line for line in said.splitlines() if "| MARKER" in line]) == example.markers, said
    assert example.words in said


@pytest.mark.parametrize("name", cases(BY_KUBECTL))
def test_by_kubectl_apply(stack: RunningStack, name: str) -> None:
    example = EXAMPLES[name]
    applied = stack.kubectl("apply", "-f", str(ROOT / "examples" / f"{name}.yaml"))
    assert applied.returncode == 0, applied.stderr
    status = reached(stack, name, example)
    assert status["phase"] == example.phase, status
    assert example.words in status["message"]
    if example.markers:
        log = stack.kubectl("logs", "-n", SPACE, "-l", f"run.ai/workload-name={name}", "--tail=-1", "--prefix").stdout
        assert len([line for line in log.splitlines() if " MARKER" in line]) == example.markers, log


def reached(stack: RunningStack, name: str, example: Example) -> dict[str, Any]:
    """The workload's status once it is as the table says, or when patience ends."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        found = json.loads(stack.kubectl("get", "workload", "-n", SPACE, name, "-o", "json").stdout)
        status: dict[str, Any] = found.get("status") or {}
        there = status.get("phase") == example.phase and example.words in (status.get("message") or "")
        if there or time.monotonic() > deadline:
            return status
        time.sleep(0.5)
