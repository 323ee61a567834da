"""One workload: read the caches, decide (pure), make and remove objects, write the status if it changed.

Safe to die at any line. Objects have fixed names, so making them again is "already exists"; deletes carry the uid;
the status is written after the objects and is derived from them, so whoever comes next derives it again. Attempts
are on the pods' labels before they are in the status. Nothing that matters is in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from agent.kube.cache import Change, Store
from agent.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, KubeError, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import CONFIG_MAP, EVENT, HTTP_ROUTE, INGRESS, NODE, POD, POD_GROUP, SERVICE, WORKLOAD
from agent.kube.watch import Informers
from agent.operator.facts import NodeFacts, PodFacts, group_facts, node_facts, number, pod_facts
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
FIRST_NEWS_S = 0.5
"""How long a new workload's first word may wait for a better one: most pods have a place or run by then, and each word
costs the API server as much as the pod."""
ASK_AGAIN_S = 15.0
"""Pause after a refusal that is no failure of the server's: a quota, a name that is taken."""
AT_ONCE = 16
"""Requests of one workload at the same time."""
_RESOURCES = {"Pod": POD, "Service": SERVICE, "ConfigMap": CONFIG_MAP, "Ingress": INGRESS, "HTTPRoute": HTTP_ROUTE}
_WAYS_IN = ("Ingress", "HTTPRoute")
_TOLD = {Phase.COMPLETED: "Normal", Phase.FAILED: "Warning", Phase.STOPPED: "Normal", Phase.DEGRADED: "Warning"}
_TROUBLES = frozenset(
    {
        "ImagePullFailed",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CreateRefused",
        "NoQuotaInNodePool",
        "NoProject",
    }
)
"""Codes of what does not mend itself: told once, when it begins."""


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
        self._pods_of: dict[str, dict[str, PodFacts]] = defaultdict(dict)
        """Workload uid → pod name → facts."""
        self._groups_of: dict[str, dict[str, Obj]] = defaultdict(dict)
        self._made: dict[tuple[str, str, str], float] = {}
        self._born: dict[str, float] = {}
        """Monotonic second in which a workload's first pods were made, by uid, while nothing was said about it."""
        self._written: dict[str, tuple[WorkloadStatus, str]] = {}
        """Status last written and the version it made, by uid, until the cache shows that version or a later one."""
        self.workloads: Store = informers.store(WORKLOAD)
        self._nodes: Store = informers.store(NODE)
        mine = f"{labels.MANAGED_BY}={labels.MANAGED_BY_OPERATOR}"
        self._services: Store = informers.of(SERVICE, labels=mine).store
        self._config_maps: Store = informers.of(CONFIG_MAP, labels=mine).store
        self._ingresses: Store = informers.of(INGRESS, labels=mine, optional=True).store
        self._routes: Store = informers.of(HTTP_ROUTE, labels=mine, optional=True).store
        self._pods: Store = informers.store(POD)
        self.workloads.on_change(self._workload_changed)
        self._pods.on_change(self._pod_changed)
        informers.store(POD_GROUP).on_change(self._group_changed)
        self._nodes.on_change(self._node_changed)

    # ---- hints ---------------------------------------------------------------------------------------------------

    def _workload_changed(self, change: Change) -> None:
        if change.new is None and change.old is not None:
            uid = change.old["metadata"]["uid"]
            self._written.pop(uid, None)
            self._pods_of.pop(uid, None)
            self._groups_of.pop(uid, None)
            self._born.pop(uid, None)
        elif change.new is not None:
            uid = change.new["metadata"]["uid"]
            if uid in self._written and _reached(change.new["metadata"]["resourceVersion"], self._written[uid][1]):
                del self._written[uid]  # from here on the cache knows better: somebody else may have written since
        self._enqueue(change.key)

    def _pod_changed(self, change: Change) -> None:
        owner = _owner(change.current)
        if owner is None:
            return
        name, namespace = change.current["metadata"]["name"], change.current["metadata"]["namespace"]
        if change.new is None:
            self._pods_of.get(owner["uid"], {}).pop(name, None)
        else:
            self._pods_of[owner["uid"]][name] = pod_facts(change.new)
        self._made.pop(("Pod", namespace, name), None)
        self._enqueue(f"{namespace}/{owner['name']}")

    def _group_changed(self, change: Change) -> None:
        owner = _owner(change.current)
        if owner is None:
            return
        name, namespace = change.current["metadata"]["name"], change.current["metadata"]["namespace"]
        if change.new is None:
            self._groups_of.get(owner["uid"], {}).pop(name, None)
        else:
            self._groups_of[owner["uid"]][name] = change.new
        self._made.pop(("PodGroup", namespace, name), None)
        self._enqueue(f"{namespace}/{owner['name']}")

    def _node_changed(self, change: Change) -> None:
        if change.old is not None and change.new is not None and node_facts(change.old) == node_facts(change.new):
            return
        name = change.current["metadata"]["name"]
        for uid, pods in list(self._pods_of.items()):
            workload = self.workloads.by_uid(uid)
            if workload is not None and any(pod.node == name for pod in pods.values()):
                self._enqueue(f"{workload['metadata']['namespace']}/{workload['metadata']['name']}")

    # ---- work ----------------------------------------------------------------------------------------------------

    async def reconcile(self, key: str) -> float | None:
        """Bring one workload a step further. Seconds after which to look again, or None. Raises ``KubeError``."""
        obj = self.workloads.by_key(key)
        if obj is None:
            return None
        now = self._now()
        view = self._view(obj)
        pods = sorted(self._pods_of.get(view.uid, {}).values(), key=lambda pod: (pod.index, pod.attempt))
        decision = decide(view, pods, now)
        refused = await self._do(view, decision)
        if not pods and _first_pods(view, decision) and not refused.text:
            self._born[view.uid] = time.monotonic()
            return None  # they show in a moment, and then there is something to tell: in a burst, pods come first
        groups = [group_facts(group) for group in self._groups(view.uid)[0]]
        seen = Observation(pods, self._node_facts(pods), groups, refused.text, refused.invalid)
        status = status_of(view, decision, seen, now)
        if (wait := self._better_word_comes(view.uid, status)) > 0:
            return wait
        await self._write(view, obj, status)
        if decision.remove_workload:
            await self._remove(view)
        if refused.text:
            return ASK_AGAIN_S
        return max(0.1, (decision.check_at - now).total_seconds()) if decision.check_at else None

    def _better_word_comes(self, uid: str, status: WorkloadStatus) -> float:
        """Seconds to wait for it; 0 when this one is to be said now: it is news, or time is up."""
        plain = status.phase is Phase.PENDING and not status.reasons
        plain |= status.phase is Phase.INITIALIZING and not _trouble(status)
        since = self._born.get(uid)
        left = FIRST_NEWS_S - (time.monotonic() - since) if since is not None and plain else 0.0
        if left <= 0:
            self._born.pop(uid, None)
        return max(0.0, left)

    def _view(self, obj: Obj) -> WorkloadView:
        written = self._written.get(obj["metadata"]["uid"])
        if written is not None:
            obj = obj | {"status": to_dict(written[0])}
        return read_workload(obj, self._project_of(obj["metadata"]["namespace"]), self._config())

    def _node_facts(self, pods: list[PodFacts]) -> dict[str, NodeFacts]:
        found = {name: self._nodes.get(name) for name in {pod.node for pod in pods if pod.node}}
        return {name: node_facts(node) for name, node in found.items() if node is not None}

    def _groups(self, uid: str) -> tuple[list[Obj], list[Obj]]:
        """Pod groups of the latest attempt (and those that others made for single pods), and of earlier ones."""
        known = list(self._groups_of.get(uid, {}).values())
        attempts = {id(group): (group["metadata"].get("labels") or {}).get(labels.ATTEMPT) for group in known}
        last = max((number(text) for text in attempts.values() if text is not None), default=0)
        old = [group for group in known if (text := attempts[id(group)]) is not None and number(text) < last]
        return [group for group in known if group not in old], [group for group in old if is_ours(group)]

    async def _do(self, view: WorkloadView, decision: Decision) -> Refusal:
        """Deletes, then creates: the gang's group and service before its pods. What the server refused."""
        await self._all([self._delete(pod) for pod in decision.delete])
        current, old = self._groups(view.uid)
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
        key = (kind, meta["namespace"], meta["name"])
        have = self._have(kind, meta)
        if have is not None:
            return await self._update(have, obj)
        if time.monotonic() - self._made.get(key, -SEEN_WITHIN_S) < SEEN_WITHIN_S:
            return NOTHING
        try:
            await self._kube.create(obj)
        except AlreadyExists:
            self._made.pop(key, None)
            return NOTHING if await self._is_mine(obj) else _taken(obj)
        except (Invalid, Forbidden, NotFound) as error:
            return Refusal(error.message, isinstance(error, Invalid))
        self._made[key] = time.monotonic()
        return NOTHING

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
        return self._groups_of.get(meta["ownerReferences"][0]["uid"], {}).get(meta["name"])

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
        if status.phase != view.status.phase and status.phase in _TOLD:
            await self._tell(view, status, status.phase.value, _TOLD[status.phase])
        elif (code := _trouble(status)) and code != _trouble(view.status):
            await self._tell(view, status, code, "Warning")

    def _remember(self, uid: str, status: WorkloadStatus, version: str) -> None:
        """Unless the watch was quicker than the answer."""
        shown = self.workloads.by_uid(uid)
        if shown is not None and not _reached(shown["metadata"]["resourceVersion"], version):
            self._written[uid] = status, version
        else:
            self._written.pop(uid, None)

    async def _tell(self, view: WorkloadView, status: WorkloadStatus, reason: str, kind: str) -> None:
        """An event for people. It may be lost."""
        stamp = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        name = f"{view.name[:200]}.{reason.lower()}.{int(self._now().timestamp() * 1000):x}"
        about = {"apiVersion": "run.ai/v1", "kind": "Workload", "name": view.name, "namespace": view.namespace}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": view.namespace},
            "involvedObject": about | {"uid": view.uid},
            "type": kind,
            "reason": reason,
            "message": status.message[:1000],
            "source": {"component": "runai-operator"},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
        try:
            await self._kube.create(event)
        except KubeError as error:
            log.info("event_lost", kind=EVENT.kind, workload=view.key, error=error.message)


