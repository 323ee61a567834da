"""Readings of NVIDIA's DCGM exporter: how much each GPU is used, and by which pod."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.metrics.exposition import Reading

UTILISATION = "DCGM_FI_DEV_GPU_UTIL"
MEMORY_USED = "DCGM_FI_DEV_FB_USED"
MEMORY_FREE = "DCGM_FI_DEV_FB_FREE"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU at one moment. ``pods`` are (namespace, name) of those the exporter names; None: not reported."""

    node: str
    index: str
    utilisation: float | None = None
    """Percent."""
    memory_used: int | None = None
    """Bytes."""
    memory_total: int | None = None
    pods: tuple[tuple[str, str], ...] = ()
    uuid: str = ""


def devices(readings: Iterable[Reading], node: str = "") -> tuple[Device, ...]:
    """Devices by node and index. ``node``: where the exporter runs, for readings that do not name their host.

    A shared GPU has a line for each of its pods, all with the device's own value.
    """
    values: dict[tuple[str, str], dict[str, float]] = {}
    pods: dict[tuple[str, str], set[tuple[str, str]]] = {}
    uuids: dict[tuple[str, str], str] = {}
    for reading in readings:
        if reading.name not in (UTILISATION, MEMORY_USED, MEMORY_FREE) or "gpu" not in reading.labels:
            continue
        if reading.labels.get("GPU_I_ID"):  # a slice of a device: its own line would count the device twice
            continue
        key = (reading.labels.get("Hostname") or node, reading.labels["gpu"])
        values.setdefault(key, {})[reading.name] = reading.value
        uuids[key] = reading.labels.get("UUID", "")
        if (pod := _pod(reading.labels)) is not None:
            pods.setdefault(key, set()).add(pod)
    return tuple(_device(key, found, pods.get(key, set()), uuids[key]) for key, found in sorted(values.items()))


def _pod(labels: dict[str, str]) -> tuple[str, str] | None:
    name = labels.get("exported_pod") or labels.get("pod")
    namespace = labels.get("exported_namespace") or labels.get("namespace")
    return (namespace, name) if name and namespace else None


def _device(key: tuple[str, str], values: dict[str, float], pods: set[tuple[str, str]], uuid: str) -> Device:
    used, free = values.get(MEMORY_USED), values.get(MEMORY_FREE)
    return Device(
        node=key[0],
        index=key[1],
        utilisation=values.get(UTILISATION),
        memory_used=None if used is None else round(used * _MIB),
        memory_total=None if used is None or free is None else round((used + free) * _MIB),
        pods=tuple(sorted(pods)),
        uuid=uuid,
    )
