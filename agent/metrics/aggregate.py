"""One tick: what was measured, joined to nodes, pods and workloads, as samples. What is not measured has no sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agent.metrics.dcgm import Device
from agent.metrics.kubelet import Summary, Use
from agent.wire.samples import CLUSTER, NODE, NODE_POOL, POD, PROJECT, WORKLOAD, Sample

T = TypeVar("T")

IDLE_BELOW = 1.0
"""An allocated GPU with less use than this (percent) is idle."""
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class NodeFact:
    """A node as the API has it: allocatable amounts in milli-CPU, bytes and whole GPUs."""

    name: str
    pool: str
    gpus: int = 0
    gpu_memory_mib: int = 0
    cpu_milli: int = 0
    memory: int = 0
    ready: bool = True


@dataclass(frozen=True, slots=True)
class PodFact:
    """A pod of a workload or of a project, bound to a node and not finished."""

    uid: str
    namespace: str
    name: str
    node: str
    workload: str = ""
    """Workload id; "" for pods of nobody's workload."""
    project: str = ""
    running: bool = False
    gpu_milli: int = 0
    gpu_memory_bytes: int = 0
    """Memory of its devices that it asked for."""
    cpu_milli: int = 0
    cpu_limit_milli: int = 0
    memory: int = 0
    memory_limit: int = 0
    gpu_memory_limit_bytes: int = 0
    """Memory of its devices that it may use; 0: what it asked for."""
    gpu_devices: tuple[str, ...] = ()
    """Shared devices it was given, by index or UUID."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Everything known at ``at_ms``. ``waiting``: workload id → pods that have no node yet."""

    at_ms: int
    nodes: Sequence[NodeFact] = ()
    pods: Sequence[PodFact] = ()
    waiting: Mapping[str, int] | None = None
    devices: Sequence[Device] = ()
    summaries: Sequence[Summary] = ()


