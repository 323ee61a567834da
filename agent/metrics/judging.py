"""What measurements mean for single pods: whose GPUs do nothing, and who uses more GPU memory than asked for. Pure.

An exporter measures devices, not pods. Of a device that one pod has, the use is the pod's; of one that several share,
it is known only together: then all of them are told that together they use too much, and none that it is idle while
one is busy. Where nothing was measured nothing is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.metrics.aggregate import IDLE_BELOW, PodFact
from agent.metrics.dcgm import Device

SLACK = 0.05
SLACK_MIB = 512
"""A CUDA context needs a few hundred MiB that nobody thinks of asking for: only what is beyond both is too much."""
SETTLED = timedelta(seconds=30)
"""GPUs are idle when they did nothing for a whole window of this length (runai-features section 3.3)."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Excess:
    """MiB that the pods of a device use and have asked for; ``pods`` of them share it."""

    used_mib: int
    asked_mib: int
    pods: int = 1

    @property
    def text(self) -> str:
        whose = "it uses" if self.pods == 1 else f"the {self.pods} pods on its device together use"
        return f"{whose} {self.used_mib} MiB of GPU memory, {self.asked_mib} MiB were asked for"


def attributed(devices: Iterable[Device], pods: Sequence[PodFact]) -> tuple[Device, ...]:
    """Devices with the pods that share them: the kubelet, and so the exporter, knows only the pod that reserves one."""
    told: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for pod in pods:
        for name in pod.gpu_devices:
            told[pod.node, name].append((pod.namespace, pod.name))
    found = []
    for device in devices:
        sharers = {*told.get((device.node, device.index), ()), *told.get((device.node, device.uuid or "-"), ())}
        found.append(replace(device, pods=tuple(sorted(sharers))) if sharers else device)
    return tuple(found)


def idle_pods(devices: Iterable[Device], pods: Sequence[PodFact]) -> dict[str, bool]:
    """Uid → whether all its devices do nothing, for running pods of which every device is measured."""
    use: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for device in devices:
        for pod in device.pods:
            use[pod].append(device.utilisation)
    found = {}
    for fact in pods:
        measured = use.get((fact.namespace, fact.name), [])
        if fact.running and fact.gpu_milli and measured and None not in measured:
            found[fact.uid] = all((value or 0.0) < IDLE_BELOW for value in measured)
    return found


def excesses(devices: Iterable[Device], pods: Sequence[PodFact]) -> dict[str, Excess]:
    """Uid → how far beyond, for pods on devices where more memory is used than was asked for. The worst device counts.

    A device that somebody has as a whole is theirs to fill."""
    known = {(fact.namespace, fact.name): fact for fact in pods if fact.gpu_memory_bytes}
    found: dict[str, Excess] = {}
    for device in devices:
        users = [known[pod] for pod in device.pods if pod in known]
        if device.memory_used is None or not users or len(users) < len(device.pods):
            continue
        asked = sum(_per_device(fact) for fact in users)
        whole = device.memory_total is not None and asked >= 0.99 * device.memory_total
        if whole or device.memory_used <= max(asked * (1 + SLACK), asked + SLACK_MIB * _MIB):
            continue
        excess = Excess(device.memory_used // _MIB, round(asked / _MIB), len(users))
        for fact in users:
            worst = found.get(fact.uid)
            if worst is None or excess.used_mib - excess.asked_mib > worst.used_mib - worst.asked_mib:
                found[fact.uid] = excess
    return found


def _per_device(fact: PodFact) -> float:
    return max(fact.gpu_memory_bytes, fact.gpu_memory_limit_bytes) / max(
        1, len(fact.gpu_devices) or round(fact.gpu_milli / 1000)
    )


def idle_since(
    known: Mapping[str, datetime], idle: Mapping[str, bool], now: datetime, started: Mapping[str, datetime]
) -> dict[str, datetime]:
    """Uid → since when its GPUs do nothing: the earlier moment stays while they do so; busy ones and those that are not
    measured begin anew. ``started``: when a pod was first seen idle, as its annotation has it after a restart."""
    return {uid: known.get(uid) or started.get(uid) or now for uid, nothing in idle.items() if nothing}


def gpu_use(devices: Iterable[Device], pods: Sequence[PodFact]) -> dict[str, float]:
    """Workload id → percent, the mean over the devices of its running pods."""
    running = {(fact.namespace, fact.name): fact.workload for fact in pods if fact.running and fact.workload}
    values: dict[str, list[float]] = defaultdict(list)
    for device in devices:
        for workload in {running[pod] for pod in device.pods if pod in running}:
            if device.utilisation is not None:
                values[workload].append(device.utilisation)
    return {workload: sum(found) / len(found) for workload, found in values.items()}