def _trouble(status: WorkloadStatus) -> str:
    return next((reason.code for reason in status.reasons if reason.code in _TROUBLES), "")


def _reached(shown: str, wanted: str) -> bool:
    """Whether the version that a cache shows is ``wanted`` or a later one; API servers count them up."""
    return shown == wanted or (shown.isdecimal() and wanted.isdecimal() and int(shown) >= int(wanted))


def _first_pods(view: WorkloadView, decision: Decision) -> bool:
    """Whether pods were just made for a workload that nothing has been said about yet."""
    return not view.status.observed_generation and any(obj["kind"] == "Pod" for obj in decision.create)


def _taken(obj: Obj) -> Refusal:
    return Refusal(f'{obj["kind"]} "{obj["metadata"]["name"]}" exists and belongs to somebody else')


def _owner(obj: Obj) -> Obj | None:
    """The Workload that controls an object."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("kind") == "Workload" and str(reference.get("apiVersion", "")).startswith("run.ai/"):
            return dict(reference)
    return None


def _owned_by(have: Obj, want: Obj) -> bool:
    return _of(have, want["metadata"]["ownerReferences"][0]["uid"])


def _of(have: Obj, uid: str) -> bool:
    return any(ref.get("uid") == uid for ref in have["metadata"].get("ownerReferences") or ())
