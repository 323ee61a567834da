"""The checks of a scheduler's audit log find what they are for."""

from __future__ import annotations

import pytest

from tests.faults.audit import AGENT, Entry
from tests.faults.scheduling_audit import partial, pods_of_others, removed, unexplained

ALICE = "alice"


def entry(
    verb: str, name: str, part: str = "", *, user: str = AGENT, kind: str = "pods", at: float = 0, **body: object
):
    return Entry(0, verb, user, kind, part, "ns", name, body, 200, at)


def pod(name: str, scheduler: str = "ours", gang: str = ""):
    notes = {"annotations": {"pod-group-name": gang}}
    return entry("create", name, user=ALICE, metadata=notes, spec={"schedulerName": scheduler})


def gang(minimum: int):
    return entry("create", "g", kind="podgroups", user=ALICE, spec={"minMember": minimum})


def bind(name: str, at: float = 0):
    return entry("create", name, "binding", at=at)


@pytest.mark.parametrize("write", [bind("a"), entry("patch", "a", "status"), entry("delete", "a")])
def test_a_write_to_a_strangers_pod_is_told(write):
    assert len(pods_of_others([pod("a", "other"), write], {"ours"})) == 1
    assert pods_of_others([pod("a"), write], {"ours"}) == []


def test_an_eviction_needs_its_reason_first():
    told, gone = entry("patch", "a", "status"), entry("delete", "a")
    assert len(unexplained([gone, told])) == 1
    assert unexplained([told, gone]) == []


@pytest.mark.parametrize("kind", ["namespaces", "nodes", "queues"])
def test_a_scheduler_removes_nothing_but_pods(kind):
    assert len(removed([entry("delete", "a", kind=kind)])) == 1
    assert removed([entry("delete", "a", kind=kind, user=ALICE), entry("delete", "a")]) == []


BEGIN = [gang(2), pod("a", gang="g"), pod("b", gang="g"), bind("a", 100)]


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ([bind("b", 105)], 0),
        ([bind("b", 120)], 1),
        ([entry("delete", "a", at=109)], 0),
        ([entry("patch", "c", at=130)], 1),
        ([], 0),
    ],
)
def test_a_gang_may_be_partial_for_its_grace_only(more, count):
    assert len(partial([*BEGIN, *more], 10)) == count
