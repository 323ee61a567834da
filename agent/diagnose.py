"""``python -m agent diagnose``: looks at a cluster before (or after) the install; changes nothing in it."""

from __future__ import annotations

import json
import ssl
from typing import Any

import aiohttp

from agent import crds
from agent.kube.errors import KubeError
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import ACCESS_REVIEW, CONFIG_MAP, CRD, NAMESPACE, NODE, POD, STORAGE_CLASS, Resource
from agent.operator.prerequisites import Cluster, Finding, findings
from agent.wire import install as wire
from agent.wire import labels

_RIGHTS = (
    ("create", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("create", "rbac.authorization.k8s.io", "clusterroles"),
    ("create", "", "namespaces"),
    ("create", "scheduling.k8s.io", "priorityclasses"),
)
_TIMEOUT_S = 10


async def diagnose(kube: Kube) -> list[Finding]:
    """Every finding. Raises ``KubeError`` only when the API server itself does not answer."""
    version = json.loads(await kube.raw_get("/version"))
    return findings(
        Cluster(
            version=str(version.get("gitVersion") or ""),
            nodes=await _list(kube, NODE),
            storage_classes=await _list(kube, STORAGE_CLASS),
            pods=await _list(kube, POD, "app=nvidia-dcgm-exporter"),
            namespace_phase=await _phase(kube),
            foreign_definitions=await _foreign(kube),
            refused=await _refused(kube),
            link_error=await _link_error(kube),
        )
    )


async def _list(kube: Kube, resource: Resource, selector: str = "") -> list[Obj]:
    try:
        return (await kube.list(resource, labels=selector)).items
    except KubeError:
        return []


async def _phase(kube: Kube) -> str:
    try:
        found = await kube.get(NAMESPACE, labels.NAMESPACE)
    except KubeError:
        return ""
    return str((found.get("status") or {}).get("phase") or "Active")


async def _foreign(kube: Kube) -> list[str]:
    """Definitions of our names that somebody else installed: ours have the fields of our file."""
    found = []
    for document in crds.documents():
        name = document["metadata"]["name"]
        try:
            have = await kube.get(CRD, name)
        except KubeError:
            continue
        notes: dict[str, Any] = have["metadata"].get("annotations") or {}
        marks: dict[str, Any] = have["metadata"].get("labels") or {}
        if "meta.helm.sh/release-name" in notes and marks.get("app.kubernetes.io/part-of") != "runai":
            found.append(name)
    return found


async def _refused(kube: Kube) -> list[str]:
    found = []
    for verb, group, resource in _RIGHTS:
        asked = {"verb": verb, "group": group, "resource": resource}
        review = {"apiVersion": ACCESS_REVIEW.api_version, "kind": ACCESS_REVIEW.kind, "metadata": {}}
        answer = await kube.create(review | {"spec": {"resourceAttributes": asked}})
        if not (answer.get("status") or {}).get("allowed"):
            found.append(f"{verb} {resource}")
    return found


async def _link_error(kube: Kube) -> str | None:
    """Whether the control plane answers at the address of the install; None where there is none yet."""
    try:
        data = (await kube.get(CONFIG_MAP, wire.LINK_CONFIG_MAP, labels.NAMESPACE)).get("data") or {}
    except KubeError:  # not installed yet, or not for this user to see: the rights are a finding of their own
        return None
    try:
        tls = ssl.create_default_context(cadata=data.get("ca.crt") or None)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(str(data.get("url")), ssl=tls):
            return ""
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return f"{data.get('url')}: {error or type(error).__name__}"
