"""The Deployments of the roles, made from the operator's own: same image, rights and settings, another role. Pure.

The chart installs the operator alone; what else runs is what the RunaiConfig says. They have the operator's Deployment
as their owner, so an uninstall takes them along.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.operator.names import bounded
from agent.wire import labels
from agent.wire.config import ALWAYS_ON, ROLES, ClusterConfig
from agent.wire.install import PART_OF

Object = dict[str, Any]
Manifest = Mapping[str, Any]
OWN = "runai-operator"
"""Name of the operator's Deployment."""
COMPONENT = "app.kubernetes.io/component"
HASH = "run.ai/template-hash"
"""Annotation: what was wanted last. A setting that is taken back leaves no other trace."""
POOLS_VARIABLE = "RUNAI_AGENT_NODE_POOLS"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"


def deployments(config: ClusterConfig, own: Manifest, pools: Sequence[str], *, linked: bool) -> list[Object]:
    """One Deployment per role that is on; of the scheduler one per node pool where it is sharded.

    ``own``: the operator's Deployment. ``linked``: whether a control plane is known; without one there is no link role.
    """
    found = []
    for role in ROLES:
        if role in ALWAYS_ON or not config.roles.of(role).enabled or (role == "link" and not linked):
            continue
        if role == "scheduler" and config.scheduler.shards == "node-pool":
            found += [_deployment(config, own, role, pool) for pool in sorted({labels.DEFAULT_NODE_POOL, *pools})]
        else:
            found.append(_deployment(config, own, role, ""))
    return found


def _deployment(config: ClusterConfig, own: Manifest, role: str, pool: str) -> Object:
    marks = {**PART_OF, COMPONENT: role} | ({labels.NODE_POOL: pool} if pool else {})
    template = _template(config, own, role, pool, marks)
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16]
    meta = own["metadata"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": bounded(f"runai-{role}-{pool}" if pool else f"runai-{role}"),
            "namespace": meta["namespace"],
            "labels": {**marks, labels.MANAGED_BY: labels.MANAGED_BY_OPERATOR},
            "annotations": {HASH: digest},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": OWN, "uid": meta["uid"]}],
        },
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate" if role == "scheduler" else "RollingUpdate"},
            "selector": {"matchLabels": marks},
            "template": template,
        },
    }


def _template(config: ClusterConfig, own: Manifest, role: str, pool: str, marks: Mapping[str, str]) -> Object:
    first = copy.deepcopy(own["spec"]["template"])
    notes = {key: value for key, value in (first["metadata"].get("annotations") or {}).items() if key != _RESTARTED}
    spec: Object = first["spec"]
    container = spec["containers"][0]
    container["command"] = ["python", "-m", "agent", role]
    container.pop("args", None)
    if resources := config.roles.of(role).resources:
        container["resources"] = resources
    if pool:
        rest = [item for item in container.get("env") or () if item.get("name") != POOLS_VARIABLE]
        container["env"] = [*rest, {"name": POOLS_VARIABLE, "value": pool}]
    if role == "webhook":
        container["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 2}
    selector = {**(spec.get("nodeSelector") or {}), **(config.node_selector or {})}
    selector |= config.roles.of(role).node_selector or {}
    if selector:
        spec["nodeSelector"] = selector
    return {"metadata": {"labels": dict(marks)} | ({"annotations": notes} if notes else {}), "spec": spec}


def operands(found: Iterable[Manifest]) -> list[Object]:
    """What the status says about the Deployments of the roles, the operator's included."""
    return [_operand(obj) for obj in sorted(found, key=lambda obj: str(obj["metadata"]["name"]))]


def _operand(obj: Manifest) -> Object:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    wanted, ready = int(spec.get("replicas", 1)), int(status.get("readyReplicas") or 0)
    current = int(status.get("observedGeneration") or 0) >= int(obj["metadata"].get("generation") or 0)
    healthy = ready >= wanted and current
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or [{}]
    return {
        "kind": "Deployment",
        "name": obj["metadata"]["name"],
        "image": str(containers[0].get("image") or ""),
        "ready": f"{ready}/{wanted}",
        "healthy": healthy,
        "message": "" if healthy else _trouble(status, ready, wanted),
    }


def _trouble(status: Manifest, ready: int, wanted: int) -> str:
    for condition in status.get("conditions") or ():
        bad = (condition.get("type"), condition.get("status")) in (("ReplicaFailure", "True"), ("Progressing", "False"))
        if bad and condition.get("message"):
            return str(condition["message"])[:300]
    return f"{ready} of {wanted} pods are ready"
