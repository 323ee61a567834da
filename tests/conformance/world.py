"""A recorded scenario as a snapshot: reads inputs only, keeps the state of tasks from one round to the next.

Form of the files: the README beside the recordings. Times are relative to NOW; names of jobs are group names.
"""

import gzip
import json
import re
from dataclasses import dataclass, field

from agent.domain.constraints import Constraints, NodeTerm, PodTerm, Requirement
from agent.domain.groups import PodGroup, Preemptibility, SubGroup, TopologyConstraint
from agent.domain.nodes import DeviceClaim, DeviceSlice, Node, NodePool, NumaZone, Topology
from agent.domain.pods import Pod, PodStatus, Request
from agent.domain.quantities import MILLI, NANOSECONDS
from agent.domain.queues import Queue, Share
from agent.scheduler.snapshot import Config, Snapshot

NOW = 1_800_000_000 * NANOSECONDS
STATUS = {status.label: status for status in PodStatus}
MIG = "nvidia.com/mig-"
PLAIN = {"cpu", "memory", "gpu", "pods"}


def load(path: str) -> dict:
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt") as file:
        return json.load(file)


@dataclass
class Task:
    """What one pod is at the moment; ``fixed`` holds everything that never changes."""

    name: str
    job: str
    fixed: dict
    status: PodStatus
    node: str = ""
    groups: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    leaves: tuple[str, tuple[str, ...]] | None = None


@dataclass
class World:
    """A scenario between rounds."""

    nodes: tuple[Node, ...]
    queues: tuple[Queue, ...]
    jobs: list[dict]
    topologies: tuple[Topology, ...]
    pools: tuple[NodePool, ...]
    config: Config
    slices: tuple[DeviceSlice, ...] = ()
    claims: tuple[DeviceClaim, ...] = ()
    tasks: dict[str, Task] = field(default_factory=dict)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            nodes=self.nodes,
            queues=self.queues,
            groups=tuple(self._group(job) for job in self.jobs),
            pods=tuple(self._pod(task) for task in self.tasks.values()),
            pools=self.pools,
            topologies=self.topologies,
            slices=self.slices,
            claims=self.claims,
        )

    def _group(self, job: dict) -> PodGroup:
        allocated = (PodStatus.RUNNING, PodStatus.BOUND, PodStatus.BINDING, PodStatus.ALLOCATED)
        started = any(self.tasks[name].status in allocated for name in job["tasks"])
        return PodGroup(
            namespace=job["namespace"],
            name=job["name"],
            uid=job["name"],
            queue=job["queue"],
            priority=job["priority"],
            preemptibility=Preemptibility.PREEMPTIBLE if job["preemptible"] else Preemptibility.NON_PREEMPTIBLE,
            created=NOW - int(job["age"] * NANOSECONDS),
            root=job["root"],
            last_start=NOW - 60 * NANOSECONDS if started else None,
            stale_since=None if job["stale"] is None else NOW - job["stale"],
            preemption_delay=job["preemption_delay"],
            staleness_grace=job["staleness_grace"],
        )

    def _pod(self, task: Task) -> Pod:
        return Pod(
            uid=task.name,
            status=task.status,
            node=task.node,
            gpu_groups=task.groups,
            numa_zones=task.zones,
            **task.fixed,
        )


