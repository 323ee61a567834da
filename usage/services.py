"""How much is used: charts of workloads, pods, nodes and clusters over ``series``, and the numbers of the Overview.

A reader needs ``metrics.view`` (or what the thing itself needs) in the thing's scope. Numbers that nobody measured are
left out, never zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from access.grants import Actor
from access.querysets import scope_path_of
from access.roles import Action
from agent.wire import samples
from agent.wire.phases import Phase
from clusters.models import Cluster, Node
from clusters.querysets import pool_supply
from runai_cp.lib.errors import NotAllowed
from series.services import Line, Point, Subject, devices, latest, query_lines
from usage import metric_types
from workloads.models import Pod, Workload

DEFAULT_POINTS = 20


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of a chart: (time, value or None for a gap), oldest first. ``labels`` tells lines of a type apart."""

    type: str
    points: list[Point]
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        return metric_types.unit(self.type)

    @property
    def measured(self) -> bool:
        return any(value is not None for _, value in self.points)


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end) in ``points`` equal steps."""

    start: datetime
    end: datetime
    points: int = DEFAULT_POINTS

    @classmethod
    def last(cls, span: timedelta, points: int = 60) -> "Window":
        """The span up to now."""
        now = datetime.now(UTC)
        return cls(now - span, now, points)


@dataclass(frozen=True, slots=True)
class PoolUse:
    """GPUs of one node pool of one cluster, in milli-GPU. ``utilisation`` and ``idle`` as last measured, or None."""

    cluster_id: UUID
    name: str
    nodes: int
    ready_nodes: int
    total_milli: int
    allocated_milli: int
    idle: int | None = None
    utilisation: float | None = None

    @property
    def free_milli(self) -> int:
        return max(0, self.total_milli - self.allocated_milli)


@dataclass(frozen=True, slots=True)
class Overview:
    """What the actor may see of these clusters, now."""

    pools: tuple[PoolUse, ...]
    pending: int
    running: int
    gpu_utilisation: float | None

    @property
    def total_milli(self) -> int:
        return sum(pool.total_milli for pool in self.pools)

    @property
    def allocated_milli(self) -> int:
        return sum(pool.allocated_milli for pool in self.pools)

    @property
    def free_milli(self) -> int:
        return sum(pool.free_milli for pool in self.pools)

    @property
    def idle(self) -> int | None:
        """GPUs that somebody holds and nobody uses; None where none is measured."""
        known = [pool.idle for pool in self.pools if pool.idle is not None]
        return sum(known) if known else None

    @property
    def nodes(self) -> int:
        return sum(pool.nodes for pool in self.pools)

    @property
    def ready_nodes(self) -> int:
        return sum(pool.ready_nodes for pool in self.pools)


def workload_metrics(*, actor: Actor, workload: Workload, types: Sequence[str], window: Window) -> list[Measurement]:
    """One measurement a type. Raises ``NotAllowed``, and ``Invalid`` for an unknown type or a wrong window."""
    metric_types.require_all(types, metric_types.WORKLOAD)
    _may_see(actor, scope_path_of(workload))
    return _lines(Subject(workload.cluster_id, samples.WORKLOAD, str(workload.pk)), types, window)


def pod_metrics(*, actor: Actor, pod: Pod, types: Sequence[str], window: Window) -> list[Measurement]:
    """``*_PER_GPU`` types give one measurement a device, with label ``gpu``."""
    metric_types.require_all(types, metric_types.POD)
    _may_see(actor, scope_path_of(pod))
    return _lines(Subject(pod.cluster_id, samples.POD, str(pod.uid)), types, window)


def node_metrics(*, actor: Actor, node: Node, types: Sequence[str], window: Window) -> list[Measurement]:
    """As ``pod_metrics``, for a node."""
    metric_types.require_all(types, metric_types.NODE)
    _may_see(actor, scope_path_of(node))
    return _lines(Subject(node.cluster_id, samples.NODE, node.name), types, window)


def cluster_metrics(
    *, actor: Actor, cluster: Cluster, types: Sequence[str], window: Window, node_pool: str = ""
) -> list[Measurement]:
    """Of a whole cluster, or of one of its node pools."""
    metric_types.require_all(types, metric_types.CLUSTER)
    _may_see(actor, scope_path_of(cluster))
    kind = samples.NODE_POOL if node_pool else samples.CLUSTER
    return _lines(Subject(cluster.pk, kind, node_pool), types, window)


def cluster_metrics_by_pool(
    *, actor: Actor, cluster: Cluster, types: Sequence[str], window: Window
) -> list[Measurement]:
    """One measurement a type and node pool, with label ``Nodepool``."""
    metric_types.require_all(types, metric_types.CLUSTER)
    _may_see(actor, scope_path_of(cluster))
    pools = sorted(cluster.node_pools.values_list("name", flat=True))
    subjects = [Subject(cluster.pk, samples.NODE_POOL, name) for name in pools]
    found = _read([(kind, subject) for kind in types for subject in subjects], window)
    return [Measurement(kind, found[kind, item], {"Nodepool": item.id}) for kind in types for item in subjects]


def overview(*, actor: Actor, cluster_ids: Iterable[UUID] | None = None) -> Overview:
    """Supply by node pool as last reported, use as last measured, and workloads that wait. Five queries."""
    clusters = Cluster.objects.visible_to(actor).present()
    workloads = Workload.objects.visible_to(actor).present()
    if cluster_ids is not None:
        clusters = clusters.filter(pk__in=list(cluster_ids))
    ids = list(clusters.values_list("pk", flat=True))
    workloads = workloads.filter(cluster_id__in=ids)
    idle = latest(metric="IDLE_ALLOCATED_GPUS", kind=samples.NODE_POOL, cluster_ids=ids)
    busy = latest(metric="GPU_UTILIZATION", kind=samples.NODE_POOL, cluster_ids=ids)
    pools = tuple(
        PoolUse(
            cluster_id=UUID(str(cluster_id)),
            name=name,
            nodes=row["nodes"],
            ready_nodes=row["ready"],
            total_milli=row["gpu_allocatable_milli"],
            allocated_milli=row["gpu_allocated_milli"],
            idle=_whole(idle.get(Subject(UUID(str(cluster_id)), samples.NODE_POOL, name))),
            utilisation=busy.get(Subject(UUID(str(cluster_id)), samples.NODE_POOL, name)),
        )
        for (cluster_id, name), row in sorted(_supply(ids).items(), key=lambda item: (str(item[0][0]), item[0][1]))
    )
    counts = workloads.impact()
    return Overview(
        pools=pools,
        pending=counts.get(Phase.PENDING, 0) + counts.get(Phase.CREATING, 0),
        running=counts.get(Phase.RUNNING, 0) + counts.get(Phase.DEGRADED, 0),
        gpu_utilisation=_weighted(pools),
    )


def _supply(cluster_ids: Sequence[UUID]) -> dict[tuple[object, str], dict[str, int]]:
    """How many GPUs a cluster has is for everybody who may see the cluster; which nodes they are is not."""
    return pool_supply(Node.objects.filter(cluster_id__in=cluster_ids))


def _weighted(pools: Sequence[PoolUse]) -> float | None:
    known = [pool for pool in pools if pool.utilisation is not None and pool.total_milli]
    total = sum(pool.total_milli for pool in known)
    return sum((pool.utilisation or 0.0) * pool.total_milli for pool in known) / total if total else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _may_see(actor: Actor, path: str) -> None:
    if not actor.allows(Action.METRICS_VIEW, path):
        raise NotAllowed(f"{actor.name} may not view metrics here; an administrator can grant a role that may.")


def _lines(subject: Subject, types: Sequence[str], window: Window) -> list[Measurement]:
    """Every type in one statement; one line a device for types per GPU."""
    lines: list[Line] = []
    for kind in types:
        lines += [(kind, item) for item in (_devices(subject, kind) if _per_gpu(kind) else [subject])]
    found = _read(lines, window)
    return [Measurement(k, found[k, item], {"gpu": item.device} if _per_gpu(k) else {}) for k, item in lines]


def _read(lines: Sequence[Line], window: Window) -> dict[Line, list[Point]]:
    return query_lines(lines=lines, start=window.start, end=window.end, points=window.points)


def _per_gpu(kind: str) -> bool:
    return kind.endswith(metric_types.PER_GPU)


def _devices(subject: Subject, kind: str) -> list[Subject]:
    names = devices(metric=kind, cluster_id=subject.cluster_id, kind=subject.kind, subject_id=subject.id)
    return [Subject(subject.cluster_id, subject.kind, subject.id, name) for name in names]
