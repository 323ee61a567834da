"""Phases and status sentences, from observed objects alone."""

import pytest

from agent.operator.facts import ContainerFacts, GroupFacts
from agent.operator.workload import WorkloadStatus
from agent.wire.phases import Phase
from tests.agent.operator.builders import ago, ends, found, node, pod, runs, starts, view, waits
from tests.agent.operator.builders import status as written

DOWN = node(ready=False, ready_message="kubelet stopped posting", not_ready_since=ago(90))
STARTED = WorkloadStatus(phase=Phase.RUNNING, started_at="2026-01-01T11:59:40Z")


@pytest.mark.parametrize(
    ("case", "workload", "pods", "phase", "sentence"),
    [
        ("nothing yet", view(), [], "Creating", "making 1 pod"),
        ("resumed", view(WorkloadStatus(phase=Phase.STOPPED)), [], "Resuming", "making 1 pod"),
        ("not looked at", view(), [pod()], "Pending", "waiting for the scheduler"),
        ("no place", view(), [waits()], "Pending", "0 of 8 nodes fit"),
        ("starting", view(), [starts()], "Initializing", "w-0 is being set up on node n1"),
        (
            "no image",
            view(),
            [starts(waiting="ImagePullBackOff", text="not found")],
            "Initializing",
            'the image "repo/x:1" cannot be pulled: not found',
        ),
        ("running", view(), [runs()], "Running", "running on node n1"),
        ("completed", view(), [ends()], "Completed", "completed"),
        ("failed", view(backoff_limit=0), [ends(code=2)], "Failed", "w-0 exited with code 2 after 10 s"),
        ("killed", view(backoff_limit=0), [ends(code=137)], "Failed", "w-0 exited with code 137 (SIGKILL) after 10 s"),
        (
            "out of memory",
            view(backoff_limit=0),
            [ends(code=137, reason="OOMKilled", memory_limit="134217728")],
            "Failed",
            "w-0 used more memory than its limit of 128 MiB and was killed after 10 s",
        ),
        (
            "tried again",
            view(),
            [ends(code=1, end=1)],
            "Pending",
            "w-0 exited with code 1 after 10 s; 1 of 7 attempts failed, the next starts at 12:00:01 UTC",
        ),
        ("stopping", view(suspend=True), [runs()], "Stopping", "stopping; waiting for 1 pod to end"),
        ("stopped", view(suspend=True), [], "Stopped", "stopped"),
        ("deleting", view(deleting=True), [runs()], "Deleting", "being deleted; waiting for 1 pod to end"),
        (
            "evicted",
            view(),
            [runs(deleting=True, evicted="reclaimed for queue b")],
            "Terminating",
            "evicted: reclaimed for queue b; waiting for 1 pod to end",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_a_single_pod(case, workload, pods, phase, sentence):
    finding = found(workload, *pods)
    assert (finding.phase, finding.message) == (phase, sentence), case


def gang(status=None, **spec):
    return view(status, type="distributed", workers=3, **spec)


@pytest.mark.parametrize(
    ("workload", "pods", "phase", "sentence"),
    [
        (gang(), [waits(0), waits(1), waits(2)], "Pending", "0 of 8 nodes fit"),
        (gang(), [starts(0), pod(1), pod(2)], "Pending", "waiting for the scheduler"),
        (gang(), [starts(0), starts(1), starts(2)], "Initializing", "starting 3 pods"),
        (gang(), [runs(0), starts(1), starts(2)], "Initializing", "1 of 3 pods running; starting 2 pods"),
        (gang(), [runs(0), runs(1, node="n2"), runs(2)], "Running", "3 pods running on 2 nodes"),
        (
            gang(STARTED),
            [runs(0), runs(1), waits(2)],
            "Degraded",
            "2 of 3 pods running; 1 waiting: 0 of 8 nodes fit",
        ),
        (gang(), [ends(0), ends(1), ends(2)], "Completed", "completed: 3 of 3 pods succeeded"),
    ],
)
def test_a_gang(workload, pods, phase, sentence):
    finding = found(workload, *pods)
    assert finding.phase == phase
    assert finding.message.startswith(sentence.removesuffix("starting 2 pods"))


def test_independent_pods_run_with_what_they_have():
    finding = found(view(completions=2, parallelism=2), runs(0), waits(1))
    assert (finding.phase, finding.message) == ("Running", "1 of 2 pods running; 1 waiting: 0 of 8 nodes fit")


def test_the_groups_reasons_come_before_the_pods():
    group = GroupFacts("w", (("OverLimit", "project holds 8 of 8", "default", {"used": 8000}),))
    finding = found(gang(), waits(0), waits(1), waits(2), groups=(group,))
    assert finding.message == "project holds 8 of 8"
    assert (finding.reasons[0].code, finding.reasons[0].details) == ("OverLimit", {"used": 8000})


def test_a_node_that_is_gone_makes_the_workload_unknown():
    finding = found(view(STARTED), runs(), nodes=(DOWN,))
    assert finding.phase == "Unknown"
    assert finding.message == "node n1 is not ready since 2026-01-01 11:58:30 UTC: kubelet stopped posting"


def test_one_lost_node_of_two_degrades_a_gang():
    finding = found(gang(STARTED), runs(0), runs(1, node="n2"), runs(2, node="n2"), nodes=(DOWN, node("n2")))
    assert (finding.phase, finding.message[:24]) == ("Degraded", "1 of 3 pods in trouble: ")


def test_a_crash_loop_degrades_a_workspace():
    state = ContainerFacts("main", restarts=4, waiting="CrashLoopBackOff", last_exit_code=1)
    finding = found(view(type="workspace"), runs(containers=(state,)))
    assert finding.phase == "Degraded"
    assert finding.message == "w-0 ended with code 1, restarted 4 times, waits to restart"


@pytest.mark.parametrize(
    ("pods", "sentence"),
    [
        ([runs()], "running on node n1, a simulated node: no container really runs there"),
        ([ends()], "completed (simulated: no container really ran)"),
    ],
)
def test_a_simulated_node_is_never_passed_off_as_real(pods, sentence):
    assert found(view(), *pods, nodes=(node(simulated=True),)).message == sentence


def test_what_the_server_refuses_is_said():
    assert found(view(), refused="exceeded quota").phase == "Creating"
    finding = found(view(), refused="bad label", invalid=True)
    assert (finding.phase, finding.message) == ("Failed", "the API server refuses its pods: bad label")


def test_the_end_keeps_its_words_when_the_pods_are_gone():
    last = WorkloadStatus(phase=Phase.FAILED, message="w-0 exited with code 2 after 10 s")
    assert found(view(last)).message == "w-0 exited with code 2 after 10 s"


def test_memory_beyond_the_request_is_a_condition_and_in_the_sentence():
    text = "it uses 9 MiB of GPU memory, 8 MiB were asked for"
    first = written(view(), runs(gpu_memory_excess=text))
    assert first.phase is Phase.RUNNING
    assert first.message.endswith(f"; w-0: {text}")
    said = {condition.type: condition for condition in first.conditions}["GpuMemoryExceeded"]
    assert (said.status, said.message) == ("True", f"w-0: {text}")
    after = {condition.type: condition for condition in written(view(first), runs()).conditions}
    assert after["GpuMemoryExceeded"].status == "False"
    assert "GpuMemoryExceeded" not in {condition.type for condition in written(view(), runs()).conditions}