def duration(text: str | None) -> int | None:
    """ "10s", "1m30s", "-1s", "250ms" in nanoseconds."""
    if not text:
        return None
    units = {"h": 3600 * NANOSECONDS, "m": 60 * NANOSECONDS, "s": NANOSECONDS, "ms": NANOSECONDS // 1000}
    sign = -1 if text.startswith("-") else 1
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", text)
    return sign * sum(int(float(number) * units[unit]) for number, unit in parts)


def constraint_of(spec: dict | None) -> TopologyConstraint | None:
    if not spec or not spec.get("Topology"):
        return None
    return TopologyConstraint(spec["Topology"], spec.get("RequiredLevel") or "", spec.get("PreferredLevel") or "")


def tree_of(spec: dict) -> SubGroup:
    """A sub-group set; a single unconstrained pod set at the top becomes the root itself."""
    leaves = [
        SubGroup(one["Name"], one.get("MinAvailable") or 0, topology=constraint_of(one.get("TopologyConstraint")))
        for one in spec.get("PodSets") or []
    ]
    groups = [tree_of(one) for one in spec.get("Groups") or []]
    topology = constraint_of(spec.get("TopologyConstraint"))
    return SubGroup(
        spec.get("Name") or "",
        children=tuple(leaves + groups),
        min_subgroup=spec.get("MinSubGroup"),
        topology=topology,
    )


def request_of(resolved: dict, claims: tuple[str, ...], claim_gpus: int = 0) -> Request:
    vector = resolved["request"]
    kind = resolved["request_type"]
    mig = tuple(sorted((name, count) for name, count in vector.items() if name.startswith(MIG)))
    extended = tuple(
        sorted((name, count) for name, count in vector.items() if name not in PLAIN and not name.startswith(MIG))
    )
    shared = kind in ("Fraction", "GpuMemory")
    return Request(
        cpu=vector.get("cpu", 0),
        memory=vector.get("memory", 0),
        gpus=0 if shared or mig else max(round(vector.get("gpu", 0)) - claim_gpus, 0),
        gpu_fraction=round(resolved["gpu_portion"] * MILLI) if kind == "Fraction" else 0,
        gpu_memory=resolved.get("gpu_memory_mib", 0) if kind == "GpuMemory" else 0,
        gpu_devices=max(resolved.get("gpu_devices", 1), 1) if shared else 1,
        mig=mig,
        extended=extended,
        claims=claims,
    )


def _expressions(selector: dict | None) -> tuple[Requirement, ...]:
    selector = selector or {}
    plain = [Requirement(key, "In", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    others = [
        Requirement(one["key"], one["operator"], tuple(one.get("values") or ()))
        for one in selector.get("matchExpressions") or []
    ]
    return tuple(plain + others)


def _pod_terms(affinity: dict | None) -> tuple[PodTerm, ...]:
    return tuple(
        PodTerm(one["topologyKey"], _expressions(one.get("labelSelector")), tuple(one.get("namespaces") or ()))
        for one in (affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []
    )


def _preferred_pods(affinity: dict | None) -> tuple[tuple[int, PodTerm], ...]:
    found = []
    for one in (affinity or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or []:
        term = one["podAffinityTerm"]
        found.append((one["weight"], PodTerm(term["topologyKey"], _expressions(term.get("labelSelector")))))
    return tuple(found)


def constraints_of(affinity: dict | None, selector: dict | None = None) -> Constraints:
    affinity = affinity or {}
    node = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = tuple(NodeTerm(_expressions(one)) for one in node.get("nodeSelectorTerms") or [])
    return Constraints(
        node_selector=tuple(sorted((selector or {}).items())),
        node_affinity=terms,
        pod_affinity=_pod_terms(affinity.get("podAffinity")),
        pod_anti_affinity=_pod_terms(affinity.get("podAntiAffinity")),
        preferred_pods=_preferred_pods(affinity.get("podAffinity")),
    )


def queue_of(spec: dict) -> Queue:
    """A resolved queue; GPUs become milli-GPU."""
    resources = spec["resources"]

    def share(name: str, scale: int) -> Share:
        one = resources[name]
        return Share(
            *(round(one[key] * scale) if one[key] >= 0 else -1 for key in ("deserved", "limit")),
            weight=max(round(one["overQuotaWeight"] * MILLI), -1),
        )

    return Queue(
        name=spec["name"],
        parent=spec["parent"],
        priority=spec["priority"],
        created=NOW + int(spec["created_offset_seconds"] * NANOSECONDS),
        gpu=share("gpu", MILLI),
        cpu=share("cpu", 1),
        memory=share("memory", 1_000_000),
        preempt_min_runtime=duration(spec.get("preemptMinRuntime")),
        reclaim_min_runtime=duration(spec.get("reclaimMinRuntime")),
    )


def zones_of(spec: dict | None) -> tuple[NumaZone, ...]:
    return tuple(
        NumaZone(zone["ID"], dict(zone.get("Allocatable") or {}), dict(zone.get("Available") or {}))
        for zone in (spec or {}).get("Zones") or []
    )


def node_of(name: str, resolved: dict, raw: dict, slice_gpus: int = 0) -> Node:
    amounts = resolved["allocatable"]
    numa = raw.get("NumaTopology") or {}
    return Node(
        name=name,
        cpu=amounts.get("cpu", 0),
        memory=amounts.get("memory", 0),
        gpus=round(amounts.get("gpu", 0)) - slice_gpus,
        gpu_memory=0 if raw.get("GpuMemorySynced") is False else resolved["gpu_memory_mib"],
        max_pods=min(amounts.get("pods", 0), resolved.get("max_tasks") or amounts.get("pods", 0)),
        labels=resolved["labels"],
        mig=tuple(sorted((key, count) for key, count in amounts.items() if key.startswith(MIG))),
        mig_strategy=raw.get("MigStrategy") or "",
        extended=tuple(
            sorted((key, count) for key, count in amounts.items() if key not in PLAIN and not key.startswith(MIG))
        ),
        numa_policy=numa.get("Policy") or "",
        numa_scope=numa.get("Scope") or "",
        numa_zones=zones_of(numa),
    )
