"""The figures of ``bench main``: percentiles by nearest rank, targets beside what they limit, nothing asserted."""

import os

import pytest

from bench import _main_memory as memory
from bench._main_figures import line, percentile, spread, text
from bench._main_submit import Marks, Watched


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 5), (0.95, 10), (0.99, 10), (1.0, 10)])
def test_percentiles_are_values_that_were_measured(share: float, expected: int) -> None:
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == expected


def test_nothing_measured_has_no_figures() -> None:
    assert spread([]) == {"count": 0}


@pytest.mark.parametrize(("p50", "met"), [(699.9, True), (700.0, True), (700.1, False), (None, False)])
def test_a_target_is_met_up_to_its_limit(p50: float | None, met: bool) -> None:
    made = line("submit_to_bound", {} if p50 is None else {"p50": p50}, {"p50": 700.0})
    assert made["met"] is met


def test_a_missed_target_is_said_to_people() -> None:
    told = text(line("idle", {"pss_mib": 800.0}, {"pss_mib": 700.0}))
    assert told.endswith("pss_mib=800.0 (at most 700)  MISSED")


def pod(name: str, *, node: str = "", state: str = "") -> dict:
    statuses = [{"state": {state: {}}}] if state else []
    return {
        "metadata": {"labels": {"run.ai/workload-name": name}},
        "spec": {"nodeName": node},
        "status": {"containerStatuses": statuses},
    }


def test_the_first_sight_of_each_step_counts() -> None:
    watched = Watched({"a": Marks(sent=1.0)})
    steps = [{}, {"node": "n"}, {"node": "n", "state": "waiting"}, {"node": "n", "state": "running"}]
    for at, step in enumerate([*steps, {"node": "n", "state": "terminated"}], start=2):
        watched.see(pod("a", **step), at)
    marks = watched.marks["a"]
    assert (marks.created, marks.bound, marks.started) == (2.0, 3.0, 5.0)
    assert watched.missing() == []


def test_pods_of_others_are_not_ours() -> None:
    watched = Watched({"a": Marks()})
    watched.see(pod("b", node="n"), 1.0)
    assert watched.missing() == ["a"]


def test_memory_and_time_of_a_process_are_read() -> None:
    me = memory.families({"me": os.getpid()})["me"]
    assert me[0] == os.getpid()
    assert memory.pss_mib(me[:1]) > 1
    assert memory.cpu_seconds(me[:1]) > 0
