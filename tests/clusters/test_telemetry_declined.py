"""Types of telemetry that the public API has and we do not answer say why, and what is answered."""

import pytest

pytestmark = pytest.mark.services


@pytest.mark.parametrize(
    ("path", "kind", "why"),
    [
        ("nodes", "IDLE_ALLOCATED_GPUS", "measured over time"),
        ("nodes", "USED_CPU_CORES", "measured over time"),
        ("org-unit/projects", "CPU_ALLOCATION_NON_PREEMPTIBLE", "for GPUs alone"),
        ("org-unit/departments", "MEMORY_ALLOCATION_NON_PREEMPTIBLE", "for GPUs alone"),
        ("nodes", "COFFEE", "must be one of"),
    ],
)
def test_a_type_that_is_not_served_says_why(acme, path, kind, why):
    answer = acme.api().get(f"/api/v1/{path}/telemetry?telemetryType={kind}")
    assert (answer.status_code, why in answer.content.decode()) == (400, True)
