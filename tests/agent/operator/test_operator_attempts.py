"""Attempts, back-off limit, completions and ends: counted from pods and the last status, never from memory."""

from dataclasses import replace

import pytest

from agent.operator.facts import ContainerFacts
from agent.operator.progress import format_indexes, parse_indexes
from agent.operator.workload import WorkloadStatus
from agent.wire.phases import Phase
from agent.wire.reports import ReasonReport
from tests.agent.operator.builders import NOW, ago, decided, deleted, ends, made, runs, starts, status, view, waits


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([], ["Pod/w-0"]),
        ([runs()], []),
        ([ends(code=1, end=60)], ["Pod/w-0-r1"]),
        ([ends(code=1, end=1)], []),
        ([ends(code=1), ends(attempt=1, code=1, end=10)], ["Pod/w-0-r2"]),
        ([ends(code=1), ends(attempt=1, code=1, end=3)], []),
        ([ends(code=1), runs(attempt=1)], []),
        ([ends(code=1, disrupted="node drained")], []),
        ([ends(code=143, deleting=True)], []),
        ([ends()], []),
    ],
    ids=["first", "runs", "again", "not yet", "third", "waits longer", "one at a time", "drained", "evicted", "done"],
)
def test_the_next_attempt(pods, expected):
    assert made(decided(view(), *pods)) == expected


def test_a_drained_pod_is_cleared_away_and_does_not_count():
    decision = decided(view(backoff_limit=0), ends(code=1, disrupted="node drained"))
    assert (decision.end, deleted(decision), decision.progress.failures) == (None, ["w-0"], 0)


@pytest.mark.parametrize(("limit", "end"), [(0, Phase.FAILED), (1, Phase.FAILED), (2, None)])
def test_the_back_off_limit(limit, end):
    assert decided(view(backoff_limit=limit), ends(code=1), ends(attempt=1, code=1)).end is end


def test_attempts_survive_the_removal_of_pods():
    last = WorkloadStatus(attempts={"0": 2}, failed_attempts=2)
    decision = decided(view(last))
    assert made(decision) == ["Pod/w-0-r2"]
    assert decision.progress.failures == 2


def test_a_container_that_restarts_in_place_counts_too():
    state = ContainerFacts("main", restarts=3, running=True)
    assert decided(view(restart_policy="OnFailure", backoff_limit=2), runs(containers=(state,))).end is Phase.FAILED


def test_only_the_last_failed_pods_are_kept():
    decision = decided(view(), ends(code=1), ends(attempt=1, code=1), runs(attempt=2))
    assert deleted(decision) == ["w-0"]


def test_a_gang_restarts_as_a_whole():
    workload = view(type="distributed", workers=2)
    assert deleted(decided(workload, ends(0, code=1), runs(1))) == ["w-1"]
    again = decided(workload, ends(0, code=1), ends(1, code=143))
    assert made(again) == ["PodGroup/w-r1", "Service/w", "Pod/w-0-r1", "Pod/w-1-r1"]


def test_a_gang_waits_until_its_last_attempt_is_gone():
    workload = view(WorkloadStatus(attempts={"0": 1}), type="distributed", workers=2)
    assert made(decided(workload, runs(0))) == []


@pytest.mark.parametrize(
    ("framework", "seconds", "end"),
    [(None, 3600, None), ("PyTorch", 3600, Phase.COMPLETED), ("PyTorch", 5, None)],
    ids=["no leader", "its leader is done", "the others may still end by themselves"],
)
def test_the_master_ends_a_job_of_a_framework(framework, seconds, end):
    workload = view(type="distributed", workers=2, framework=framework)
    assert decided(workload, ends(0, end=seconds), runs(1)).end is end


def test_the_operator_looks_again_when_the_grace_is_over():
    decision = decided(view(type="distributed", workers=2, framework="PyTorch"), ends(0, end=5), runs(1))
    assert decision.check_at == NOW.replace(second=25)


