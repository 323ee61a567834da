"""Which report may change what: the table of acts and reports, and that order and repetition do not matter."""

import pytest

from agent.wire.phases import Phase
from agent.wire.reports import WorkloadReport
from workloads.specs.phases import DELETED, RUNNING, STOPPED, Seen, judge, may_resume, may_suspend


def report(phase: Phase, *, suspend: bool = False, managed: bool = True, seen: int = 1) -> WorkloadReport:
    return WorkloadReport(
        id="i", name="w", namespace="n", uid="u", created_at="", generation=1, observed_generation=seen,
        spec={"suspend": suspend}, phase=phase, message=f"now {phase}", managed=managed,
    )  # fmt: skip


def row(phase: Phase, desired: str = RUNNING) -> Seen:
    return Seen(phase=phase, message="before", desired_phase=desired, report_seq=10)


TABLE = [
    ("a report is taken", row(Phase.CREATING), report(Phase.PENDING), Phase.PENDING),
    (
        "a stop holds while the cluster has not seen it",
        row(Phase.STOPPING, STOPPED),
        report(Phase.RUNNING),
        Phase.STOPPING,
    ),
    (
        "a stop ends when pods are gone",
        row(Phase.STOPPING, STOPPED),
        report(Phase.STOPPED, suspend=True),
        Phase.STOPPED,
    ),
    (
        "the operator has not acted yet",
        row(Phase.STOPPING, STOPPED),
        report(Phase.RUNNING, suspend=True, seen=0),
        Phase.STOPPING,
    ),
    ("it completed before the stop", row(Phase.STOPPING, STOPPED), report(Phase.COMPLETED), Phase.COMPLETED),
    ("a resume holds", row(Phase.RESUMING), report(Phase.STOPPED, suspend=True), Phase.RESUMING),
    ("a resume is seen", row(Phase.RESUMING), report(Phase.PENDING), Phase.PENDING),
    ("a deletion holds until the object is gone", row(Phase.DELETING, DELETED), report(Phase.RUNNING), Phase.DELETING),
    (
        "what kubectl stopped is stopped",
        row(Phase.RUNNING),
        report(Phase.STOPPED, suspend=True, managed=False),
        Phase.STOPPED,
    ),
]


@pytest.mark.parametrize(("why", "seen", "told", "phase"), TABLE)
def test_the_phase_after_a_report(why: str, seen: Seen, told: WorkloadReport, phase: Phase) -> None:
    verdict = judge(seen, told, 11)
    assert verdict is not None and verdict.phase == phase, why
    assert verdict.turned == (phase != seen.phase)


@pytest.mark.parametrize("seq", [9, 10])
def test_an_older_or_equal_report_is_stale(seq: int) -> None:
    assert judge(row(Phase.RUNNING), report(Phase.PENDING), seq) is None


def test_a_held_phase_keeps_its_sentence() -> None:
    verdict = judge(row(Phase.STOPPING, STOPPED), report(Phase.RUNNING), 11)
    assert verdict is not None and verdict.message == "before"


@pytest.mark.parametrize(
    ("phase", "desired", "suspend", "resume"),
    [
        (Phase.RUNNING, RUNNING, True, False),
        (Phase.PENDING, RUNNING, True, False),
        (Phase.STOPPED, STOPPED, False, True),
        (Phase.STOPPING, STOPPED, False, True),
        (Phase.COMPLETED, RUNNING, False, False),
        (Phase.FAILED, RUNNING, False, False),
        (Phase.DELETING, DELETED, False, False),
    ],
)
def test_what_a_person_may_do(phase: Phase, desired: str, suspend: bool, resume: bool) -> None:
    assert (may_suspend(phase, desired), may_resume(phase, desired)) == (suspend, resume)
