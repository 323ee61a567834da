"""The kubelet's summary (``/stats/summary``): CPU and memory that a node and its pods use now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Use:
    """``cpu`` in cores, ``memory`` in bytes (the working set); None where the kubelet does not say."""

    cpu: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    node: str
    use: Use = Use()
    pods: Mapping[str, Use] = field(default_factory=dict)
    """By pod uid."""


def summary(data: Any) -> Summary:
    """Raises ``ValueError`` when the data is no summary; parts that are missing are None."""
    if not isinstance(data, dict) or not isinstance(data.get("node"), dict):
        raise ValueError("not a kubelet summary: field 'node' is missing")
    pods = {}
    for pod in data.get("pods") or ():
        uid = (pod.get("podRef") or {}).get("uid")
        if uid:
            pods[str(uid)] = _pod_use(pod)
    return Summary(str(data["node"].get("nodeName") or ""), _use(data["node"]), pods)


def _pod_use(pod: Mapping[str, Any]) -> Use:
    """The pod's own numbers, else the sum of its containers (older kubelets give only those)."""
    own = _use(pod)
    parts = [_use(container) for container in pod.get("containers") or ()]
    cpu = [part.cpu for part in parts if part.cpu is not None]
    memory = [part.memory for part in parts if part.memory is not None]
    found = Use(
        own.cpu if own.cpu is not None else (sum(cpu) if cpu else None),
        own.memory if own.memory is not None else (sum(memory) if memory else None),
    )
    # Whatever runs has memory: a kubelet that says 0 has not measured the pod yet.
    return found if found.memory != 0 else Use()


def _use(data: Mapping[str, Any]) -> Use:
    cpu = (data.get("cpu") or {}).get("usageNanoCores")
    memory = (data.get("memory") or {}).get("workingSetBytes")
    return Use(None if cpu is None else float(cpu) / 1e9, None if memory is None else int(memory))
