"""What the operator does for the installation itself: definitions, the chart's configuration, Deployments of the roles.

Safe to repeat at any line: all is server-side apply of fixed names, and deletes carry the uid. Deployments are managed
only where the operator runs as one; processes elsewhere switch themselves (``agent.loops.switching``).
"""

from __future__ import annotations

import hashlib
import json

import structlog

from agent import crds
from agent.install import ensure_config
from agent.kube.errors import Conflict, Forbidden, KubeError, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import CLUSTER_ROLE, CONFIG_MAP, CRD, DEPLOYMENT, RUNAI_CONFIG
from agent.loops.reconcile_workload import MANAGER
from agent.operator import operands
from agent.operator.health import VERSION
from agent.operator.reconcile import Create, Delete, Patch, contains, reconcile
from agent.wire import install as wire
from agent.wire import labels
from agent.wire.config import ClusterConfig

log = structlog.get_logger(__name__)

DEFINITIONS_VERSION = "run.ai/definitions-version"
"""Annotation on our definitions: the release that wrote them last. An older one never takes them back."""
CHART_MANAGER = "runai-chart"
"""Values of the chart count when they change; what somebody edits in the RunaiConfig between two upgrades stays."""
CHART_HASH = "run.ai/chart-config-hash"


def version_of(text: str) -> tuple[int, ...]:
    """``1.2.3`` → (1, 2, 3); what is no number counts 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in text.split("-")[0].split("."))


async def upgrade_definitions(kube: Kube) -> str:
    """Bring the definitions of an installation up to this release. Answers what is in the way, or "".

    A cluster without any of ours is left alone: installing is not the operator's business.
    """
    have: dict[str, Obj] = {}
    for document in crds.documents():
        name = document["metadata"]["name"]
        try:
            have[name] = await kube.get(CRD, name)
        except NotFound:
            continue
        except Forbidden as error:
            return f"{error.message}; apply the manifest or chart of this release again"
    if not have:
        return ""
    for document in crds.documents():
        if trouble := await _upgrade(kube, document, have.get(document["metadata"]["name"])):
            return trouble
    return ""


async def _upgrade(kube: Kube, document: Obj, have: Obj | None) -> str:
    meta = document["metadata"]
    document = document | {"metadata": meta | {"annotations": {DEFINITIONS_VERSION: VERSION}}}
    if have is not None:
        theirs = (have["metadata"].get("annotations") or {}).get(DEFINITIONS_VERSION, "0")
        newer = version_of(theirs) > version_of(VERSION)
        if newer or have["metadata"].get("deletionTimestamp") or contains(have, document):
            return ""
    try:
        await kube.apply(document, manager=MANAGER)
        log.info("definition_upgraded", name=meta["name"], version=VERSION)
        return ""
    except Forbidden as error:
        return f"{error.message}; apply the manifest or chart of this release again"
    except KubeError as error:
        return f"{meta['name']}: {error.message}"


async def missing_rights(kube: Kube) -> str:
    """Rules of this release's ClusterRole that the installed one lacks; "" where it has all or cannot be read."""
    try:
        have = (await kube.get(CLUSTER_ROLE, wire.SERVICE_ACCOUNT)).get("rules") or []
    except (NotFound, Forbidden):
        return ""
    missing = [rule for rule in wire.agent_rules() if not any(_covers(other, rule) for other in have)]
    names = ", ".join(sorted({resource for rule in missing for resource in rule["resources"]}))
    return f"rights of this release are missing on {names}; apply its manifest or chart again" if missing else ""


def _covers(have: Obj, rule: Obj) -> bool:
    same_names = set(have.get("resourceNames") or ()) == set(rule.get("resourceNames") or ())
    return same_names and all(set(rule[key]) <= set(have.get(key) or ()) for key in ("apiGroups", "resources", "verbs"))


async def take_chart_values(kube: Kube) -> None:
    """Write the chart's values into the RunaiConfig when they have changed. Raises ``KubeError``."""
    try:
        data = (await kube.get(CONFIG_MAP, wire.CHART_CONFIG_MAP, labels.NAMESPACE)).get("data") or {}
    except NotFound:
        return
    text = str(data.get("spec") or "{}")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    try:
        have = await kube.get(RUNAI_CONFIG, wire.CONFIG_NAME, labels.NAMESPACE)
    except NotFound:
        await ensure_config(kube)
        have = {"metadata": {}}
    if (have["metadata"].get("annotations") or {}).get(CHART_HASH) == digest:
        return
    try:
        spec = json.loads(text)
    except ValueError as error:
        log.warning("chart_values_not_read", error=str(error))
        return
    obj = wire.runai_config()
    obj["metadata"]["annotations"] = {CHART_HASH: digest}
    await kube.apply(obj | {"spec": spec}, manager=CHART_MANAGER)
    log.info("chart_values_taken", hash=digest)


class Operands:
    """The Deployments of the roles. ``reconcile`` answers what there is; [] where nothing runs as a Deployment."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def reconcile(self, config: ClusterConfig, pools: list[str]) -> list[Obj]:
        """Raises ``KubeError``."""
        try:
            own = await self._kube.get(DEPLOYMENT, operands.OWN, labels.NAMESPACE)
        except (NotFound, Forbidden):
            return []
        part_of = ",".join(f"{key}={value}" for key, value in wire.PART_OF.items())
        have = (await self._kube.list(DEPLOYMENT, labels.NAMESPACE, labels=part_of)).items
        wanted = operands.deployments(config, own, pools, linked=await self._linked())
        for action in reconcile(wanted, have):
            match action:
                case Create(obj) | Patch(obj):
                    log.info("role_deployed", name=obj["metadata"]["name"])
                    await self._kube.apply(obj, manager=MANAGER)
                case Delete(_, namespace, name, uid):
                    log.info("role_removed", name=name)
                    await self._remove(name, namespace, uid)
        return have

    async def _remove(self, name: str, namespace: str, uid: str) -> None:
        try:
            await self._kube.delete(DEPLOYMENT, name, namespace, uid=uid, propagation="Background")
        except (NotFound, Conflict):
            return

    async def _linked(self) -> bool:
        try:
            await self._kube.get(CONFIG_MAP, wire.LINK_CONFIG_MAP, labels.NAMESPACE)
            return True
        except NotFound:
            return False
