"""The state of a cluster: one table from facts to state, cause and since."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clusters.states import Facts, State, cluster_status

BORN = datetime(2026, 1, 1, tzinfo=UTC)
ENROLLED = datetime(2026, 1, 2, tzinfo=UTC)
SEEN = datetime(2026, 1, 3, tzinfo=UTC)
WELL = Facts(created_at=BORN, enrolled_at=ENROLLED, last_seen=SEEN, connected=True, reported_at=SEEN)
SICK = {"name": "scheduler", "healthy": False, "message": "no leader", "since": "2026-01-02T12:00:00+00:00"}
LACKING = {"name": "gpu-operator", "required": True, "available": False, "remedy": "Install it."}
TABLE = [
    ("nobody came", replace(WELL, enrolled_at=None, last_seen=None, connected=False), State.WAITING, BORN),
    ("enrolled, first report under way", replace(WELL, reported_at=None), State.WAITING, ENROLLED),
    ("all is well", WELL, State.CONNECTED, ENROLLED),
    ("gone", replace(WELL, connected=False), State.DISCONNECTED, SEEN),
    ("gone hides what was broken", replace(WELL, connected=False, roles=(SICK,)), State.DISCONNECTED, SEEN),
    ("a role is ill", replace(WELL, roles=(SICK,)), State.SERVICE_ISSUES, datetime(2026, 1, 2, 12, tzinfo=UTC)),
    ("something is missing", replace(WELL, roles=(SICK,), dependencies=(LACKING,)), State.MISSING_PREREQUISITES, SEEN),
    (
        "only something optional",
        replace(WELL, dependencies=({**LACKING, "required": False},)),
        State.CONNECTED,
        ENROLLED,
    ),
]


@pytest.mark.parametrize(("why", "facts", "state", "since"), TABLE)
def test_state_and_since(why: str, facts: Facts, state: State, since: datetime) -> None:
    status = cluster_status(facts)
    assert (status.state, status.since) == (state, since), why


@pytest.mark.parametrize(("why", "facts", "state", "since"), TABLE)
def test_every_state_but_connected_has_a_cause(why: str, facts: Facts, state: State, since: datetime) -> None:
    assert bool(cluster_status(facts).cause) == (state != State.CONNECTED), why


def test_a_missing_prerequisite_says_what_to_do() -> None:
    assert cluster_status(replace(WELL, dependencies=(LACKING,))).remedy == "Install it."
