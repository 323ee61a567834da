"""A small Kubernetes API in memory: implements ``agent.kube.protocol.Kube`` for tests without a cluster.

Honest about resourceVersion, conflicts, uid preconditions, generations, the status subresource, finalizers, owners and
watches (resume, 410, silent ends). ``fail()`` injects errors, ``compact()`` makes old versions Gone, ``drop_watches()``
ends every stream. Not here: validation by schema, admission, RBAC, controllers.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from agent.kube import errors
from agent.kube.protocol import Listing, Obj, WatchEvent
from agent.kube.resources import POD, Resource, resource_of

Key = tuple[str, str, str | None, str]
_NO_STATUS = {"ConfigMap", "Secret", "Event", "Lease", "ServiceAccount", "PriorityClass", "RoleBinding", "ClusterRole"}


class FakeKube:
    """``linger``: a bound pod that is deleted keeps its place (deletionTimestamp) until ``finish`` is called."""

    def __init__(self, *objects: Obj, linger: bool = False) -> None:
        self.linger = linger
        self.objects: dict[Key, Obj] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        """How often each (method, kind) was called."""
        self.log_text: dict[tuple[str, str], bytes] = {}
        self.raw: dict[str, bytes] = {}
        self._version = itertools.count(1)
        self._last = 0
        self._oldest = 0
        self._history: list[tuple[int, str, Obj]] = []
        self._applied: dict[tuple[Key, str, str | None], Obj] = {}
        self._failures: list[tuple[str, str, errors.KubeError]] = []
        self._wakes: set[asyncio.Event] = set()
        self._dropped = 0
        for obj in objects:
            self.seed(obj)

    # ---- for tests ---------------------------------------------------------------------------------------------

    def seed(self, obj: Obj) -> Obj:
        """Put an object as it is, status included, whatever was there."""
        obj = copy.deepcopy(obj)
        meta = obj.setdefault("metadata", {})
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        meta.setdefault("generation", 1)
        key = _key(resource_of(obj), meta["name"], meta.get("namespace"))
        return self._store(key, obj, "MODIFIED" if key in self.objects else "ADDED")

    def fail(self, method: str, kind: str, error: errors.KubeError, times: int = 1) -> None:
        """The next ``times`` calls of ``method`` on ``kind`` raise ``error`` and do nothing."""
        self._failures += [(method, kind, error)] * times

    def compact(self) -> None:
        self._oldest = self._last
        self._history.clear()

    def drop_watches(self) -> None:
        self._dropped += 1
        self._wake()

    def finish(self, name: str, namespace: str) -> None:
        """The kubelet has stopped a leaving pod: it is gone."""
        self._remove(_key(POD, name, namespace))

    def all(self, resource: Resource, namespace: str | None = None) -> list[Obj]:
        return [copy.deepcopy(obj) for obj in self._select(resource, namespace, "", "")]

    # ---- Kube --------------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Obj:
        await self._enter("get", resource)
        return copy.deepcopy(self._find(_key(resource, name, namespace)))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing:
        await self._enter("list", resource)
        items = [copy.deepcopy(obj) for obj in self._select(resource, namespace, labels, fields)]
        return Listing(items, str(self._last))

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
    ) -> AsyncIterator[WatchEvent]:
        await self._enter("watch", resource)
        seen, dropped, wake = int(resource_version or 0), self._dropped, asyncio.Event()
        self._wakes.add(wake)
        try:
            while dropped == self._dropped:
                if seen < self._oldest:
                    raise errors.Gone("too old resource version", status=410, reason="Expired")
                wake.clear()
                for version, kind, obj in [entry for entry in self._history if entry[0] > seen]:
                    seen = version
                    if _matches(obj, resource, namespace, labels, fields):
                        yield WatchEvent(kind, copy.deepcopy(obj))
                await wake.wait()
        finally:
            self._wakes.discard(wake)

    async def create(self, obj: Obj) -> Obj:
        resource, obj = resource_of(obj), copy.deepcopy(obj)
        await self._enter("create", resource)
        if resource.kind.endswith("Review"):  # a question, which nobody answers here
            return obj
        meta = obj["metadata"]
        if meta.get("generateName") and not meta.get("name"):
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        key = _key(resource, meta["name"], meta.get("namespace"))
        if key in self.objects:
            raise errors.AlreadyExists(f'{resource.plural} "{key[3]}" already exists', status=409)
        if resource.kind not in _NO_STATUS and resource is not POD:
            obj.pop("status", None)
        if resource is POD:
            obj.setdefault("status", {"phase": "Pending"})
        meta.pop("uid", None)
        return copy.deepcopy(self.seed(obj))

    async def replace(self, obj: Obj, *, subresource: str | None = None) -> Obj:
        resource, meta = resource_of(obj), obj["metadata"]
        await self._enter("replace", resource)
        key = _key(resource, meta["name"], meta.get("namespace"))
        old = self._find(key)
        if meta.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
            raise errors.Conflict(f"{key[3]}: the object has been modified", status=409, reason="Conflict")
        return self._write(key, copy.deepcopy(obj), subresource)

    async def apply(self, obj: Obj, *, manager: str, force: bool = True, subresource: str | None = None) -> Obj:
        resource, meta = resource_of(obj), obj["metadata"]
        await self._enter("apply", resource)
        key = _key(resource, meta["name"], meta.get("namespace"))
        if key not in self.objects:
            if subresource:
                raise errors.NotFound(f'{resource.plural} "{key[3]}" not found', status=404, details={"name": key[3]})
            self._applied[key, manager, None] = copy.deepcopy(obj)
            created = {name: value for name, value in copy.deepcopy(obj).items() if name != "status"}
            return copy.deepcopy(self.seed(created))
        before = self._applied.get((key, manager, subresource), {})
        others = [value for owner, value in self._applied.items() if owner[0] == key and owner[1] != manager]
        result = copy.deepcopy(self.objects[key])
        _prune(result, before, obj, others)
        _merge(result, copy.deepcopy(obj))
        self._applied[key, manager, subresource] = copy.deepcopy(obj)
        return self._write(key, result, subresource)

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        body: Any,
        kind: str = "merge",
        subresource: str | None = None,
    ) -> Obj:
        await self._enter("patch", resource)
        key = _key(resource, name, namespace)
        result = copy.deepcopy(self._find(key))
        if kind == "json":
            for step in body:
                _json_patch(result, step)
        else:
            wanted = (body.get("metadata") or {}).get("resourceVersion")
            if wanted and wanted != result["metadata"]["resourceVersion"]:
                raise errors.Conflict(f"{name}: the object has been modified", status=409, reason="Conflict")
            _merge(result, copy.deepcopy(body), keyed=kind == "strategic")
        return self._write(key, result, subresource)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_s: int | None = None,
        propagation: str | None = None,
    ) -> None:
        await self._enter("delete", resource)
        key = _key(resource, name, namespace)
        obj = self._find(key)
        meta = obj["metadata"]
        if (uid and uid != meta["uid"]) or (resource_version and resource_version != meta["resourceVersion"]):
            raise errors.Conflict(f"{name}: precondition failed", status=409, reason="Conflict")
        lingers = self.linger and resource is POD and obj["spec"].get("nodeName") and grace_s != 0
        if not (meta.get("finalizers") or lingers):
            return self._remove(key)
        if not meta.get("deletionTimestamp"):
            obj = copy.deepcopy(obj)
            obj["metadata"]["deletionTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._store(key, obj, "MODIFIED")
        return None

    async def bind(
        self, namespace: str, pod: str, node: str, *, uid: str, annotations: Mapping[str, str] | None = None
    ) -> None:
        await self._enter("bind", POD)
        key = _key(POD, pod, namespace)
        obj = copy.deepcopy(self._find(key))
        if obj["metadata"]["uid"] != uid or obj["spec"].get("nodeName") or obj["metadata"].get("deletionTimestamp"):
            raise errors.Conflict(f"pod {pod} is already assigned to node or not the same", status=409)
        obj["spec"]["nodeName"] = node
        obj["metadata"].setdefault("annotations", {}).update(annotations or {})
        conditions = obj.setdefault("status", {}).setdefault("conditions", [])
        conditions[:] = [item for item in conditions if item["type"] != "PodScheduled"]
        conditions.append({"type": "PodScheduled", "status": "True"})
        self._store(key, obj, "MODIFIED")

    async def logs(self, namespace: str, pod: str, **options: Any) -> AsyncIterator[bytes]:
        await self._enter("logs", POD)
        self._find(_key(POD, pod, namespace))
        yield self.log_text.get((namespace, pod), b"")

    async def raw_get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        if path not in self.raw:
            raise errors.NotFound(f"{path} not found", status=404)
        return self.raw[path]

    # ---- inside ------------------------------------------------------------------------------------------------

    async def _enter(self, method: str, resource: Resource) -> None:
        self.calls[method, resource.kind] += 1
        await asyncio.sleep(0)
        for index, (wanted, kind, error) in enumerate(self._failures):
            if (wanted, kind) == (method, resource.kind):
                del self._failures[index]
                raise error

    def _find(self, key: Key) -> Obj:
        if key not in self.objects:
            raise errors.NotFound(f'{key[1]} "{key[3]}" not found', status=404, details={"name": key[3]})
        return self.objects[key]

    def _select(self, resource: Resource, namespace: str | None, labels: str, fields: str) -> Iterator[Obj]:
        return (obj for obj in list(self.objects.values()) if _matches(obj, resource, namespace, labels, fields))

    def _write(self, key: Key, obj: Obj, subresource: str | None) -> Obj:
        old = self.objects[key]
        if subresource == "status":
            obj = copy.deepcopy(old) | {"status": obj.get("status", {})}
        elif obj["kind"] not in _NO_STATUS:
            obj.pop("status", None)
            obj |= {"status": old["status"]} if "status" in old else {}
        for field in ("uid", "creationTimestamp", "deletionTimestamp", "generation", "resourceVersion"):
            if field in old["metadata"]:
                obj["metadata"][field] = old["metadata"][field]
        if obj == old:
            return copy.deepcopy(old)
        if obj.get("spec") != old.get("spec"):
            obj["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        if obj["metadata"].get("deletionTimestamp") and not obj["metadata"].get("finalizers"):
            self._remove(key)
            return obj
        return copy.deepcopy(self._store(key, obj, "MODIFIED"))

    def _store(self, key: Key, obj: Obj, event: str) -> Obj:
        self._last = next(self._version)
        obj["metadata"]["resourceVersion"] = str(self._last)
        self.objects[key] = obj
        self._history.append((self._last, event, copy.deepcopy(obj)))
        self._wake()
        return obj

    def _remove(self, key: Key) -> None:
        obj = self.objects.pop(key, None)
        if obj is None:
            return
        self._applied = {owner: value for owner, value in self._applied.items() if owner[0] != key}
        self._last = next(self._version)
        gone = copy.deepcopy(obj)
        gone["metadata"]["resourceVersion"] = str(self._last)
        self._history.append((self._last, "DELETED", gone))
        for other, dependent in list(self.objects.items()):
            owners = dependent["metadata"].get("ownerReferences") or ()
            if any(owner.get("uid") == obj["metadata"]["uid"] for owner in owners):
                self._remove(other)
        self._wake()

    def _wake(self) -> None:
        for wake in self._wakes:
            wake.set()


def _key(resource: Resource, name: str, namespace: str | None) -> Key:
    return (resource.group, resource.plural, namespace if resource.namespaced else None, name)


def _matches(obj: Obj, resource: Resource, namespace: str | None, labels: str, fields: str) -> bool:
    meta, own = obj["metadata"], resource_of(obj)
    if (own.group, own.plural) != (resource.group, resource.plural):
        return False
    if namespace and meta.get("namespace") != namespace:
        return False
    has = meta.get("labels") or {}
    terms = re.findall(r"[^,(]+(?:\([^)]*\))?", labels)
    return all(_label(term.strip(), has) for term in terms) and all(_field(t, obj) for t in fields.split(",") if t)


def _label(term: str, has: dict[str, str]) -> bool:
    if match := re.fullmatch(r"(\S+) (in|notin) \(([^)]*)\)", term):
        values = {value.strip() for value in match[3].split(",")}
        return (has.get(match[1]) in values) == (match[2] == "in")
    if "=" in term:
        name, _, value = term.replace("==", "=").partition("=")
        return has.get(name.rstrip("!")) != value if name.endswith("!") else has.get(name) == value
    return term[1:] not in has if term.startswith("!") else term in has


def _field(term: str, obj: Obj) -> bool:
    name, _, value = term.replace("==", "=").partition("=")
    found: Any = obj
    for part in name.rstrip("!").split("."):
        found = (found or {}).get(part)
    return (str(found or "") != value) if name.endswith("!") else (str(found or "") == value)


def _merge(target: Any, change: Any, *, keyed: bool = False) -> None:
    for name, value in change.items():
        old = target.get(name)
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            if not isinstance(old, dict):
                target[name] = {}
            _merge(target[name], value, keyed=keyed)
        elif keyed and isinstance(old, list) and value and isinstance(value[0], dict):
            by = "type" if "type" in value[0] else "name"
            fresh = {item.get(by): item for item in value}
            merged = [{**item, **fresh.pop(item.get(by), {})} for item in old] + list(fresh.values())
            target[name] = [item for item in merged if item.get("$patch") != "delete"]
        else:
            target[name] = value


def _prune(target: Any, before: Any, now: Any, others: list[Any]) -> None:
    """Server-side apply: a field this manager applied before and leaves out now goes, unless another one applied it."""
    for name, value in before.items():
        rest = [other[name] for other in others if isinstance(other, dict) and name in other]
        if name not in now and not rest:
            target.pop(name, None)
        elif isinstance(value, dict) and isinstance(target.get(name), dict):
            _prune(target[name], value, now.get(name) if isinstance(now.get(name), dict) else {}, rest)


def _json_patch(target: Any, step: Obj) -> None:
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
    for part in path:
        target = target[int(part)] if isinstance(target, list) else target[part]
    index: Any = (len(target) if last == "-" else int(last)) if isinstance(target, list) else last
    if step["op"] == "test":
        if (target.get(index) if isinstance(target, dict) else target[index]) != step["value"]:
            raise errors.Invalid(f"test failed at {step['path']}", status=422)
    elif step["op"] == "remove":
        del target[index]
    elif step["op"] == "add" and isinstance(target, list):
        target.insert(index, step["value"])
    else:
        target[index] = step["value"]
