"""Which report may change what: the table of acts and reports, and that order and repetition do not matter."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_an_older_report_is_stale() -> None:
    assert judge(row(Phase.RUNNING), report(Phase.PENDING), 9) is None


def test_a_snapshot_begun_again_carries_the_same_number() -> None:
    verdict = judge(row(Phase.RUNNING), report(Phase.PENDING), 10)
    assert verdict is not None and verdict.phase == Phase.PENDING


REPORTS = st.lists(st.sampled_from([Phase.PENDING, Phase.RUNNING, Phase.DEGRADED, Phase.COMPLETED]), min_size=1)


@given(REPORTS, st.randoms())
def test_in_any_order_the_newest_report_stands(phases: list[Phase], dice: random.Random) -> None:
    told = [(11 + index, report(phase)) for index, phase in enumerate(phases)]
    dice.shuffle(told)
    seen = row(Phase.CREATING)
    for seq, one in told:
        verdict = judge(seen, one, seq)
        if verdict is not None:
            seen = replace(seen, phase=verdict.phase, message=verdict.message, report_seq=seq)
    assert seen.phase == phases[-1]


@given(REPORTS, st.sampled_from([STOPPED, DELETED]))
def test_no_report_from_before_undoes_an_act(phases: list[Phase], desired: str) -> None:
    acted = Phase.STOPPING if desired == STOPPED else Phase.DELETING
    for phase in phases:
        verdict = judge(row(acted, desired), report(phase), 11)
        ended = desired == STOPPED and phase == Phase.COMPLETED
        assert verdict is not None and verdict.phase == (phase if ended else acted)


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