class _Samples:
    """Collects samples of one moment; ``None`` is not measured and adds nothing."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms
        self.found: list[Sample] = []

    def add(self, kind: str, subject: str, metric: str, value: float | None, device: str = "") -> None:
        if value is not None:
            self.found.append(Sample(metric, kind, subject, self.at_ms, float(value), device))


def samples(tick: Tick) -> tuple[Sample, ...]:
    """All samples of a tick, in a fixed order of subjects."""
    out = _Samples(tick.at_ms)
    by_node = _group(tick.devices, lambda device: device.node)
    use_of_node = {summary.node: summary.use for summary in tick.summaries}
    use_of_pod = {uid: use for summary in tick.summaries for uid, use in summary.pods.items()}
    devices_of = _devices_of_pods(tick.devices)
    held: dict[str, int] = defaultdict(int)
    for pod in tick.pods:
        held[pod.node] += pod.gpu_milli
    for node in tick.nodes:
        _node(out, node, by_node.get(node.name, []), use_of_node.get(node.name, Use()), held[node.name])
    for pod in tick.pods:
        if pod.workload:
            _pod(out, pod, devices_of.get((pod.namespace, pod.name), []), use_of_pod.get(pod.uid, Use()))
    _workloads(out, tick, devices_of, use_of_pod)
    _projects(out, tick.pods)
    _totals(out, tick, by_node, use_of_node, held)
    return tuple(out.found)


def _node(out: _Samples, node: NodeFact, devices: Sequence[Device], use: Use, allocated: int) -> None:
    _gpu(out, NODE, node.name, devices)
    out.add(NODE, node.name, "ALLOCATED_GPU", allocated / 1000 if node.gpus else None)
    out.add(NODE, node.name, "CPU_USAGE_CORES", use.cpu)
    out.add(NODE, node.name, "CPU_MEMORY_USAGE_BYTES", use.memory)
    out.add(NODE, node.name, "CPU_UTILIZATION", _percent(use.cpu, node.cpu_milli / 1000))
    out.add(NODE, node.name, "CPU_MEMORY_UTILIZATION", _percent(use.memory, node.memory))


def _pod(out: _Samples, pod: PodFact, devices: Sequence[Device], use: Use) -> None:
    _gpu(out, POD, pod.uid, devices)
    out.add(POD, pod.uid, "CPU_USAGE_CORES", use.cpu)
    out.add(POD, pod.uid, "CPU_MEMORY_USAGE_BYTES", use.memory)


def _gpu(out: _Samples, kind: str, subject: str, devices: Sequence[Device]) -> None:
    """Per device and over all devices of the subject."""
    for device in devices:
        out.add(kind, subject, "GPU_UTILIZATION_PER_GPU", device.utilisation, device.index)
        out.add(kind, subject, "GPU_MEMORY_USAGE_BYTES_PER_GPU", device.memory_used, device.index)
        share = _percent(device.memory_used, device.memory_total or 0)
        out.add(kind, subject, "GPU_MEMORY_UTILIZATION_PER_GPU", share, device.index)
    _gpu_totals(out, kind, subject, devices)


def _gpu_totals(out: _Samples, kind: str, subject: str, devices: Sequence[Device]) -> None:
    used = _sum(device.memory_used for device in devices)
    out.add(kind, subject, "GPU_UTILIZATION", _mean(device.utilisation for device in devices))
    out.add(kind, subject, "GPU_MEMORY_USAGE_BYTES", used)
    total = sum(device.memory_total or 0 for device in devices)
    out.add(kind, subject, "GPU_MEMORY_UTILIZATION", _percent(used, total))


def _workloads(
    out: _Samples,
    tick: Tick,
    devices_of: Mapping[tuple[str, str], Sequence[Device]],
    use_of_pod: Mapping[str, Use],
) -> None:
    by_workload = _group([pod for pod in tick.pods if pod.workload], lambda pod: pod.workload)
    waiting = tick.waiting or {}
    for workload in sorted({*by_workload, *waiting}):
        pods = by_workload.get(workload, [])
        devices = {(d.node, d.index): d for pod in pods for d in devices_of.get((pod.namespace, pod.name), ())}
        uses = [use_of_pod.get(pod.uid, Use()) for pod in pods]
        _gpu_totals(out, WORKLOAD, workload, list(devices.values()))
        facts = {
            "CPU_USAGE_CORES": _sum(use.cpu for use in uses),
            "CPU_MEMORY_USAGE_BYTES": _sum(use.memory for use in uses),
            "POD_COUNT": len(pods) + waiting.get(workload, 0),
            "RUNNING_POD_COUNT": sum(pod.running for pod in pods),
            "GPU_ALLOCATION": sum(pod.gpu_milli for pod in pods) / 1000,
            "GPU_MEMORY_REQUEST_BYTES": sum(pod.gpu_memory_bytes for pod in pods) or None,
            "CPU_REQUEST_CORES": sum(pod.cpu_milli for pod in pods) / 1000 or None,
            "CPU_LIMIT_CORES": sum(pod.cpu_limit_milli for pod in pods) / 1000 or None,
            "CPU_MEMORY_REQUEST_BYTES": sum(pod.memory for pod in pods) or None,
            "CPU_MEMORY_LIMIT_BYTES": sum(pod.memory_limit for pod in pods) or None,
        }
        for metric, value in facts.items():
            out.add(WORKLOAD, workload, metric, value)


def _projects(out: _Samples, pods: Sequence[PodFact]) -> None:
    for project, own in sorted(_group([pod for pod in pods if pod.project], lambda pod: pod.project).items()):
        out.add(PROJECT, project, "GPU_ALLOCATION", sum(pod.gpu_milli for pod in own) / 1000)
        out.add(PROJECT, project, "CPU_ALLOCATION_MILLICORES", sum(pod.cpu_milli for pod in own))
        out.add(PROJECT, project, "CPU_MEMORY_ALLOCATION_MB", sum(pod.memory for pod in own) / _MB)


def _totals(
    out: _Samples,
    tick: Tick,
    by_node: Mapping[str, Sequence[Device]],
    use_of_node: Mapping[str, Use],
    held: Mapping[str, int],
) -> None:
    """The cluster and each node pool."""
    pools = _group(tick.nodes, lambda node: node.pool)
    groups = [(CLUSTER, "", tick.nodes), *((NODE_POOL, name, nodes) for name, nodes in sorted(pools.items()))]
    for kind, subject, nodes in groups:
        devices = [device for node in nodes for device in by_node.get(node.name, ())]
        used = [(node, use_of_node[node.name]) for node in nodes if node.name in use_of_node]
        gpus, allocated = sum(node.gpus for node in nodes), sum(held.get(node.name, 0) for node in nodes) / 1000
        _gpu_totals(out, kind, subject, devices)
        out.add(kind, subject, "TOTAL_GPU", gpus)
        out.add(kind, subject, "TOTAL_GPU_NODES", sum(1 for node in nodes if node.gpus))
        out.add(kind, subject, "ALLOCATED_GPU", allocated)
        out.add(kind, subject, "UNALLOCATED_GPU", max(0.0, gpus - allocated))
        out.add(kind, subject, "IDLE_ALLOCATED_GPUS", _idle(devices))
        cores = sum(node.cpu_milli for node, _ in used) / 1000
        out.add(kind, subject, "CPU_UTILIZATION", _percent(_sum(use.cpu for _, use in used), cores))
        memory = sum(node.memory for node, _ in used)
        out.add(kind, subject, "CPU_MEMORY_UTILIZATION", _percent(_sum(use.memory for _, use in used), memory))


def _idle(devices: Sequence[Device]) -> int | None:
    """Devices that a pod holds and does not use; None where no device is measured."""
    known = [device for device in devices if device.utilisation is not None]
    if not known:
        return None
    return sum(1 for device in known if device.pods and (device.utilisation or 0.0) < IDLE_BELOW)


def _devices_of_pods(devices: Sequence[Device]) -> dict[tuple[str, str], list[Device]]:
    found: dict[tuple[str, str], list[Device]] = defaultdict(list)
    for device in devices:
        for pod in device.pods:
            found[pod].append(device)
    return found


def _group(items: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _percent(part: float | None, whole: float) -> float | None:
    return None if part is None or whole <= 0 else 100 * part / whole
