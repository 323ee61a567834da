"""Which report may change what: the life of a workload's row as a pure function of the row and one report.

Phases are the cluster's to say; two of them begin with us (a person's act) and hold until the cluster has seen the act.
Reports are absolute, so applying one twice, or only the last of ten, ends in the same row.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.wire.phases import FINAL, Phase
from agent.wire.reports import WorkloadReport

RUNNING, STOPPED, DELETED = "Running", "Stopped", "Deleted"
"""Desired phases, the contract's words."""

ENDED = frozenset({Phase.COMPLETED, Phase.FAILED})
STOPPABLE = frozenset(Phase) - FINAL - {Phase.DELETING, Phase.STOPPING}

MESSAGES = {
    Phase.CREATING: "Submitted; waiting for the cluster to take it.",
    Phase.STOPPING: "Stopping: its pods end and its GPUs come free.",
    Phase.RESUMING: "Resuming: new pods are being made.",
    Phase.DELETING: "Deleting: the cluster is removing its pods.",
}

TAKEN = "The cluster has taken it; its pods are being made."
"""Where the operator has not said anything yet."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The part of a row that decides."""

    phase: Phase
    message: str
    desired_phase: str
    report_seq: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """``None`` of ``judge`` means the report is stale. ``turned``: the phase changed and history gets a record."""

    phase: Phase
    message: str
    turned: bool


def judge(row: Seen, report: WorkloadReport, report_seq: int) -> Verdict | None:
    """What a report does to the phase of a row. Older reports do nothing; later acts of a person are not undone.

    Equal numbers are not older: all pages of a snapshot, and of one begun again, carry the same.
    """
    if report_seq < row.report_seq:
        return None
    if _predates_the_act(row, report):
        return Verdict(row.phase, row.message, turned=False)
    message = report.message or (TAKEN if report.phase == Phase.CREATING else MESSAGES.get(report.phase, ""))
    return Verdict(report.phase, message, turned=report.phase != row.phase)


def _predates_the_act(row: Seen, report: WorkloadReport) -> bool:
    """Deleting holds until the object is gone; Stopping and Resuming until the spec reported is as we asked."""
    if row.desired_phase == DELETED:
        return True
    return row.phase in (Phase.STOPPING, Phase.RESUMING) and not _shows(row, report)


def _shows(row: Seen, report: WorkloadReport) -> bool:
    """Has the operator acted on a spec whose ``suspend`` is what we want? An ended workload has no more to show."""
    if report.phase in ENDED:
        return True
    suspended = report.spec.get("suspend") is True
    seen = report.observed_generation >= report.generation
    return seen and suspended == (row.desired_phase == STOPPED)


def may_suspend(phase: Phase, desired_phase: str) -> bool:
    return desired_phase == RUNNING and phase in STOPPABLE


def may_resume(phase: Phase, desired_phase: str) -> bool:
    """Stopped by us or with kubectl, or on the way there. What has ended is cloned instead."""
    stopped = desired_phase == STOPPED or phase == Phase.STOPPED
    return stopped and phase not in ENDED and desired_phase != DELETED
