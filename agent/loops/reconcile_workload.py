"""One workload: read the caches, decide (pure), make and remove objects, write the status if it changed.

Safe to die at any line. Objects have fixed names, so making them again is "already exists"; deletes carry the uid;
the status is written after the objects and is derived from them, so whoever comes next derives it again. Attempts
are on the pods' labels before they are in the status. Nothing that matters is in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import structlog

from agent.kube.cache import Change, Store
from agent.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import CONFIG_MAP, HTTP_ROUTE, INGRESS, POD, POD_GROUP, SERVICE, WORKLOAD
from agent.kube.watch import Informers
from agent.loops.first_news import FirstNews
from agent.loops.workload_events import tell, trouble
from agent.loops.workload_facts import Facts
from agent.operator import ssh
from agent.operator.facts import PodFacts, group_facts
from agent.operator.lifecycle import Decision, decide
from agent.operator.names import port_service_name
from agent.operator.observed import Observation, status_of
from agent.operator.reconcile import contains, is_ours, merge_patch
from agent.operator.workload import ProjectView, WorkloadStatus, WorkloadView, read_workload
from agent.wire import labels
from agent.wire.codec import to_dict
from agent.wire.config import ClusterConfig
from agent.wire.phases import Phase

log = structlog.get_logger(__name__)

MANAGER = "runai-operator"
SEEN_WITHIN_S = 5.0
"""So long after it was made, an object that the watch has not shown yet counts as there."""
ASK_AGAIN_S = 15.0
"""Pause after a refusal that is no failure of the server's: a quota, a name that is taken."""
AT_ONCE = 16
"""Requests of one workload at the same time."""
_RESOURCES = {"Pod": POD, "Service": SERVICE, "ConfigMap": CONFIG_MAP, "Ingress": INGRESS, "HTTPRoute": HTTP_ROUTE}
_UNSEEN = ("Secret", "PersistentVolumeClaim")
"""Made with the pods that need them and not looked at again: a Secret's name is no other workload's, and a claim of the
name is the one that is meant, whoever made it."""
_WAYS_IN = ("Ingress", "HTTPRoute")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the API server said when it was asked to make an object. ``invalid``: it never will as the spec stands."""

    text: str = ""
    invalid: bool = False


NOTHING = Refusal()


class Workloads:
    """``project_of(namespace)`` names the project of a namespace, if it has one. ``enqueue`` takes a workload's key."""

    def __init__(
        self,
        kube: Kube,
        informers: Informers,
        project_of: Callable[[str], ProjectView | None],
        enqueue: Callable[[str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        config: Callable[[], ClusterConfig] = ClusterConfig,
    ) -> None:
        self._kube = kube
        self._project_of = project_of
        self._enqueue = enqueue
        self._now = now
        self._config = config
        self._made: dict[tuple[str, str, str], float] = {}
        self._news = FirstNews()
        self._written: dict[str, tuple[WorkloadStatus, str]] = {}
        """Status last written and the version it made, by uid, until the cache shows that version or a later one."""
        self.workloads: Store = informers.store(WORKLOAD)
        mine = f"{labels.MANAGED_BY}={labels.MANAGED_BY_OPERATOR}"
        self._services: Store = informers.of(SERVICE, labels=mine).store
        self._config_maps: Store = informers.of(CONFIG_MAP, labels=mine).store
        self._ingresses: Store = informers.of(INGRESS, labels=mine, optional=True).store
        self._routes: Store = informers.of(HTTP_ROUTE, labels=mine, optional=True).store
        self._pods: Store = informers.store(POD)
        self.workloads.on_change(self._workload_changed)
        self._facts = Facts(
            informers,
            enqueue=lambda namespace, name: enqueue(f"{namespace}/{name}"),
            seen=self._seen,
            workload=self._named,
        )

    # ---- hints ---------------------------------------------------------------------------------------------------

    def _workload_changed(self, change: Change) -> None:
        if change.new is None and change.old is not None:
            uid = change.old["metadata"]["uid"]
            self._written.pop(uid, None)
            self._news.told(uid)
        elif change.new is not None:
            uid = change.new["metadata"]["uid"]
            if uid in self._written and _reached(change.new["metadata"]["resourceVersion"], self._written[uid][1]):
                del self._written[uid]  # from here on the cache knows better: somebody else may have written since
        self._enqueue(change.key)

    def _seen(self, kind: str, namespace: str, name: str) -> None:
        self._made.pop((kind, namespace, name), None)

    def _named(self, uid: str) -> tuple[str, str] | None:
        obj = self.workloads.by_uid(uid)
        return (obj["metadata"]["namespace"], obj["metadata"]["name"]) if obj is not None else None

    # ---- work ----------------------------------------------------------------------------------------------------

    async def reconcile(self, key: str) -> float | None:
        """Bring one workload a step further. Seconds after which to look again, or None. Raises ``KubeError``."""
        obj = self.workloads.by_key(key)
        if obj is None:
            return None
        now, uid = self._now(), obj["metadata"]["uid"]
        pods = self._facts.pods(uid)
        if (wait := self._news.hold(uid, trouble=_unusual(obj, pods))) > 0:
            return wait
        view = self._view(obj)
        decision = decide(view, pods, now)
        refused = await self._do(view, decision)
        if not pods and _first_pods(view, decision) and not refused.text:
            self._news.born(uid)
            return SEEN_WITHIN_S  # they show in a moment, and then there is something to tell
        groups = [group_facts(group) for group in self._facts.groups(uid)[0]]
        seen = Observation(pods, self._facts.nodes(pods), groups, refused.text, refused.invalid)
        status = status_of(view, decision, seen, now)
        if (wait := self._news.left(uid, plain=_plain(status))) > 0:
            return wait
        self._news.told(uid)
        await self._write(view, obj, status)
        if decision.remove_workload:
            await self._remove(view)
        if refused.text:
            return ASK_AGAIN_S
        again = (decision.check_at - now).total_seconds() if decision.check_at else None
        if any(obj["kind"] == "Pod" for obj in decision.create):  # should the watch never show one: it was deleted
            again = min(again or SEEN_WITHIN_S, SEEN_WITHIN_S)
        return max(0.1, again) if again is not None else None

    def _view(self, obj: Obj) -> WorkloadView:
        written = self._written.get(obj["metadata"]["uid"])
        if written is not None:
            obj = obj | {"status": to_dict(written[0])}
        return read_workload(obj, self._project_of(obj["metadata"]["namespace"]), self._config())

    async def _do(self, view: WorkloadView, decision: Decision) -> Refusal:
        """Deletes, then creates: the gang's group and service before its pods. What the server refused."""
        await self._all([self._delete(pod) for pod in decision.delete])
        current, old = self._facts.groups(view.uid)
        await self._all([self._drop_group(group) for group in [*old, *(current if view.spec.suspend else ())]])
        for obj in decision.create:
            if obj["kind"] not in ("Pod", *_WAYS_IN) and (refused := await self._ensure(obj)).text:
                return refused
        made = await self._all([self._ensure(obj) for obj in decision.create if obj["kind"] == "Pod"])
        await self._ways_in(view, decision)
        return next((refused for refused in made if refused.text), NOTHING)

    async def _all(self, work: list[Any]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(work), AT_ONCE):
            found += await asyncio.gather(*work[start : start + AT_ONCE])
        return found

    async def _ensure(self, obj: Obj) -> Refusal:
        """Make it, or bring what is ours up to date. Answers what the server or somebody else's object objects to."""
        kind, meta = obj["kind"], obj["metadata"]
        if kind == "Secret":
            obj = ssh.with_keys(obj)
        unseen = kind in _UNSEEN
        key = (kind, meta["namespace"], meta["name"])
        have = None if unseen else self._have(kind, meta)
        if have is not None:
            return await self._update(have, obj)
        if time.monotonic() - self._made.get(key, -SEEN_WITHIN_S) < SEEN_WITHIN_S:
            return NOTHING
        try:
            await self._kube.create(obj)
        except AlreadyExists:
            self._made.pop(key, None)
            if unseen:
                return NOTHING
            return NOTHING if await self._is_mine(obj) else _taken(obj)
        except (Invalid, Forbidden, NotFound) as error:
            return Refusal(error.message, isinstance(error, Invalid))
        self._note_made(key)
        return NOTHING

    def _note_made(self, key: tuple[str, str, str]) -> None:
        """And forget those of so long ago that they count no more: some kinds are never seen, and a watch may be
        quicker than the answer."""
        moment = time.monotonic()
        self._made.pop(key, None)
        self._made[key] = moment  # the latest is the last
        for old in list(takewhile(lambda one: moment - self._made[one] >= SEEN_WITHIN_S, self._made)):
            del self._made[old]

    def _store_of(self, kind: str) -> Store | None:
        ways_in = {"Ingress": self._ingresses, "HTTPRoute": self._routes}
        return {"Pod": self._pods, "Service": self._services, "ConfigMap": self._config_maps, **ways_in}.get(kind)

    async def _ways_in(self, view: WorkloadView, decision: Decision) -> None:
        """How it is reached from outside, as the configuration asks for. A refusal is no reason not to run."""
        for obj in decision.create:
            if obj["kind"] in _WAYS_IN and (refused := await self._ensure(obj)).text:
                log.warning("way_in_refused", workload=view.key, error=refused.text)
        name, wanted = port_service_name(view.name, view.gang), {obj["kind"] for obj in decision.create}
        if not decision.wanted:
            return
        for resource, store in ((INGRESS, self._ingresses), (HTTP_ROUTE, self._routes)):
            have = store.get(name, view.namespace)
            if have is None or resource.kind in wanted or not is_ours(have) or not _of(have, view.uid):
                continue
            with contextlib.suppress(NotFound, Conflict):
                await self._kube.delete(resource, name, view.namespace, uid=have["metadata"]["uid"])

    def _have(self, kind: str, meta: Obj) -> Obj | None:
        store = self._store_of(kind)
        if store is not None:
            return store.get(meta["name"], meta["namespace"])
        return self._facts.group(meta["ownerReferences"][0]["uid"], meta["name"])

    async def _update(self, have: Obj, want: Obj) -> Refusal:
        """Pods are never changed; a group or service follows its workload."""
        if not _owned_by(have, want):
            return _taken(want)
        if want["kind"] != "Pod" and not contains(have, want):
            await self._kube.apply(want, manager=MANAGER)
        return NOTHING

    async def _is_mine(self, want: Obj) -> bool:
        """An object that the cache does not show: ours from before a crash, on its way out, or another's."""
        resource = _RESOURCES.get(want["kind"], POD_GROUP)
        try:
            have = await self._kube.get(resource, want["metadata"]["name"], want["metadata"]["namespace"])
        except NotFound:
            return True
        return bool(have["metadata"].get("deletionTimestamp")) or (is_ours(have) and _owned_by(have, want))

    async def _delete(self, pod: PodFacts) -> None:
        with contextlib.suppress(NotFound, Conflict):  # gone, or another pod by that name
            await self._kube.delete(POD, pod.name, pod.namespace, uid=pod.uid)

    async def _drop_group(self, group: Obj) -> None:
        meta = group["metadata"]
        if not is_ours(group) or meta.get("deletionTimestamp"):
            return
        try:
            await self._kube.delete(POD_GROUP, meta["name"], meta["namespace"], uid=meta["uid"])
        except (NotFound, Conflict):
            return

    async def _remove(self, view: WorkloadView) -> None:
        """Its time to live is over; its pods go with it."""
        log.info("workload_expired", workload=view.key)
        try:
            await self._kube.delete(WORKLOAD, view.name, view.namespace, uid=view.uid, propagation="Background")
        except (NotFound, Conflict):
            return

    async def _write(self, view: WorkloadView, obj: Obj, status: WorkloadStatus) -> None:
        old = to_dict(self._written[view.uid][0]) if view.uid in self._written else obj.get("status") or {}
        change = merge_patch(old, to_dict(status))
        if not change:
            return
        body = {"status": change}
        try:
            made = await self._kube.patch(WORKLOAD, view.name, view.namespace, body=body, subresource="status")
        except NotFound:  # deleted meanwhile
            return
        self._remember(view.uid, status, str(made["metadata"].get("resourceVersion", "")))
        await tell(self._kube, view, status, self._now())

    def _remember(self, uid: str, status: WorkloadStatus, version: str) -> None:
        """Unless the watch was quicker than the answer."""
        shown = self.workloads.by_uid(uid)
        if shown is not None and not _reached(shown["metadata"]["resourceVersion"], version):
            self._written[uid] = status, version
        else:
            self._written.pop(uid, None)


def _plain(status: WorkloadStatus) -> bool:
    """Whether it says no more than that its pods wait or start."""
    waits = status.phase is Phase.PENDING and not status.reasons
    return waits or (status.phase is Phase.INITIALIZING and not trouble(status))


def _unusual(obj: Obj, pods: list[PodFacts]) -> bool:
    """Whether a new workload is to be looked at whatever else goes on."""
    changed = int(obj["metadata"].get("generation") or 0) > 1 or obj["metadata"].get("deletionTimestamp")
    return bool(changed) or any(pod.finished or pod.deleting or pod.unschedulable for pod in pods)


def _reached(shown: str, wanted: str) -> bool:
    """Whether the version that a cache shows is ``wanted`` or a later one; API servers count them up."""
    return shown == wanted or (shown.isdecimal() and wanted.isdecimal() and int(shown) >= int(wanted))


def _first_pods(view: WorkloadView, decision: Decision) -> bool:
    """Whether pods were just made for a workload that nothing has been said about yet."""
    return not view.status.observed_generation and any(obj["kind"] == "Pod" for obj in decision.create)


def _taken(obj: Obj) -> Refusal:
    return Refusal(f'{obj["kind"]} "{obj["metadata"]["name"]}" exists and belongs to somebody else')


def _owned_by(have: Obj, want: Obj) -> bool:
    return _of(have, want["metadata"]["ownerReferences"][0]["uid"])


def _of(have: Obj, uid: str) -> bool:
    return any(ref.get("uid") == uid for ref in have["metadata"].get("ownerReferences") or ())
