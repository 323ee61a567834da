"""What a change of quotas would do: pure cases first, then over REST with rows as an agent reports them."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from access.services.bootstrap import system_actor
from access.services.settings import write_setting
from agent.domain.pods import Request
from agent.wire.objects import PoolQuota, ResourceQuota
from clusters.models import Cluster
from projects.models import Project, Quota
from projects.services import set_quotas
from projects.services.quotas import LIMITED
from tests.conftest import Home, grant
from tests.fixtures_rooms import (
    make_cluster,
    make_project,
    make_workload,
    node_report,
    pod_report,
    take,
    tell,
    workload_report,
)
from workloads.specs.effect import Demand, NodeFact, build, effect, queues_of, request_of

PREVIEW = "/api/v1/org-unit/preview"
NODE = NodeFact("n1", "default", 64000, 1 << 40, 8, 80000, ready=True, unschedulable=False)


def queue(name: str, deserved: int, weight: int = 1000) -> Any:
    gpu = ResourceQuota(deserved, over_quota_weight=weight)
    return queues_of(name, "", "project", name, 0, PoolQuota("default", gpu=gpu))


def demand(name: str, owner: str, *, running: bool, gpus: int = 1, preemptible: bool = True) -> Demand:
    placed = ((f"{name}-pod", "n1", ()),) if running else ()
    return Demand(name, owner, "default", 50, preemptible, 0, Request(cpu=100, gpus=gpus), placed=placed)


def contended(preemptible: bool = True) -> Any:
    """A runs eight GPUs, B waits for four; A deserves them all."""
    demands = [demand(f"a{index}", "a", running=True, preemptible=preemptible) for index in range(8)]
    demands += [demand(f"b{index}", "b", running=False) for index in range(4)]
    return build([NODE], [queue("a", 8000), queue("b", 0)], demands)


def test_quota_that_moves_makes_room() -> None:
    found = effect(contended(), [queue("a", 4000), queue("b", 4000)], 1)
    assert (len(found.reclaimed), found.starting) == (4, ("b0", "b1", "b2", "b3"))
    assert [(row.queue, row.before, row.after) for row in found.shares] == [("a", 8000, 4000), ("b", 0, 4000)]


def test_what_is_not_preemptible_stays() -> None:
    found = effect(contended(preemptible=False), [queue("a", 4000), queue("b", 4000)], 1)
    assert (found.reclaimed, found.starting) == ((), ())


def test_no_change_has_no_effect() -> None:
    found = effect(contended(), [queue("a", 8000), queue("b", 0)], 1)
    assert (found.shares, found.reclaimed, found.starting, found.delayed) == ((), (), (), ())


def test_a_limit_keeps_what_would_start_waiting() -> None:
    snapshot = build([NODE], [queue("a", 8000)], [demand("w", "a", running=False, gpus=4)])
    capped = queues_of("a", "", "project", "a", 0, PoolQuota("default", gpu=ResourceQuota(1000, limit=2000)))
    assert effect(snapshot, [capped], 1).delayed == ("w",)


def test_what_other_schedulers_hold_is_not_given_away() -> None:
    busy = replace(NODE, gpu_taken_milli=6000)
    snapshot = build([busy], [queue("a", 0)], [demand("w", "a", running=False, gpus=4)])
    assert snapshot.nodes[0].foreign.gpus == 6
    assert effect(snapshot, [queue("a", 8000)], 1).starting == ()


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        ({"gpuDevices": 2, "cpuMilli": 5}, Request(cpu=5, gpus=2)),
        ({"gpuPortionMilli": 500}, Request(gpu_fraction=500)),
        ({"gpuPortionMilli": 500, "gpuDevices": 2}, Request(gpu_fraction=500, gpu_devices=2)),
        ({"gpuMemoryMib": 4096}, Request(gpu_memory=4096)),
        ({}, Request()),
    ],
)
def test_requests_are_read_from_specs(compute: dict[str, int], expected: Request) -> None:
    assert request_of(compute) == expected


def running(cluster: Cluster, project: Project, name: str) -> Any:
    workload = make_workload(project, name, gpu_devices="1")
    uid = str(uuid4())
    tell(cluster, "Workload", workload_report(workload, "Running", uid=uid, node_pools=("default",)))
    tell(
        cluster,
        "Pod",
        pod_report(workload.pk, project.namespace, name=f"{name}-0", gpu_milli=1000, gpu_devices=(0,)),
    )
    take("workloads")
    return workload


@pytest.fixture
def scene(cluster: Cluster) -> tuple[Cluster, Project, Project]:
    """One node of two GPUs: team-a runs on both and deserves both, team-b waits."""
    first, second = make_project(cluster, "team-a"), make_project(cluster, "team-b")
    for unit, amount in ((first.department, 2000), (first, 2000)):
        set_quotas(actor=system_actor(), owner=unit, wanted=(PoolQuota("default", gpu=ResourceQuota(amount)),))
    tell(
        cluster,
        "Node",
        node_report(
            gpu_allocatable_milli=2000,
            gpu_allocated_milli=2000,
            cpu_allocatable_milli=64000,
            memory_allocatable_bytes=1 << 40,
        ),
    )
    take("inventory")
    for name in ("one", "two"):
        running(cluster, first, name)
    make_workload(second, "waits", gpu_devices="1")
    return cluster, first, second


def ask(home: Home, cluster: Cluster, first: Project, second: Project, email: str | None = None) -> Any:
    body = {
        "clusterId": str(cluster.pk),
        "projects": [
            {"id": str(first.pk), "resources": [{"gpu": {"deserved": 1}}]},
            {"id": str(second.pk), "resources": [{"gpu": {"deserved": 1}}]},
        ],
    }
    return home.api(email).post(PREVIEW, body, content_type="application/json")


def test_the_preview_names_who_makes_room_and_who_starts(acme: Home, scene: Any) -> None:
    cluster, first, second = scene
    answer = ask(acme, cluster, first, second)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert [row["name"] for row in found["starting"]["workloads"]] == ["waits"]
    assert found["reclaimed"]["total"] == 1
    assert {row["name"]: (row["fairShareGpuBefore"], row["fairShareGpuAfter"]) for row in found["projects"]} == {
        "team-a": (2.0, 1.0),
        "team-b": (0.0, 1.0),
    }


@pytest.mark.parametrize(("limited", "said"), [(True, ["default: 2 GPUs in sum, at most 1 GPUs"]), (False, [])])
def test_a_preview_says_what_the_department_does_not_allow(
    acme: Home, scene: Any, limited: bool, said: list[str]
) -> None:
    cluster, first, second = scene
    write_setting(actor=system_actor(), key=LIMITED, value=limited)
    Quota.objects.filter(department=first.department).update(gpu_deserved_milli=1000)
    problems = ask(acme, cluster, first, second).json()["problems"]
    assert [problem["field"] for problem in problems] == ["resources[default].gpu.deserved"] * len(said)
    assert [problem["message"][: len(words)] for problem, words in zip(problems, said, strict=True)] == said


def test_a_preview_saves_nothing(acme: Home, scene: Any) -> None:
    cluster, first, second = scene
    ask(acme, cluster, first, second)
    assert first.quotas.get().gpu_deserved_milli == 2000


def test_who_may_not_change_a_project_gets_no_preview_of_it(acme: Home, scene: Any) -> None:
    cluster, first, second = scene
    grant("bob@example.test", "viewer", cluster.scope)
    assert ask(acme, cluster, first, second, "bob@example.test").status_code == 403


def test_foreign_workloads_are_counted_and_not_named(acme: Home, scene: Any) -> None:
    cluster, first, second = scene
    set_quotas(actor=system_actor(), owner=first, wanted=(PoolQuota("default", gpu=ResourceQuota(1000)),))
    grant("bob@example.test", "project-administrator", second.scope)
    body = {
        "clusterId": str(cluster.pk),
        "projects": [{"id": str(second.pk), "resources": [{"gpu": {"deserved": 1}}]}],
    }
    found = acme.api("bob@example.test").post(PREVIEW, body, content_type="application/json").json()
    assert (found["reclaimed"]["total"], found["reclaimed"]["workloads"]) == (1, [])
    assert [row["name"] for row in found["projects"]] == ["team-b"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"projects": []}, "projects"),
        ({"projects": "all"}, "projects"),
        ({"projects": [{"id": "999999", "resources": []}]}, "projects[0].id"),
        ({"clusterId": "x"}, "clusterId"),
    ],
)
def test_bad_questions_are_refused(acme: Home, project: Project, change: Any, field: str) -> None:
    body = {"clusterId": str(project.cluster_id), "projects": [{"id": str(project.pk), "resources": []}], **change}
    answer = acme.api().post(PREVIEW, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_a_unit_of_another_cluster_is_refused(acme: Home, project: Project) -> None:
    body = {
        "clusterId": str(make_cluster("beta").pk),
        "projects": [{"id": str(project.pk), "resources": []}],
    }
    assert acme.api().post(PREVIEW, body, content_type="application/json").status_code == 400
