"""The numbers of the Overview page: supply from reports, use from samples, and only what the reader may see."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runai_cp.lib.errors import Invalid, NotAllowed
from tests.conftest import person
from tests.factories.scene import build_scene, measure
from usage.services import Window, overview, workload_metrics

pytestmark = pytest.mark.services


@pytest.fixture
def scene(acme):
    made = build_scene()
    measure(made)
    return made


def test_gpus_are_added_up_by_pool(scene):
    found = overview(actor=person("alice@example.test"))
    assert [(pool.name, pool.nodes) for pool in found.pools] == [("a100", 5), ("default", 1)]
    assert (found.total_milli, found.allocated_milli, found.free_milli) == (48000, 33500, 14500)
    assert found.pending == 3


def test_one_cluster_can_be_chosen(scene):
    found = overview(actor=person("alice@example.test"), cluster_ids=[scene.waiting.pk])
    assert (found.pools, found.pending) == ((), 0)


def test_nobody_measured_is_not_zero(scene):
    assert overview(actor=person("alice@example.test")).idle is None


def test_a_stranger_sees_no_numbers(scene):
    found = overview(actor=person("charlie@example.test"))
    assert (found.pools, found.pending, found.running) == ((), 0, 0)


def test_charts_of_a_workload_take_one_query(scene):
    types = ["GPU_UTILIZATION", "GPU_MEMORY_USAGE_BYTES", "CPU_USAGE_CORES", "CPU_MEMORY_USAGE_BYTES"]
    workload, actor = scene.workloads["clip-train-base"], person("alice@example.test")
    workload.project.scope.path  # noqa: B018 (read before counting)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        lines = workload_metrics(actor=actor, workload=workload, types=types, window=Window.last(timedelta(hours=1)))
    assert len(queries) == 1
    assert [line.measured for line in lines] == [True] * 4


def test_metrics_need_their_permission(scene):
    with pytest.raises(NotAllowed):
        workload_metrics(
            actor=person("charlie@example.test"),
            workload=scene.workloads["clip-train-base"],
            types=["GPU_UTILIZATION"],
            window=Window.last(timedelta(hours=1)),
        )


def test_an_unknown_type_is_named(scene):
    with pytest.raises(Invalid, match="unknown: SPEED"):
        workload_metrics(
            actor=person("alice@example.test"),
            workload=scene.workloads["clip-train-base"],
            types=["SPEED"],
            window=Window.last(timedelta(hours=1)),
        )
