"""What is known of each workload's objects: facts of its pods and pod groups by the uid of the Workload, and who is to
be looked at when one of them changes.

Facts follow their own objects and nothing else. A definition that is away for a moment empties the cache of Workloads,
while their pods go on and tell no more news: what is known of them must still be there when the Workloads come back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from agent.kube.cache import Change, Store
from agent.kube.protocol import Obj
from agent.kube.resources import EVENT, NODE, POD, POD_GROUP
from agent.kube.watch import Informers
from agent.operator.causes import NO_SANDBOX, NOT_MOUNTED
from agent.operator.facts import NodeFacts, PodFacts, node_facts, number, pod_facts
from agent.operator.reconcile import is_ours
from agent.wire import labels

T = TypeVar("T")
_VAGUE = "Unable to attach or mount"
"""Begins the kubelet's sentence that gives no cause; there is another that does."""


class Facts:
    """``enqueue(namespace, name)`` of the Workload whose object changed; ``seen(kind, namespace, name)`` of the object
    itself. ``workload(uid)`` is its namespace and name, while there is such a Workload."""

    def __init__(
        self,
        informers: Informers,
        *,
        enqueue: Callable[[str, str], None],
        seen: Callable[[str, str, str], None],
        workload: Callable[[str], tuple[str, str] | None],
    ) -> None:
        self._enqueue, self._seen, self._workload = enqueue, seen, workload
        self._pods_of: dict[str, dict[str, PodFacts]] = {}
        self._groups_of: dict[str, dict[str, Obj]] = {}
        self._on_node: dict[str, set[str]] = {}
        """Node → uids of Workloads that have pods there."""
        self._nodes: Store = informers.store(NODE)
        self._facts_of_node: dict[str, NodeFacts] = {}
        self._obstacles: dict[str, dict[str, tuple[str, str]]] = {}
        """Uid of a pod → key of an Event → its reason and what the kubelet said."""
        self._pods: Store = informers.store(POD)
        self._pods.on_change(self._pod_changed)
        for reason in (NOT_MOUNTED, NO_SANDBOX):
            informers.of(EVENT, fields=f"reason={reason}", optional=True).store.on_change(self._obstacle_changed)
        informers.store(POD_GROUP).on_change(self._group_changed)
        self._nodes.on_change(self._node_changed)

    # ---- answers -------------------------------------------------------------------------------------------------

    def pods(self, uid: str) -> list[PodFacts]:
        """By index, then attempt."""
        found = sorted(self._pods_of.get(uid, {}).values(), key=lambda pod: (pod.index, pod.attempt))
        return [self._with_obstacle(pod) for pod in found] if self._obstacles else found

    def _with_obstacle(self, pod: PodFacts) -> PodFacts:
        said = self._obstacles.get(pod.uid)
        if not said or pod.set_up:
            return pod
        return replace(pod, obstacle=min(said.values(), key=lambda one: (one[1].startswith(_VAGUE), one)))

    def group(self, uid: str, name: str) -> Obj | None:
        return self._groups_of.get(uid, {}).get(name)

    def groups(self, uid: str) -> tuple[list[Obj], list[Obj]]:
        """Pod groups of the latest attempt (and those that others made for single pods), and of earlier ones."""
        known = list(self._groups_of.get(uid, {}).values())
        attempts = {id(group): (group["metadata"].get("labels") or {}).get(labels.ATTEMPT) for group in known}
        last = max((number(text) for text in attempts.values() if text is not None), default=0)
        old = [group for group in known if (text := attempts[id(group)]) is not None and number(text) < last]
        return [group for group in known if group not in old], [group for group in old if is_ours(group)]

    def nodes(self, pods: list[PodFacts]) -> dict[str, NodeFacts]:
        """Facts of the nodes that pods are on."""
        return {name: self._facts_of_node[name] for name in {pod.node for pod in pods} if name in self._facts_of_node}

    # ---- changes -------------------------------------------------------------------------------------------------

    def _pod_changed(self, change: Change) -> None:
        owner = owner_of(change.current)
        if owner is None:
            return
        name, namespace = change.current["metadata"]["name"], change.current["metadata"]["namespace"]
        if change.new is None:
            before = self._pods_of.get(owner["uid"], {}).get(name)
            _drop(self._pods_of, owner["uid"], name)
            if before is not None and before.node:
                self._left(owner["uid"], before.node)
        else:
            facts = pod_facts(change.new)
            if self._pods_of.get(owner["uid"], {}).get(name) == facts:
                return  # somebody wrote what means nothing here
            self._pods_of.setdefault(owner["uid"], {})[name] = facts
            if facts.node:
                self._on_node.setdefault(facts.node, set()).add(owner["uid"])
        self._seen("Pod", namespace, name)
        self._enqueue(namespace, owner["name"])

    def _obstacle_changed(self, change: Change) -> None:
        uid = str((change.current.get("involvedObject") or {}).get("uid") or "")
        event = change.new or {}
        fresh = str(event.get("reason") or ""), str(event.get("message") or "")
        if self._obstacles.get(uid, {}).get(change.key, ("", "")) == fresh:
            return  # said again
        if fresh[1]:
            self._obstacles.setdefault(uid, {})[change.key] = fresh
        else:
            _drop(self._obstacles, uid, change.key)
        pod = self._pods.by_uid(uid)
        if pod is not None and (owner := owner_of(pod)) is not None:
            self._enqueue(pod["metadata"]["namespace"], owner["name"])

    def _group_changed(self, change: Change) -> None:
        owner = owner_of(change.current)
        if owner is None:
            return
        name, namespace = change.current["metadata"]["name"], change.current["metadata"]["namespace"]
        if change.new is None:
            _drop(self._groups_of, owner["uid"], name)
        else:
            self._groups_of.setdefault(owner["uid"], {})[name] = change.new
        self._seen("PodGroup", namespace, name)
        self._enqueue(namespace, owner["name"])

    def _node_changed(self, change: Change) -> None:
        """A heartbeat is no change."""
        name = change.key
        facts = node_facts(change.new) if change.new is not None else None
        if facts == self._facts_of_node.get(name):
            return
        if facts is None:
            del self._facts_of_node[name]
        else:
            self._facts_of_node[name] = facts
        there = {uid for uid in self._on_node.get(name, ()) if self._has_pod_on(uid, name)}
        self._on_node[name] = there
        if facts is None and not there:
            del self._on_node[name]
        for uid in there:
            if (workload := self._workload(uid)) is not None:
                self._enqueue(*workload)

    def _left(self, uid: str, node: str) -> None:
        """A pod of that Workload is gone from there. Nodes may tell nothing for days: they are not waited for."""
        there = self._on_node.get(node, set())
        if not self._has_pod_on(uid, node):
            there.discard(uid)
        if not there:
            self._on_node.pop(node, None)

    def _has_pod_on(self, uid: str, node: str) -> bool:
        return any(pod.node == node for pod in self._pods_of.get(uid, {}).values())


def _drop(table: dict[str, dict[str, T]], uid: str, name: str) -> None:
    of = table.get(uid, {})
    of.pop(name, None)
    if not of:
        table.pop(uid, None)


def owner_of(obj: Obj) -> Obj | None:
    """The reference to the Workload that controls an object."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("kind") == "Workload" and str(reference.get("apiVersion", "")).startswith("run.ai/"):
            return dict(reference)
    return None
