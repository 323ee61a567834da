"""Manifests of GPU sharing: the reservation pod that holds a shared device towards the kubelet, and the ConfigMap that
tells a pod which device it got. Pure; ``agent.loops.reservations`` makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from agent.wire import labels as names
from agent.wire.install import RESERVATION_ACCOUNT

Obj = dict[str, Any]
CONTAINER = "reservation"
SIMULATED_IMAGE = "example.local/pause:1"
"""Only for nodes whose GPUs are simulated: their cluster brings this image."""
_CONFIG_MAP_MOST = 63


def reservation_name(node: str, group: str) -> str:
    """One name per node and group, so that making it twice is "already exists"."""
    return "gpu-reservation-" + hashlib.sha256(f"{node}/{group}".encode()).hexdigest()[:16]


def is_reservation(pod: Obj) -> bool:
    meta = pod["metadata"]
    return meta.get("namespace") == names.RESERVATION_NAMESPACE and names.GPU_GROUP in (meta.get("labels") or {})


def reservation_group(pod: Obj) -> tuple[str, str]:
    """(node, group) that a reservation pod is for."""
    return str((pod.get("spec") or {}).get("nodeName") or ""), str(pod["metadata"]["labels"][names.GPU_GROUP])


def reserved_device(pod: Obj) -> str:
    """The device that a reservation pod holds; "" until it is running and has said it."""
    running = (pod.get("status") or {}).get("phase") == "Running"
    annotations = pod["metadata"].get("annotations") or {}
    return str(annotations.get(names.RESERVED_DEVICE) or "") if running else ""


def is_simulated(node: Obj) -> bool:
    return (node["metadata"].get("labels") or {}).get(names.SIMULATED_GPUS) == "true"


def free_index(count: int, taken: Iterable[str], wish: str = "") -> str:
    """A device number for a simulated node: ``wish`` if it is free, else the highest free one; "" if none is."""
    used = set(taken)
    if wish and wish not in used:
        return wish
    return next((str(index) for index in range(count - 1, -1, -1) if str(index) not in used), "")


def reservation_pod(node: Obj, group: str, *, image: str, index: str = "") -> Obj:
    """Asks the kubelet of ``node`` for one whole device. ``index``: its number, where nobody there can find it out."""
    name = node["metadata"]["name"]
    labels = {names.GPU_GROUP: group, names.MANAGED_BY: names.MANAGED_BY_OPERATOR, "app": "runai-reservation"}
    one = {names.GPU_RESOURCE: "1"}
    container: Obj = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": one, "limits": one},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    if not index:
        field = {"fieldRef": {"fieldPath": "metadata.name"}}
        container |= {
            "command": ["python", "-m", "agent", "reserve"],
            "env": [{"name": "POD_NAME", "valueFrom": field}],
        }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": reservation_name(name, group),
            "namespace": names.RESERVATION_NAMESPACE,
            "labels": labels,
            "annotations": {names.RESERVED_DEVICE: index} if index else {},
        },
        "spec": {
            "nodeName": name,
            "serviceAccountName": RESERVATION_ACCOUNT,
            "automountServiceAccountToken": not index,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 0,
            "enableServiceLinks": False,
            "priorityClassName": "system-node-critical",
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
        },
    }


def config_map_name(pod: str) -> str:
    """Name of the ConfigMap of a pod: known before the pod is made, so that its environment can name it."""
    suffix = "-shared-gpu"
    if len(pod) + len(suffix) <= _CONFIG_MAP_MOST:
        return pod + suffix
    digest = hashlib.sha256(pod.encode()).hexdigest()[:8]
    return f"{pod[: _CONFIG_MAP_MOST - len(suffix) - 9].rstrip('-.')}-{digest}{suffix}"


def device_environment(config_map: str, notes: Mapping[str, str]) -> list[Obj]:
    """Variables of the container that uses the device: the kubelet waits for the ConfigMap, binding makes it.

    ``notes``: the pod's annotations; a limit beyond the request is told as it was given."""
    limits = {"GPU_PORTION_LIMIT": names.GPU_FRACTION_LIMIT, "GPU_MEMORY_LIMIT_MIB": names.GPU_MEMORY_LIMIT}
    told = [{"name": name, "value": notes[key]} for name, key in limits.items() if key in notes]
    return told + [
        {"name": name, "valueFrom": {"configMapKeyRef": {"name": config_map, "key": name}}}
        for name in ("NVIDIA_VISIBLE_DEVICES", "GPU_PORTION")
    ]


def device_config_map(pod: Obj, devices: Iterable[str], portion_milli: int) -> Obj | None:
    """Which devices the pod uses and how much of each; None for a pod that names no ConfigMap. Goes with its pod."""
    meta = pod["metadata"]
    name = (meta.get("annotations") or {}).get(names.SHARED_GPU_CONFIG_MAP)
    if not name:
        return None
    portion = f"{portion_milli / 1000:.3f}".rstrip("0").rstrip(".")
    owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": {names.MANAGED_BY: names.MANAGED_BY_OPERATOR},
            "ownerReferences": [owner],
        },
        "data": {"NVIDIA_VISIBLE_DEVICES": ",".join(devices), "GPU_PORTION": portion},
    }
