"""Puts the manifest into a cluster and takes it out again: ``python -m agent install -f MANIFEST | uninstall``.

Server-side apply in an order that works (namespace, definitions, the rest): repeating a half-done install completes it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import structlog
import yaml

from agent import crds
from agent.kube.errors import AlreadyExists, NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CRD,
    MUTATING_WEBHOOK,
    NAMESPACE,
    POD,
    PRIORITY_CLASS,
    RUNAI_CONFIG,
    VALIDATING_WEBHOOK,
    resource_of,
)
from agent.wire import install as wire
from agent.wire import labels

log = structlog.get_logger(__name__)

FIELD_MANAGER = "runai-install"
_FIRST = ("Namespace", "CustomResourceDefinition")
_ESTABLISH_S = 60.0


def parse(text: str) -> list[dict[str, Any]]:
    """The manifests of a YAML text in the order to apply. Raises ``ValueError`` naming the document that is none."""
    try:
        found = [document for document in yaml.safe_load_all(text) if document]
    except yaml.YAMLError as error:
        raise ValueError(f"the manifest is not YAML: {error}") from error
    for number, document in enumerate(found, 1):
        if not isinstance(document, dict) or not (document.get("metadata") or {}).get("name"):
            raise ValueError(f"document {number} of the manifest is not a Kubernetes object with a name")
        resource_of(document)
    return sorted(found, key=lambda doc: _FIRST.index(doc["kind"]) if doc["kind"] in _FIRST else len(_FIRST))


async def install(kube: Kube, documents: list[dict[str, Any]]) -> int:
    """Apply all documents and wait until their definitions are served. Returns how many were applied."""
    definitions = [document for document in documents if document["kind"] == CRD.kind]
    others = [document for document in documents if document["kind"] != CRD.kind]
    first = [document for document in others if document["kind"] == NAMESPACE.kind]
    for document in first:
        await kube.apply(document, manager=FIELD_MANAGER)
    await install_definitions(kube, definitions)
    for document in others:
        if document not in first:
            await kube.apply(document, manager=FIELD_MANAGER)
    await ensure_config(kube)
    return len(documents)


async def install_definitions(kube: Kube, definitions: list[dict[str, Any]] | None = None) -> None:
    """Apply our custom resource definitions (default: those of the package) and wait until each is served."""
    chosen = crds.documents() if definitions is None else definitions
    for document in chosen:
        await kube.apply(document, manager=FIELD_MANAGER)
    give_up = time.monotonic() + _ESTABLISH_S
    for document in chosen:
        name = document["metadata"]["name"]
        while not _established(await kube.get(CRD, name)):
            if time.monotonic() > give_up:
                raise TimeoutError(f"definition {name} is not served after {_ESTABLISH_S:.0f} s")
            await asyncio.sleep(0.1)


async def ensure_config(kube: Kube) -> None:
    """Make the RunaiConfig if the cluster is installed and has none. Safe to repeat and to race."""
    link: dict[str, str] = {}
    for name in (wire.LINK_CONFIG_MAP, wire.CHART_CONFIG_MAP):
        try:
            link = (await kube.get(CONFIG_MAP, name, labels.NAMESPACE)).get("data") or {}
            break
        except NotFound:
            continue
    else:
        return
    try:
        await kube.get(RUNAI_CONFIG, wire.CONFIG_NAME, labels.NAMESPACE)
    except NotFound:
        try:
            await kube.create(wire.runai_config(link.get("cluster-id", ""), link.get("cluster-name", "")))
        except (AlreadyExists, NotFound) as error:
            log.info("config_not_made", error=error.message)


async def uninstall(kube: Kube, *, definitions: bool = False) -> None:
    """Remove what an install made. ``definitions``: also the CRDs, and with them every object of our kinds.

    Namespaces of projects and what runs in them stay.
    """
    selector = ",".join(f"{key}={value}" for key, value in wire.PART_OF.items())
    for resource in (MUTATING_WEBHOOK, VALIDATING_WEBHOOK, CLUSTER_ROLE_BINDING, CLUSTER_ROLE, PRIORITY_CLASS):
        for obj in (await kube.list(resource, labels=selector)).items:
            await _delete(kube, resource, obj["metadata"]["name"])
    await _delete(kube, NAMESPACE, labels.NAMESPACE)
    # Pods that still share a device keep the pod that holds it for them.
    if definitions or not (await kube.list(POD, labels.RESERVATION_NAMESPACE)).items:
        await _delete(kube, NAMESPACE, labels.RESERVATION_NAMESPACE)
    if definitions:
        for document in crds.documents():
            await _delete(kube, CRD, document["metadata"]["name"])


async def _delete(kube: Kube, resource: Any, name: str) -> None:
    try:
        await kube.delete(resource, name)
        log.info("deleted", kind=resource.kind, name=name)
    except NotFound:
        return


def _established(definition: dict[str, Any]) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)
