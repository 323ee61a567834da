"""Watches the cluster and keeps the outbox true: one dirty mark per object, one report per object and window.

It never shows a partial view: nothing is put or dropped before every informer has its first list.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from agent.kube.cache import Change, Store
from agent.kube.convert.nodes import PoolRule, gpu_memory_mib, node_pool_of, pool_of
from agent.kube.protocol import Obj
from agent.kube.resources import EVENT, NODE, NODE_POOL, POD, PROJECT, RUNAI_CONFIG, WORKLOAD, Resource
from agent.kube.watch import Informers
from agent.link.devices import assign
from agent.link.outbox import Outbox
from agent.link.reports import (
    cluster_report,
    event_report,
    held_by,
    holds_node,
    node_report,
    pod_report,
    project_report,
    workload_report,
)
from agent.wire import labels, limits
from agent.wire.codec import to_dict

log = structlog.get_logger(__name__)

WATCHED: tuple[Resource, ...] = (NODE, POD, WORKLOAD, PROJECT, NODE_POOL, RUNAI_CONFIG)
ABOUT = frozenset({"Pod", "Workload", "PodGroup", "Project"})
"""Events about these kinds go up."""
MAX_EVENTS = 5_000
VERSION = "0.1.0"

Mark = tuple[str, str]


class Reporter:
    """``changed`` is set when something is to be flushed; ``flush`` brings all marks into the outbox."""

    def __init__(self, informers: Informers, cluster_id: str, pool_label: Callable[[], str]) -> None:
        """``pool_label``: the key of the node label that names the pool, as it is now."""
        self._stores: dict[Resource, Store] = {
            item: informers.of(item, optional=item is not POD).store for item in WATCHED
        }
        self._events = informers.of(EVENT, optional=True).store
        self._informers = informers
        self._cluster_id = cluster_id
        self._pool_label = pool_label
        self._pooled_by = pool_label()
        self._kubernetes = ""
        self._runs_as = "deployment" if os.environ.get("KUBERNETES_SERVICE_HOST") else "process"
        self._dirty: dict[Mark, None] = {}
        self._uids: dict[Mark, str] = {}
        """Which uid a key was reported under: a deletion names the uid, the mark only the key."""
        self._on_node: dict[str, dict[str, Obj]] = defaultdict(dict)
        self._devices: dict[str, dict[str, tuple[int, ...]]] = {}
        self._event_queue: OrderedDict[str, Obj] = OrderedDict()
        self._event_counts: OrderedDict[str, int] = OrderedDict()
        self.changed = asyncio.Event()

    async def start(self, kubernetes: str) -> None:
        """Wait for the first lists, then mark everything there is and follow every change."""
        self._kubernetes = kubernetes
        await self._informers.synced()
        handlers: dict[Resource, Callable[[Change], None]] = {
            NODE: self._node_changed,
            POD: self._pod_changed,
            WORKLOAD: lambda change: self._mark("Workload", change.key),
            PROJECT: self._project_changed,
            NODE_POOL: lambda change: self._mark_all("Node", NODE),
            RUNAI_CONFIG: self._config_changed,
        }
        for resource, handler in handlers.items():
            self._stores[resource].on_change(handler)
        self._events.on_change(self._event_changed)
        self._mark("Cluster", self._cluster_id)

    # ---- marks

    def _mark(self, kind: str, key: str) -> None:
        self._dirty[(kind, key)] = None
        self.changed.set()

    def _mark_all(self, kind: str, resource: Resource) -> None:
        known = self._stores[resource].keys()
        for key in known:
            self._mark(kind, key)

    def _config_changed(self, change: Change) -> None:
        self._mark("Cluster", self._cluster_id)
        self._follow_pool_label()

    def _follow_pool_label(self) -> None:
        if self._pool_label() != self._pooled_by:
            self._pooled_by = self._pool_label()
            self._mark_all("Node", NODE)

    def _node_changed(self, change: Change) -> None:
        self._mark("Node", change.key)

    def _pod_changed(self, change: Change) -> None:
        for obj in (change.old, change.new):
            node = (obj.get("spec") or {}).get("nodeName") if obj else None
            if node:
                self._on_node[node].pop(change.key, None)
                self._mark("Node", node)
        new = change.new
        if new is not None and holds_node(new):
            self._on_node[new["spec"]["nodeName"]][change.key] = new
        self._mark("Pod", change.key)

    def _project_changed(self, change: Change) -> None:
        self._mark("Project", change.key)
        if change.old is None:  # its pods may be older than it
            namespace = (change.current.get("spec") or {}).get("namespace")
            pods = self._stores[POD].keys()
            for key in pods:
                if key.startswith(f"{namespace}/"):
                    self._mark("Pod", key)

    def _event_changed(self, change: Change) -> None:
        event = change.new
        if event is None or (event.get("involvedObject") or {}).get("kind") not in ABOUT:
            return
        uid, count = event["metadata"].get("uid", ""), int(event.get("count") or 1)
        if self._event_counts.get(uid) == count:
            return
        self._event_counts[uid] = count
        self._event_queue[uid] = event
        while len(self._event_queue) > MAX_EVENTS:
            self._event_queue.popitem(last=False)
        while len(self._event_counts) > 4 * MAX_EVENTS:
            self._event_counts.popitem(last=False)
        self.changed.set()

    # ---- flush

    def flush(self, outbox: Outbox) -> None:
        """Turn all marks into reports. Nodes first: they decide which devices their pods hold."""
        self._follow_pool_label()  # the configuration has a watch of its own, which may be later than ours
        marks, self._dirty = self._dirty, {}
        self.changed.clear()
        rules = sorted((node_pool_of(obj)[1] for obj in self._stores[NODE_POOL]), key=lambda rule: rule.name)
        for kind, key in [mark for mark in marks if mark[0] == "Node"]:
            self._guard(kind, key, partial(self._node, key, rules, outbox))
        project_namespaces = {(obj.get("spec") or {}).get("namespace") for obj in self._stores[PROJECT]}
        late = [mark for mark in self._dirty if mark not in marks and mark[0] == "Pod"]
        for mark in late:
            del self._dirty[mark]
        for kind, key in [mark for mark in (*marks, *late) if mark[0] != "Node"]:
            self._guard(kind, key, partial(self._other, kind, key, project_namespaces, outbox))

    @staticmethod
    def _guard(kind: str, key: str, work: Callable[[], None]) -> None:
        """One object that cannot be read must not keep the others from being reported."""
        try:
            work()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("report_failed", kind=kind, key=key, error=repr(error))

    def _put(self, kind: str, key: str, uid: str, report: Any, outbox: Outbox) -> None:
        before = self._uids.get((kind, key))
        if before is not None and before != uid:
            outbox.drop(kind, before)
        self._uids[(kind, key)] = uid
        outbox.put(kind, uid, report)

    def _drop(self, kind: str, key: str, outbox: Outbox) -> None:
        uid = self._uids.pop((kind, key), None)
        if uid is not None:
            outbox.drop(kind, uid)

    def _node(self, name: str, rules: list[PoolRule], outbox: Outbox) -> None:
        node = self._stores[NODE].get(name)
        if node is None:
            self._drop("Node", name, outbox)
            self._devices.pop(name, None)
            return
        marks, pods = node["metadata"].get("labels") or {}, list(self._on_node.get(name, {}).values())
        held = [held_by(pod, gpu_memory_mib(marks)).holder for pod in pods]
        capacity = (node.get("status") or {}).get("capacity") or {}
        count = int(capacity.get(labels.GPU_RESOURCE) or 0)
        before = self._devices.get(name, {})
        self._devices[name] = assign(count, held, before)
        if self._devices[name] != before:
            for key in self._on_node.get(name, {}):
                self._dirty.setdefault(("Pod", key), None)
        pool = pool_of(marks, rules, self._pool_label())
        report = node_report(node, pool, pods, self._devices[name])
        self._put("Node", name, report.uid, report, outbox)

    def _other(self, kind: str, key: str, namespaces: set[Any], outbox: Outbox) -> None:
        if kind == "Cluster":
            config = self._stores[RUNAI_CONFIG].get("runai", labels.NAMESPACE)
            report = cluster_report(config, version=VERSION, kubernetes=self._kubernetes, runs_as=self._runs_as)
            self._put(kind, key, self._cluster_id, report, outbox)
            return
        resource = {"Pod": POD, "Workload": WORKLOAD, "Project": PROJECT}[kind]
        obj = self._stores[resource].by_key(key)
        if obj is None or (kind == "Pod" and not self._is_reported(obj, namespaces)):
            self._drop(kind, key, outbox)
            return
        self._put(kind, key, obj["metadata"].get("uid", ""), self._report(kind, obj), outbox)

    @staticmethod
    def _is_reported(pod: Obj, namespaces: set[Any]) -> bool:
        marks = pod["metadata"].get("labels") or {}
        return labels.WORKLOAD_ID in marks or pod["metadata"].get("namespace") in namespaces

    def _report(self, kind: str, obj: Obj) -> Any:
        if kind == "Workload":
            return workload_report(obj, self._cluster_id)
        if kind == "Project":
            return project_report(obj)
        name = (obj.get("spec") or {}).get("nodeName") or ""
        node = self._stores[NODE].get(name) if name else None
        taints = ((node or {}).get("spec") or {}).get("taints") or ()
        return pod_report(
            obj,
            simulated=any(taint.get("key") == labels.SIMULATED_TAINT for taint in taints),
            device_mib=gpu_memory_mib((node or {}).get("metadata", {}).get("labels") or {}),
            assignment=self._devices.get(name, {}),
        )

    def take_events(self) -> list[dict[str, object]]:
        """The next batch of events as reports; give them back with ``return_events`` if they could not be sent."""
        taken: list[dict[str, object]] = []
        while self._event_queue and len(taken) < limits.MAX_BATCH:
            _, event = self._event_queue.popitem(last=False)
            try:
                taken.append(to_dict(event_report(event)))
            except (ValueError, KeyError, TypeError) as error:
                log.error("report_failed", kind="Event", key=event["metadata"].get("name"), error=repr(error))
        return taken

    @property
    def has_events(self) -> bool:
        return bool(self._event_queue)
