"""What the operator does for the installation itself: definitions, the chart's configuration, Deployments of the roles.

Safe to repeat at any line: all is server-side apply of fixed names, and deletes carry the uid. Deployments are managed
only where the operator runs as one; processes elsewhere switch themselves (``agent.loops.switching``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

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
    """Rights of this release that the installation lacks: of the agent everywhere, of the agent in its own namespace,
    and of the roles that projects give to people. "" where it has all; what cannot be read is not complained about."""
    found = []
    for role in wire.cluster_roles():
        name = role["metadata"]["name"]
        of = "" if name == wire.SERVICE_ACCOUNT else f" in ClusterRole {name}"
        found += [f"{resource}{of}" for resource in _lacking(await _role_rules(kube, name), role["rules"])]
    own = _lacking(await _own_rules(kube, labels.NAMESPACE), wire.namespace_rules())
    found += [f"{resource} in namespace {labels.NAMESPACE}" for resource in own]
    return (
        f"rights of this release are missing on {', '.join(found)}; apply its manifest or chart again" if found else ""
    )


async def _role_rules(kube: Kube, name: str) -> list[Obj] | None:
    try:
        return (await kube.get(CLUSTER_ROLE, name)).get("rules") or []
    except (NotFound, Forbidden):
        return None


async def _own_rules(kube: Kube, namespace: str) -> list[Obj] | None:
    """What this account may do in a namespace, as the API server says; None where it does not know all."""
    ask = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "metadata": {}}
    try:
        status = (await kube.create(ask | {"spec": {"namespace": namespace}})).get("status") or {}
    except KubeError:
        return None
    return None if status.get("incomplete", True) else list(status.get("resourceRules") or ())


def _lacking(have: list[Obj] | None, wanted: list[Obj]) -> list[str]:
    """Resources of the rules that are wanted and not there; [] where nothing is known."""
    if have is None:
        return []
    missing = [rule for rule in wanted if not any(_covers(other, rule) for other in have)]
    return sorted({resource for rule in missing for resource in rule["resources"]})


def _covers(have: Obj, rule: Obj) -> bool:
    same_names = set(have.get("resourceNames") or ()) == set(rule.get("resourceNames") or ())
    return same_names and all(_within(rule[key], have.get(key) or ()) for key in ("apiGroups", "resources", "verbs"))


def _within(wanted: Iterable[str], have: Iterable[str]) -> bool:
    return "*" in have or set(wanted) <= set(have)


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
