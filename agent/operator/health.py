"""How the agent is in its cluster, from leases, nodes and pods: roles, dependencies with remedies, conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.operator.facts import moment, node_facts
from agent.wire import labels
from agent.wire.codec import to_dict
from agent.wire.config import ROLES
from agent.wire.reports import Condition, Dependency, RoleHealth

VERSION = "0.1.0"
LEASE_STALE = timedelta(seconds=20)

Manifest = Mapping[str, Any]


OFF = "switched off in the RunaiConfig"


def role_health(
    leases: Iterable[Manifest], now: datetime, last: Manifest, enabled: Mapping[str, bool] | None = None
) -> tuple[RoleHealth, ...]:
    """One entry a role. A role lives while it renews its lease, of several (one a node pool) each its own; ``since``
    stays while that does not change. One that is switched off is well as it is."""
    by_name = {lease["metadata"]["name"]: lease.get("spec") or {} for lease in leases}
    before = {item.get("name"): item for item in last.get("roles") or ()}
    found = []
    for role in ROLES:
        healthy, renewed = _alive(by_name, role, now)
        if (enabled or {}).get(role) is False:
            healthy, message = True, OFF
        elif healthy:
            message = ""
        elif renewed is None:
            message = "it has not run in this cluster yet"
        else:
            message = f"it has not renewed its lease since {renewed:%Y-%m-%d %H:%M:%S} UTC"
        old: Manifest = before.get(role) or {}
        same = old.get("healthy") == healthy and old.get("since")
        found.append(RoleHealth(role, healthy, message, str(old["since"]) if same else _stamp(now)))
    return tuple(found)


def _alive(leases: Mapping[str, Manifest], role: str, now: datetime) -> tuple[bool, datetime | None]:
    """Whether all that hold a lease of the role renew it, and when the last was renewed. A released lease is nobody's;
    where there is one for each node pool, the one for all is from before."""
    parts = [lease for name, lease in leases.items() if name.startswith(f"runai-{role}-")]
    held = [lease for lease in parts if lease.get("holderIdentity")]
    chosen = held or [leases.get(f"runai-{role}") or {}]
    times = [moment(lease.get("renewTime")) for lease in chosen]
    alive = all(lease.get("holderIdentity") for lease in chosen) and all(
        at is not None and now - at < LEASE_STALE for at in times
    )
    return alive, min((at for at in times if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else is installed. ``kinds``: names of definitions; ``ingress_classes``: how many there are."""

    kinds: frozenset[str] = frozenset()
    ingress_classes: int = 0


GPU_OPERATOR = "clusterpolicies.nvidia.com"
PROMETHEUS = "prometheuses.monitoring.coreos.com"
GATEWAY = "httproutes.gateway.networking.k8s.io"
KNATIVE = "services.serving.knative.dev"
KUBEFLOW = ("pytorchjobs.kubeflow.org", "mpijobs.kubeflow.org", "trainjobs.trainer.kubeflow.org")
OTHERS = (GPU_OPERATOR, PROMETHEUS, GATEWAY, KNATIVE, *KUBEFLOW)
"""Definitions whose presence says that their operator is installed."""


def dependencies(
    nodes: Sequence[Manifest], pods: Sequence[Manifest], around: Surroundings | None = None
) -> tuple[Dependency, ...]:
    """What the platform needs or can use."""
    return (*_hardware(nodes, pods), *_software(around or Surroundings()))


def _software(around: Surroundings) -> list[Dependency]:
    kinds = around.kinds
    table = [
        ("NVIDIA GPU Operator", GPU_OPERATOR in kinds, "install it to have drivers and MIG managed"),
        ("Prometheus Operator", PROMETHEUS in kinds, "install it to scrape the agent's own metrics"),
        ("Ingress controller", bool(around.ingress_classes), "install one to reach exposed ports by host name"),
        ("Gateway API", GATEWAY in kinds, "install it to reach exposed ports by HTTPRoute"),
        ("Knative Serving", KNATIVE in kinds, "not needed: inference workloads run without it"),
        (
            "Kubeflow training operator",
            any(kind in kinds for kind in KUBEFLOW),
            "not needed, unless you submit its kinds",
        ),
    ]
    return [
        Dependency(
            name,
            required=False,
            available=there,
            message="installed" if there else "not installed",
            remedy="" if there else remedy,
        )
        for name, there, remedy in table
    ]


def _hardware(nodes: Sequence[Manifest], pods: Sequence[Manifest]) -> tuple[Dependency, ...]:
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
    around: Surroundings | None = None,
    operands: Sequence[Mapping[str, Any]] = (),
    troubles: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The whole ``status`` of RunaiConfig. Equal facts give equal status. ``troubles``: condition → what is wrong."""
    found = dependencies(nodes, pods, around)
    missing = [item.name for item in found if item.required and not item.available]
    sick = [role.name for role in roles if not role.healthy]
    sick += [
        item["name"] for item in operands if not item["healthy"] and item["name"].removeprefix("runai-") not in sick
    ]
    states = {
        "Available": (not sick, "RolesWork" if not sick else "RolesMissing", _list("not working: ", sick)),
        "DependenciesFulfilled": (not missing, "Found" if not missing else "Missing", _list("missing: ", missing)),
        "Ready": (not sick and not missing, "Ready" if not sick and not missing else "NotReady", ""),
    }
    states |= {name: (not text, "Good" if not text else "Wrong", text) for name, text in (troubles or {}).items()}
    before = {item.get("type"): item for item in (config.get("status") or {}).get("conditions") or ()}
    return {
        "phase": "Ready" if not sick and not missing else "NotReady",
        "message": "; ".join(state[2] for state in states.values() if not state[0] and state[2]),
        "operands": [dict(item) for item in operands],
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
