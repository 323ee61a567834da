"""The checks of the audit log find what they are for: each broken promise is told, and clean logs are clean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.audit import AGENT, Promises, read, silent

SOMEBODY = "alice@example.test"


def entry(verb: str, name: str, part: str = "", *, user: str = AGENT, code: int = 201, **body: Any) -> dict[str, Any]:
    target = {"resource": "pods", "namespace": "runai-a", "name": name}
    target |= {"subresource": part} if part else {}
    made = {"verb": verb, "user": {"username": user}, "objectRef": target, "requestObject": body}
    return made | {"responseStatus": {"code": code}, "stage": "ResponseComplete"}


def made(name: str, workload: str = "w", gpus: int = 1, *, attempt: int = 0, **notes: str) -> dict[str, Any]:
    marks = {"run.ai/workload-name": workload, "run.ai/attempt": str(attempt)}
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    meta = {"name": name, "labels": marks, "annotations": notes}
    return entry("create", name, metadata=meta, spec={"containers": [{"resources": {"limits": limits}}]})


def bound(name: str, node: str = "n") -> dict[str, Any]:
    return entry("create", name, "binding", target={"name": node})


def gone(name: str, user: str = AGENT) -> dict[str, Any]:
    return entry("delete", name, user=user, code=200)


def shared(name: str, group: str, portion: str = "0.5") -> list[dict[str, Any]]:
    grouped = entry("patch", name, code=200, metadata={"labels": {"runai-gpu-group": group}})
    return [made(name, gpus=0, **{"gpu-fraction": portion}), grouped, bound(name)]


def broken(tmp_path: Path, *entries: dict[str, Any], asked: int = 0) -> list[str]:
    log = tmp_path / "audit.log"
    log.write_text("".join(json.dumps(item) + "\n" for item in entries))
    return Promises({"w": asked} if asked else {}, {"n": 2}).broken(log, 0)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([gone("theirs")], "did not make"),
        ([entry("deletecollection", "", code=200)], "deleted all pods"),
        ([made("a"), bound("a"), bound("a")], "bound twice"),
        ([made("a"), bound("a"), made("b"), bound("b"), made("c"), bound("c")], "has 2 GPUs and gave 3"),
        ([made("a", gpus=2), bound("a"), *shared("s", "g")], "has 2 GPUs and gave 3"),
        ([*shared("a", "g"), *shared("b", "g"), *shared("c", "g", "0.1")], "shared device g of n held 1.100"),
    ],
)
def test_a_broken_promise_is_told(tmp_path: Path, entries: list[dict[str, Any]], words: str) -> None:
    assert any(words in text for text in broken(tmp_path, *entries))


@pytest.mark.parametrize(
    "entries",
    [
        [made("a"), gone("a"), made("a"), bound("a")],
        [gone("theirs", SOMEBODY)],
        [gone("theirs") | {"responseStatus": {"code": 404}}],
        [made("a", gpus=2), bound("a"), gone("a"), gone("a", "kwok"), made("b", gpus=2), bound("b")],
        [*shared("a", "g"), *shared("b", "g"), made("c"), bound("c")],
        [*shared("a", "g"), *shared("b", "h")],
    ],
)
def test_a_clean_log_is_clean(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    assert broken(tmp_path, *entries) == []


def test_a_device_is_held_until_its_pod_is_gone(tmp_path: Path) -> None:
    told = broken(tmp_path, made("a", gpus=2), bound("a"), gone("a"), made("b"), bound("b"), gone("a", "kwok"))
    assert told == ["node n has 2 GPUs and gave 3 when b came"]


def test_pods_are_counted_against_what_is_asked(tmp_path: Path) -> None:
    assert broken(tmp_path, made("w-0"), made("w-1"), asked=1) == ["workload w asks for 1 pods and got 2: w-1"]
    assert broken(tmp_path, made("w-0"), gone("w-0"), made("w-0"), made("w-0-r1", attempt=1), asked=1) == []
    assert broken(tmp_path, made("w-0"), asked=2) == ["workload w got 1 of 2 pods"]


def test_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(made("a")) + "\n" + json.dumps(made("b"))[:40])
    assert [item.name for item in read(log)] == ["a"]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({}, True),
        ({"phase": "Pending"}, True),
        ({"phase": "Pending", "message": "waits", "conditions": [{"type": "Scheduled"}]}, True),
        ({"phase": "Pending", "message": "waits", "conditions": [{"type": "Ready", "message": "waits"}]}, False),
        ({"phase": "Pending", "message": "w", "reasons": [{}], "conditions": [{"type": "Ready"}]}, True),
        ({"phase": "Running"}, False),
    ],
)
def test_a_workload_that_waits_must_say_why(status: dict[str, Any], told: bool) -> None:
    assert bool(list(silent([{"metadata": {"name": "w"}, "status": status}]))) is told
