"""How the agent is in its cluster, from leases, nodes and pods: roles, dependencies with remedies, conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.operator.facts import moment, node_facts
from agent.wire import labels
from agent.wire.codec import to_dict
from agent.wire.reports import Condition, Dependency, RoleHealth

VERSION = "0.1.0"
ROLES = ("link", "operator", "scheduler", "metrics", "webhook", "activator")
LEASE_STALE = timedelta(seconds=20)

Manifest = Mapping[str, Any]


def role_health(leases: Iterable[Manifest], now: datetime, last: Manifest) -> tuple[RoleHealth, ...]:
    """One entry a role. A role lives while it renews its lease; ``since`` stays while that does not change."""
    by_name = {lease["metadata"]["name"]: lease.get("spec") or {} for lease in leases}
    before = {item.get("name"): item for item in last.get("roles") or ()}
    found = []
    for role in ROLES:
        spec: Manifest = by_name.get(f"runai-{role}") or {}
        renewed = moment(spec.get("renewTime"))
        healthy = bool(spec.get("holderIdentity")) and renewed is not None and now - renewed < LEASE_STALE
        if healthy:
            message = ""
        elif renewed is None:
            message = "it has not run in this cluster yet"
        else:
            message = f"it has not renewed its lease since {renewed:%Y-%m-%d %H:%M:%S} UTC"
        old: Manifest = before.get(role) or {}
        same = old.get("healthy") == healthy and old.get("since")
        found.append(RoleHealth(role, healthy, message, str(old["since"]) if same else _stamp(now)))
    return tuple(found)


def dependencies(nodes: Sequence[Manifest], pods: Sequence[Manifest]) -> tuple[Dependency, ...]:
    """What the platform needs or can use."""
    ready = [node for node in nodes if node_facts(node).ready]
    gpus = [node for node in nodes if str(_allocatable(node).get(labels.GPU_RESOURCE, "0")) not in ("0", "")]
    exporters = [pod for pod in pods if _label(pod, "app") == "nvidia-dcgm-exporter"]
    return (
        Dependency(
            "Ready nodes",
            required=True,
            available=bool(ready),
            message=f"{len(ready)} of {len(nodes)} nodes are ready",
            remedy="" if ready else "add a node, or look at its kubelet",
        ),
        Dependency(
            "NVIDIA device plugin",
            required=False,
            available=bool(gpus),
            message=f"{len(gpus)} of {len(nodes)} nodes offer {labels.GPU_RESOURCE}",
            remedy="" if gpus else "install the NVIDIA GPU Operator or its device plugin to schedule GPUs",
        ),
        Dependency(
            "DCGM exporter",
            required=False,
            available=bool(exporters),
            message=f"{len(exporters)} pods with label app=nvidia-dcgm-exporter",
            remedy="" if exporters else "install the DCGM exporter, or set RUNAI_DCGM_URL, to see how GPUs are used",
        ),
    )


def cluster_status(
    config: Manifest,
    roles: Sequence[RoleHealth],
    *,
    version: str,
    kubernetes_version: str,
    nodes: Sequence[Manifest],
    pods: Sequence[Manifest],
    pools: Iterable[str],
    now: datetime,
) -> dict[str, Any]:
    """The whole ``status`` of RunaiConfig. Equal facts give equal status."""
    found = dependencies(nodes, pods)
    missing = [item.name for item in found if item.required and not item.available]
    sick = [role.name for role in roles if not role.healthy]
    states = {
        "Available": (not sick, "RolesWork" if not sick else "RolesMissing", _list("not working: ", sick)),
        "DependenciesFulfilled": (not missing, "Found" if not missing else "Missing", _list("missing: ", missing)),
        "Ready": (not sick and not missing, "Ready" if not sick and not missing else "NotReady", ""),
    }
    before = {item.get("type"): item for item in (config.get("status") or {}).get("conditions") or ()}
    return {
        "phase": "Ready" if not sick and not missing else "NotReady",
        "observedGeneration": int(config["metadata"].get("generation") or 0),
        "version": version,
        "kubernetesVersion": kubernetes_version,
        "roles": [to_dict(role) for role in roles],
        "dependencies": [to_dict(item) for item in found],
        "nodePools": sorted({labels.DEFAULT_NODE_POOL, *pools}),
        "conditions": [to_dict(_condition(name, state, before.get(name) or {}, now)) for name, state in states.items()],
    }


def _condition(name: str, state: tuple[bool, str, str], old: Manifest, now: datetime) -> Condition:
    status = "True" if state[0] else "False"
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    return Condition(name, status, state[1], state[2], str(since) if since else _stamp(now))


def _list(head: str, names: Sequence[str]) -> str:
    return head + ", ".join(names) if names else ""


def _allocatable(node: Manifest) -> Manifest:
    return (node.get("status") or {}).get("allocatable") or {}


def _label(obj: Manifest, name: str) -> str:
    return str((obj["metadata"].get("labels") or {}).get(name) or "")


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