def test_completions_run_a_few_at_a_time():
    workload = view(completions=4, parallelism=2)
    assert made(decided(workload)) == ["Pod/w-0", "Pod/w-1"]
    assert made(decided(workload, ends(0), runs(1))) == ["Pod/w-2"]
    assert decided(workload, *[ends(index) for index in range(4)]).end is Phase.COMPLETED


def test_completed_indexes_outlive_their_pods():
    workload = view(WorkloadStatus(succeeded_indexes="0-2"), completions=4, parallelism=4)
    assert made(decided(workload)) == ["Pod/w-3"]


@pytest.mark.parametrize("text", ["", "0", "0-2", "0-1,4", "1,3,5-9"])
def test_indexes_read_back_as_they_were_written(text):
    assert format_indexes(parse_indexes(text)) == text


def test_a_failed_workload_stops_what_still_runs():
    decision = decided(view(completions=2, parallelism=2, backoff_limit=0), ends(0, code=1), runs(1))
    assert (decision.end, deleted(decision)) == (Phase.FAILED, ["w-1"])


@pytest.mark.parametrize(
    ("pod", "end"),
    [
        (starts(waiting="ImagePullBackOff"), None),
        (starts(waiting="ImagePullBackOff", scheduled_at=ago(601)), Phase.FAILED),
        (starts(waiting="InvalidImageName"), Phase.FAILED),
    ],
)
def test_an_image_that_never_comes_ends_the_workload(pod, end):
    assert decided(view(), pod).end is end


def test_final_phases_are_for_good():
    for phase in (Phase.COMPLETED, Phase.FAILED):
        decision = decided(view(WorkloadStatus(phase=phase)))
        assert (decision.end, made(decision)) == (phase, [])


def test_a_better_spec_starts_what_failed_for_its_spec():
    last = WorkloadStatus(phase=Phase.FAILED, reasons=(ReasonReport("InvalidSpec", "spec.image: …"),))
    assert made(decided(view(last))) == ["Pod/w-0"]
    assert decided(view(last, image="two words")).end is Phase.FAILED


@pytest.mark.parametrize(("managed", "workload_goes", "pods"), [(False, True, []), (True, False, ["w-0"])])
def test_time_to_live(managed, workload_goes, pods):
    last = WorkloadStatus(phase=Phase.COMPLETED, completed_at="2026-01-01T11:00:00Z")
    decision = decided(view(last, ttl_seconds_after_finished=60, managed=managed), ends())
    assert (decision.remove_workload, deleted(decision)) == (workload_goes, pods)


def test_the_end_is_told_before_it_is_cleared_away():
    decision = decided(view(ttl_seconds_after_finished=0), ends())
    assert (decision.end, decision.remove_workload) == (Phase.COMPLETED, False)


def test_a_stopped_workload_starts_anew_after_its_end():
    failed = view(WorkloadStatus(phase=Phase.FAILED, attempts={"0": 6}, failed_attempts=7), suspend=True)
    stopped = status(failed)
    assert (stopped.phase, stopped.attempts, stopped.failed_attempts) == (Phase.STOPPED, {}, 0)
    assert made(decided(replace(view(), status=stopped))) == ["Pod/w-0"]


def test_several_pools_are_tried_in_turn():
    workload = view(node_pools=("a100", "default"))
    moved = decided(workload, waits(pool="a100", since=ago(31)))
    assert (moved.node_pool, made(moved), deleted(moved)) == ("default", [], [])
    next_time = replace(workload, status=WorkloadStatus(node_pool="default"))
    assert deleted(decided(next_time, waits(pool="a100", since=ago(31)))) == ["w-0"]
    fresh = decided(next_time)
    assert fresh.create[0]["metadata"]["labels"]["kai.scheduler/queue"] == "vision"
    assert decided(workload, waits(pool="a100", since=ago(5))).check_at == NOW.replace(second=25)
