"""Brings documents into the cluster: server-side apply under our field manager, deletes of what is ours and only that.

Safe to repeat at any line: an apply sets what the document says, a delete names the uid it means.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import structlog

from agent.kube.cache import Store
from agent.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import (
    ACCESS_RULE,
    DEPARTMENT,
    NODE_POOL,
    PROJECT,
    TOPOLOGY,
    WORKLOAD,
    Resource,
    resource_of,
)
from agent.link.documents import Documents, plan_removal
from agent.link.identity import Identity
from agent.link.reports import is_ours
from agent.wire import labels
from agent.wire.messages import DesiredItem

log = structlog.get_logger(__name__)

MANAGER = "runai-link"
KINDS: tuple[Resource, ...] = (DEPARTMENT, PROJECT, ACCESS_RULE, NODE_POOL, TOPOLOGY, WORKLOAD)
"""Kinds that come down as documents. Nothing else is applied or deleted, whatever the server says."""
PARALLEL = 16

FetchBlob = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Owned:
    """An object of ours: where it is, and which revision of its document it holds."""

    resource: Resource
    namespace: str | None
    name: str
    uid: str
    rev: int


class Applier:
    """``work`` applies what is due; ``sweep`` removes what a complete full set does not name."""

    def __init__(
        self, kube: Kube, stores: Mapping[Resource, Store], documents: Documents, identity: Identity, fetch: FetchBlob
    ) -> None:
        self._kube = kube
        self._stores = stores
        self._documents = documents
        self._identity = identity
        self._fetch = fetch
        self._applied: dict[str, Owned] = {}
        """What this process has applied itself: the caches may not show it yet."""

    async def apply(self, item: DesiredItem, now_ms: Callable[[], int]) -> None:
        """One document. Never raises for what the cluster says: the outcome goes to ``documents``."""
        try:
            if item.op == "delete":
                await self._delete(item.key)
            else:
                await self._put(item)
            self._documents.applied(item)
        except KubeError as error:
            code, permanent = _meaning(error)
            self._documents.failed(item, code, error.message, now_ms(), permanent=permanent)
            log.warning("document_not_applied", key=item.key, rev=item.rev, code=code, error=error.message[:300])
        except ValueError as error:
            self._documents.failed(item, "invalid_document", str(error), now_ms(), permanent=True)
            log.warning("document_refused", key=item.key, rev=item.rev, error=str(error)[:300])

    async def _put(self, item: DesiredItem) -> None:
        obj = prepare(await self._body(item), item)
        resource = resource_of(obj)
        if resource not in KINDS:
            raise ValueError(f"{resource.kind} is not a kind that comes as a document")
        name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace")
        known = self._stores[resource].get(name, namespace)
        if known is not None and holds(known, obj) and not known["metadata"].get("deletionTimestamp"):
            self._note(item.key, resource, known, item.rev)
            return
        made = await self._kube.apply(self._identity.unseal(obj), manager=MANAGER)
        self._note(item.key, resource, made, item.rev)

    def _note(self, key: str, resource: Resource, obj: Obj, rev: int) -> None:
        meta = obj["metadata"]
        self._applied[key] = Owned(resource, meta.get("namespace"), meta["name"], meta.get("uid", ""), rev)

    async def _body(self, item: DesiredItem) -> Obj:
        if item.body is not None:
            return dict(item.body)
        if not item.body_ref:
            raise ValueError("the document has no body")
        raw = await self._fetch(item.body_ref.removeprefix("sha256:"))
        if f"sha256:{sha256(raw).hexdigest()}" != item.body_ref:
            raise ValueError("the document's blob has another content")
        loaded = json.loads(raw)
        if not isinstance(loaded, dict):
            raise ValueError("the document's blob is no object")
        return loaded

    async def _delete(self, key: str) -> None:
        owned = self._applied.get(key) or self.owned().get(key)
        if owned is None:
            return
        try:
            await self._kube.delete(
                owned.resource, owned.name, owned.namespace, uid=owned.uid or None, propagation="Background"
            )
        except NotFound:
            pass
        except Conflict:
            log.info("document_object_is_another", key=key)  # somebody made a new one of that name: not ours
        self._applied.pop(key, None)

    def owned(self) -> dict[str, Owned]:
        """Objects in the cluster that came down this link, by key."""
        found: dict[str, Owned] = {}
        for resource, store in self._stores.items():
            for obj in store:
                meta = obj["metadata"]
                notes = meta.get("annotations") or {}
                key = notes.get(labels.DESIRED_KEY)
                if key and is_ours(obj, self._identity.cluster_id):
                    rev = notes.get(labels.DESIRED_REV, "")
                    number = int(rev) if rev.isdigit() else 0
                    found[key] = Owned(resource, meta.get("namespace"), meta["name"], meta.get("uid", ""), number)
        return found

    async def sweep(self, *, safe_mode: bool) -> None:
        """After the last page of a full set: remove what is ours and not named. Call with synced caches only."""
        wanted = self._documents.sweep_wanted
        if wanted is None:
            return
        plan = plan_removal(self.owned(), wanted, confirmed=self._documents.sweep_confirmed, safe_mode=safe_mode)
        if plan.held_back:
            log.error("removals_held_back", count=plan.held_back, safe_mode=safe_mode)
        gate = asyncio.Semaphore(PARALLEL)

        async def remove(key: str) -> None:
            async with gate:
                if key in (self._documents.sweep_wanted or ()):  # it came back meanwhile
                    return
                log.info("document_swept", key=key)
                await self._delete(key)

        await asyncio.gather(*(remove(key) for key in plan.keys))
        self._documents.swept(plan.held_back)


def prepare(body: Mapping[str, Any], item: DesiredItem) -> Obj:
    """The manifest with our marks. Raises ``ValueError`` when it is no manifest."""
    meta = body.get("metadata")
    if not isinstance(meta, dict) or not meta.get("name"):
        raise ValueError("the document has no metadata.name")
    marks = {
        **(meta.get("labels") or {}),
        labels.CLUSTER_ID: item.cluster_id,
        labels.MANAGED_BY: labels.MANAGED_BY_CONTROL_PLANE,
    }
    notes = {**(meta.get("annotations") or {}), labels.DESIRED_KEY: item.key, labels.DESIRED_REV: str(item.rev)}
    kept = {key: value for key, value in meta.items() if key in ("name", "namespace")}
    rest = {key: value for key, value in body.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": {**kept, "labels": marks, "annotations": notes}}


def holds(found: Any, wanted: Any) -> bool:
    """True when everything that ``wanted`` says is so in ``found`` (which may say more)."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and holds(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(holds, found, wanted))
    return bool(found == wanted)


def _meaning(error: KubeError) -> tuple[str, bool]:
    """(code, permanent): what the cluster refuses for ever, and what may still come good."""
    if isinstance(error, Invalid):
        return "invalid", True
    if isinstance(error, NotFound):
        return "kind_missing" if error.kind_missing else "not_found", False
    if isinstance(error, Forbidden):
        return "forbidden", False
    return "conflict" if isinstance(error, Conflict) else "unavailable", False
