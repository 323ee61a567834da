"""Preview a change of quotas: read the cluster as last reported, plan it twice, and tell what the actor may see of it.

A node pool is a quota universe of its own: only those that the change names are planned. Few queries whatever the size.
The demand is what the workloads' and pods' rows say, which the agent keeps current to the second; the link ships no
snapshots of the scheduler's.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.models import TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from access.services.settings import setting
from agent.domain.nodes import NodePool as PoolPlacement
from agent.domain.pods import Request
from agent.domain.queues import Queue
from agent.wire import labels
from agent.wire.objects import PoolQuota, ResourceQuota
from agent.wire.phases import FINAL
from clusters.models import Cluster, Node, NodePool
from projects import quotas
from projects.models import Department, Project, Quota
from projects.services.quotas import LIMITED
from runai_cp.lib.errors import FieldError, Invalid
from runai_cp.lib.garbage import collector_held
from workloads.models import Pod, Workload
from workloads.models.workload import DesiredPhase
from workloads.specs.effect import Demand, NodeFact, build, effect, queues_of, request_of

SHOWN = 200
"""Workloads that are named in each list; the counts are of all."""
Unit = Department | Project
_QUOTA = (
    "node_pool__name",
    "priority",
    "gpu_deserved_milli",
    "gpu_limit_milli",
    "gpu_weight",
    "cpu_deserved_milli",
    "cpu_limit_milli",
    "cpu_weight",
    "memory_deserved_bytes",
    "memory_limit_bytes",
    "memory_weight",
)


@dataclass(frozen=True, slots=True)
class UnitShare:
    """Fair share of a department or project in one node pool, milli-GPU."""

    unit: Unit
    node_pool: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Touched:
    """Workloads that the actor may see, newest first, at most ``SHOWN``; ``total`` counts all."""

    workloads: tuple[Workload, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    shares: tuple[UnitShare, ...]
    reclaimed: Touched
    starting: Touched
    delayed: Touched
    problems: tuple[FieldError, ...]
    """Why the change could not be saved as it is."""
    as_of: datetime | None
    """When the cluster last told of its nodes."""
    planned: int
    """Workloads that were planned."""
    took_ms: int = 0


@dataclass(slots=True)
class _World:
    """What was read of one cluster."""

    projects: dict[int, Project] = field(default_factory=dict)
    departments: dict[int, Department] = field(default_factory=dict)
    quotas: list[tuple[Unit, PoolQuota]] = field(default_factory=list)
    """Of departments and projects that are there; equal ones are one object."""
    units: dict[tuple[str, str], Unit] = field(default_factory=dict)
    """Pool and queue name → whose queue it is."""


def preview(*, actor: Actor, cluster: Cluster, changes: Mapping[Unit, tuple[PoolQuota, ...]]) -> Preview:
    """The effect of new quotas for some units, merged over what they have. Raises ``NotAllowed``, ``Invalid``."""
    with collector_held():
        return _preview(actor, cluster, changes)


def _preview(actor: Actor, cluster: Cluster, changes: Mapping[Unit, tuple[PoolQuota, ...]]) -> Preview:
    begun = time.monotonic()
    for unit in changes:
        require(actor, Action.PROJECT_UPDATE if isinstance(unit, Project) else Action.DEPARTMENT_UPDATE, unit.scope)
        if unit.cluster_id != cluster.pk:
            raise Invalid(FieldError("clusterId", f"{unit.name} belongs to another cluster", str(cluster.pk)))
    touched = frozenset(quota.node_pool for asked in changes.values() for quota in asked)
    world = _read(cluster, touched)
    problems = [_as_field(item) for asked in changes.values() for quota in asked for item in quotas.check_quota(quota)]
    problems += _over_promised(world, changes)
    queues = [_queue_of(world, unit, quota) for unit, quota in world.quotas]
    changed = [_queue_of(world, unit, quota) for unit, asked in changes.items() for quota in asked]
    nodes, as_of = _nodes(cluster, touched)
    demands = _demands(cluster, world, touched)
    pools = [
        PoolPlacement(name, gpu, cpu)
        for name, gpu, cpu in NodePool.objects.filter(cluster=cluster).values_list(
            "name", "placement_gpu", "placement_cpu"
        )
    ]
    found = effect(build(nodes, queues, demands, pools), changed, time.time_ns())
    pool_of = {demand.id: demand.pool for demand in demands}
    return Preview(
        shares=tuple(_shares(actor, world, found.shares)),
        reclaimed=_touched(actor, found.reclaimed),
        starting=_touched(actor, found.starting),
        delayed=_touched(actor, found.delayed),
        problems=tuple(problems),
        as_of=as_of,
        planned=len(pool_of),
        took_ms=int((time.monotonic() - begun) * 1000),
    )


def _read(cluster: Cluster, touched: frozenset[str]) -> _World:
    world = _World()
    departments = Department.objects.filter(cluster=cluster).select_related("scope")
    projects = Project.objects.filter(cluster=cluster, delete_requested_at=None).select_related("scope")
    world.departments = {row.pk: row for row in departments}
    world.projects = {row.pk: row for row in projects}
    for project in world.projects.values():
        project.department = world.departments[project.department_id]
    rows = Quota.objects.filter(node_pool__cluster=cluster, node_pool__name__in=touched).order_by("pk")
    known: dict[tuple[Any, ...], PoolQuota] = {}
    for department, project, *columns in rows.values_list("department_id", "project_id", *_QUOTA):
        unit = world.departments.get(department) if project is None else world.projects.get(project)
        if unit is not None:
            key = tuple(columns)
            quota = known[key] = known.get(key) or _pool_quota(*columns)
            world.quotas.append((unit, quota))
    return world


def _over_promised(world: _World, changes: Mapping[Unit, tuple[PoolQuota, ...]]) -> Iterator[FieldError]:
    """Where the projects of a department would deserve more than it does, in a tenant that does not allow it."""
    if not setting(LIMITED):
        return
    asked = {(unit, quota.node_pool): quota for unit, given in changes.items() for quota in given}
    touched = {unit.department_id if isinstance(unit, Project) else unit.pk for unit in changes}
    own: dict[int, list[PoolQuota]] = {pk: [] for pk in touched}
    below: dict[int, list[PoolQuota]] = {pk: [] for pk in touched}
    for unit, stored in world.quotas:
        rows, pk = (below, unit.department_id) if isinstance(unit, Project) else (own, unit.pk)
        if pk in touched:
            rows[pk].append(asked.get((unit, stored.node_pool), stored))
    for pk in sorted(touched):
        for problem in quotas.check_tree(own[pk], [below[pk]], over_commit=False):
            found = _as_field(problem)
            yield replace(found, message=f"{world.departments[pk].name}: {problem.given}, {problem.allowed}")


def _as_field(problem: quotas.QuotaProblem) -> FieldError:
    return FieldError(problem.field, problem.message, problem.given, problem.allowed)


def _pool_quota(pool: str, priority: int, *amounts: int) -> PoolQuota:
    gpu, cpu, memory = (ResourceQuota(*amounts[at : at + 3]) for at in (0, 3, 6))
    return PoolQuota(pool, gpu=gpu, cpu=cpu, memory=memory, priority=priority)


def _queue_of(world: _World, unit: Unit, quota: PoolQuota) -> Queue:
    created = int(unit.created_at.timestamp() * 1e9)
    if isinstance(unit, Project):
        name = labels.queue_name(unit.name, quota.node_pool)
        parent = labels.department_queue_name(unit.department.name, quota.node_pool)
        queue = queues_of(name, parent, "project", unit.name, created, quota)
    else:
        name = labels.department_queue_name(unit.name, quota.node_pool)
        queue = queues_of(name, "", "department", unit.name, created, quota)
    world.units[quota.node_pool, name] = unit
    return queue


def _nodes(cluster: Cluster, touched: frozenset[str]) -> tuple[list[NodeFact], datetime | None]:
    rows = Node.objects.filter(cluster=cluster, node_pool__in=touched).values_list(
        "name",
        "node_pool",
        "cpu_allocatable_milli",
        "memory_allocatable_bytes",
        "gpu_allocatable_milli",
        "gpu_memory_mib",
        "status",
        "unschedulable",
        "cpu_allocated_milli",
        "memory_allocated_bytes",
        "gpu_allocated_milli",
        "updated_at",
    )
    facts, newest = [], None
    for name, pool, cpu, memory, gpu, mib, status, cordoned, cpu_taken, memory_taken, gpu_taken, at in rows:
        facts.append(
            NodeFact(
                name,
                pool,
                cpu,
                memory,
                gpu // 1000,
                mib or 0,
                status == "Ready",
                cordoned,
                cpu_taken,
                memory_taken,
                gpu_taken,
            )
        )
        newest = at if newest is None else max(newest, at)
    return facts, newest


def _demands(cluster: Cluster, world: _World, touched: frozenset[str]) -> list[Demand]:
    """Every workload that runs or waits in these pools, with its pods that hold a node. Thousands of workloads share
    few specs: a text is parsed once, and equal requests are one object.
    """
    placed, pool_of = _placed(cluster)
    parsed, requests = lru_cache(maxsize=None)(_parsed), lru_cache(maxsize=None)(_request)
    found = []
    for row in _texts(cluster, world):
        pk, project_id, compute, workers, wanted, priority, preemptible, created, asked, reported = row
        project = world.projects[project_id]
        pool = pool_of.get(pk)
        if pool is None:
            order = [*parsed(reported), *parsed(asked), *project.default_node_pools]
            order += [*project.department.default_node_pools, labels.DEFAULT_NODE_POOL]
            pool = order[0]
        if pool not in touched:
            continue
        bound = tuple(placed.get(pk, ()))
        found.append(
            Demand(
                id=str(pk),
                queue=labels.queue_name(project.name, pool),
                pool=pool,
                priority=priority,
                preemptible=preemptible,
                created=int(created.timestamp() * 1e9),
                request=requests(compute),
                pods=max(wanted, len(bound)),
                gang=bool(parsed(workers)),
                placed=bound,
            )
        )
    return found


def _placed(cluster: Cluster) -> tuple[dict[Any, list[Any]], dict[Any, str]]:
    """Uid, node and devices of the pods that hold a node, and their node pool, by workload."""
    pods = Pod.objects.filter(cluster=cluster, deleted_at=None, deleting=False, phase__in=("Pending", "Running"))
    rows = pods.exclude(node="").exclude(workload=None)
    placed: dict[Any, list[Any]] = {}
    pool_of: dict[Any, str] = {}
    for owner, uid, node, pool, devices in rows.values_list("workload_id", "uid", "node", "node_pool", "gpu_devices"):
        placed.setdefault(owner, []).append((str(uid), node, tuple(devices)))
        pool_of[owner] = pool
    return placed, pool_of


def _texts(cluster: Cluster, world: _World) -> Any:
    """Workloads that run or wait, what is JSON as the text that is stored."""
    rows = Workload.objects.filter(
        cluster=cluster, deleted_at=None, desired_phase=DesiredPhase.RUNNING, project_id__in=world.projects
    ).exclude(phase__in=[*FINAL, "Stopped"])
    texts = rows.annotate(
        compute=KeyTextTransform("compute", "spec"),
        workers=KeyTextTransform("workers", "spec"),
        asked=Cast("requested_node_pools", TextField()),
        reported=Cast("node_pools", TextField()),
    )
    columns = ("pk", "project_id", "compute", "workers", "requested_pods", "priority", "preemptible", "created_at")
    return texts.values_list(*columns, "asked", "reported")


def _parsed(text: str | None) -> Any:
    return json.loads(text) if text else None


def _request(text: str | None) -> Request:
    return request_of(_parsed(text) or {})


def _shares(actor: Actor, world: _World, changes: Any) -> list[UnitShare]:
    """Of the units that the actor may see, those whose share moves most first."""
    by_name = {name: (pool, unit) for (pool, name), unit in world.units.items()}
    rows = []
    for change in changes:
        pool, unit = by_name[change.queue]
        view = Action.PROJECT_VIEW if isinstance(unit, Project) else Action.DEPARTMENT_VIEW
        if actor.allows(view, unit.scope.path):
            rows.append(UnitShare(unit, pool, change.before, change.after))
    return sorted(rows, key=lambda row: (-abs(row.after - row.before), row.unit.name, row.node_pool))


def _touched(actor: Actor, ids: tuple[str, ...]) -> Touched:
    if not ids:
        return Touched()
    rows = Workload.objects.visible_to(actor).filter(pk__in=ids).for_list().order_by("-created_at", "pk")
    return Touched(tuple(rows[:SHOWN]), len(ids))
