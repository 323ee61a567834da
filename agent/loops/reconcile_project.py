"""Departments, projects, access rules and node pools: namespaces, queues, role bindings, node labels.

Safe to die at any line: every object has a fixed name and is applied whole; a project keeps a finalizer until its
namespace is gone, so a deletion that was half done is taken up again. A namespace that was there before is adopted by
labels and never deleted; nothing is deleted when the definition of projects goes instead of the project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import structlog

from agent.kube.cache import Change, Store
from agent.kube.errors import AlreadyExists, Conflict, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import (
    ACCESS_RULE,
    CRD,
    DEPARTMENT,
    NAMESPACE,
    NODE,
    NODE_POOL,
    PROJECT,
    QUEUE,
    ROLE_BINDING,
    Resource,
)
from agent.kube.watch import Informers
from agent.loops.reconcile_contents import Contents
from agent.loops.reconcile_workload import MANAGER
from agent.operator import desired
from agent.operator.desired import FINALIZER, RuleView
from agent.operator.reconcile import Create, Delete, Patch, foreign, merge_patch, reconcile
from agent.operator.status import project_status
from agent.operator.workload import ProjectView
from agent.wire import labels
from agent.wire.config import ClusterConfig

log = structlog.get_logger(__name__)

Enqueue = Callable[[tuple[str, str]], None]
_RESOURCES = {"Queue": QUEUE, "RoleBinding": ROLE_BINDING}


class Projects:
    """Keys of the queue: ``("project", name)``, ``("department", name)``, ``("node", name)``."""

    def __init__(
        self,
        kube: Kube,
        informers: Informers,
        enqueue: Enqueue,
        *,
        config: Callable[[], ClusterConfig] = ClusterConfig,
    ) -> None:
        self._kube = kube
        self._enqueue = enqueue
        self._config = config
        self._contents = Contents(kube, informers, self._look_in)
        self.projects: Store = informers.store(PROJECT)
        self._departments: Store = informers.store(DEPARTMENT)
        self._rules: Store = informers.store(ACCESS_RULE)
        self._pools: Store = informers.store(NODE_POOL)
        self._namespaces: Store = informers.store(NAMESPACE)
        self._queues: Store = informers.store(QUEUE)
        self._nodes: Store = informers.store(NODE)
        mine = f"{labels.MANAGED_BY}={labels.MANAGED_BY_OPERATOR}"
        self._bindings: Store = informers.of(ROLE_BINDING, labels=mine).store
        self._by_namespace: dict[str, ProjectView] = {}
        self._owned: dict[str, dict[str, Obj]] = {}
        """Uid of a project or department → its queues by name."""
        self._bindings_in: dict[str, dict[str, Obj]] = {}
        self._listen()

    def of_namespace(self, namespace: str) -> ProjectView | None:
        """The project whose namespace this is, unless it is being deleted."""
        return self._by_namespace.get(namespace)

    # ---- hints ---------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self.projects.on_change(self._project_changed)
        self._departments.on_change(self._department_changed)
        self._rules.on_change(lambda change: self._all(self.projects, "project"))
        self._pools.on_change(lambda change: self._all(self._nodes, "node"))
        self._namespaces.on_change(self._namespace_changed)
        self._queues.on_change(self._queue_changed)
        self._bindings.on_change(self._binding_changed)
        self._nodes.on_change(self._node_changed)

    def look_again(self) -> None:
        """Something changed that may matter to every project and node."""
        self._all(self.projects, "project")
        self._all(self._nodes, "node")

    def _look_in(self, namespace: str) -> None:
        """Something in a namespace changed that belongs to its project."""
        if view := self._by_namespace.get(namespace):
            self._enqueue(("project", view.name))

    def _all(self, store: Store, kind: str) -> None:
        for obj in store:
            self._enqueue((kind, obj["metadata"]["name"]))

    def _project_changed(self, change: Change) -> None:
        view = _read(desired.read_project, change.current)
        if view is not None:
            gone = change.new is None or bool(change.new["metadata"].get("deletionTimestamp"))
            if gone and self._by_namespace.get(view.spec.namespace, view).name == view.name:
                self._by_namespace.pop(view.spec.namespace, None)
            elif not gone:
                self._by_namespace.setdefault(view.spec.namespace, view)
                if self._by_namespace[view.spec.namespace].name == view.name:
                    self._by_namespace[view.spec.namespace] = view
            self._enqueue(("namespace", view.spec.namespace))
            if view.spec.department:
                self._enqueue(("department", view.spec.department))
        self._enqueue(("project", change.key))

    def _department_changed(self, change: Change) -> None:
        self._enqueue(("department", change.key))
        for project in self.projects:
            if (project.get("spec") or {}).get("department") == change.key:
                self._enqueue(("project", project["metadata"]["name"]))

    def _namespace_changed(self, change: Change) -> None:
        project = (change.current["metadata"].get("labels") or {}).get(labels.PROJECT)
        view = self._by_namespace.get(change.key)
        for name in {project, view.name if view else None} - {None}:
            self._enqueue(("project", str(name)))

    def _queue_changed(self, change: Change) -> None:
        for owner in change.current["metadata"].get("ownerReferences") or ():
            _index(self._owned.setdefault(owner["uid"], {}), change)
            if owner.get("kind") in ("Department", "Project"):
                self._enqueue((owner["kind"].lower(), owner["name"]))

    def _binding_changed(self, change: Change) -> None:
        _index(self._bindings_in.setdefault(change.current["metadata"]["namespace"], {}), change)
        if project := (change.current["metadata"].get("labels") or {}).get(labels.PROJECT):
            self._enqueue(("project", project))

    def _node_changed(self, change: Change) -> None:
        if change.new is not None and (change.old is None or _marks(change.old) != _marks(change.new)):
            self._enqueue(("node", change.key))

    def _queues_of(self, uid: str, wanted: list[Obj]) -> list[Obj]:
        """Queues that belong to an owner, and others that have a name it needs."""
        found = dict(self._owned.get(uid, {}))
        for queue in wanted:
            other = self._queues.get(queue["metadata"]["name"])
            if other is not None:
                found.setdefault(other["metadata"]["name"], other)
        return list(found.values())

    # ---- departments ---------------------------------------------------------------------------------------------

    async def department(self, name: str) -> None:
        """Its queues, one per node pool that it or one of its projects uses."""
        obj = self._departments.get(name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return  # its queues go with it: they have it as their owner
        department = _read(desired.read_department, obj)
        if department is None:
            return
        pools = {pool for view in self._by_namespace.values() if view.spec.department == name for pool in view.pools}
        queues = desired.department_queues(department, sorted(pools))
        have = self._queues_of(obj["metadata"]["uid"], queues)
        await self._act(queues, have)
        taken = [key[2] for key in foreign(queues, have)]
        message = f"queue {taken[0]} exists and belongs to somebody else" if taken else ""
        await self._status(DEPARTMENT, obj, {"phase": "NotReady" if taken else "Ready", "message": message})

    # ---- projects ------------------------------------------------------------------------------------------------

    async def project(self, name: str) -> None:
        """Namespace, queues and role bindings of one project, or their end."""
        obj = self.projects.get(name)
        if obj is None:
            return
        view = _read(desired.read_project, obj)
        if obj["metadata"].get("deletionTimestamp"):
            await self._end(obj, view)
            return
        if view is None:
            await self._status(PROJECT, obj, {"phase": "NotReady", "message": "its spec cannot be read"})
            return
        if FINALIZER not in (obj["metadata"].get("finalizers") or ()):
            await self._finalizers(obj, [*(obj["metadata"].get("finalizers") or ()), FINALIZER])
        queues = desired.project_queues(view, obj["metadata"]["uid"])
        have = self._queues_of(obj["metadata"]["uid"], queues)
        await self._act(queues, have)
        trouble = await self._namespace(view)
        if not trouble:
            await self._bind(view)
            await self._contents.fill(view, self._config().defaults)
            if taken := foreign(queues, have):
                trouble = f'queue "{taken[0][2]}" exists and belongs to somebody else'
        department = view.spec.department
        if not trouble and department and self._departments.get(department) is None:
            trouble = f'department "{department}" does not exist in this cluster'
        await self._status(PROJECT, obj, project_status(view, have, trouble, ready=self._ready(view)))

    async def _namespace(self, view: ProjectView) -> str:
        """Make or adopt the namespace. Answers what is in the way, or ""."""
        name = view.spec.namespace
        have = self._namespaces.get(name)
        if have is None:
            if not self._config().create_namespaces:
                return (
                    f'namespace "{name}" does not exist and the RunaiConfig has createNamespaces: false; '
                    f"make it with label {labels.QUEUE_OF_NAMESPACE}={view.name}"
                )
            try:
                await self._kube.create(desired.namespace(view, adopted=False))
                return ""
            except AlreadyExists:
                have = await self._kube.get(NAMESPACE, name)
        marks = have["metadata"].get("labels") or {}
        if have["metadata"].get("deletionTimestamp"):
            return f'namespace "{name}" is still being deleted'
        if marks.get(labels.PROJECT) not in (None, view.name) or self._by_namespace.get(name, view).name != view.name:
            owner = marks.get(labels.PROJECT) or self._by_namespace[name].name
            return f'namespace "{name}" belongs to project "{owner}"'
        wanted = desired.namespace(view, adopted=True)["metadata"]["labels"]
        missing = {key: value for key, value in wanted.items() if marks.get(key) != value}
        if missing:
            await self._kube.patch(NAMESPACE, name, body={"metadata": {"labels": missing}})
        return ""

    async def _bind(self, view: ProjectView) -> None:
        wanted = desired.role_bindings(view, self._all_rules())
        have = list(self._bindings_in.get(view.spec.namespace, {}).values())
        await self._act(wanted, have)

    def _all_rules(self) -> list[RuleView]:
        read = (_read(desired.read_rule, obj) for obj in self._rules if not obj["metadata"].get("deletionTimestamp"))
        return [rule for rule in read if rule is not None]

    def _ready(self, view: ProjectView) -> bool:
        have = self._namespaces.get(view.spec.namespace)
        phase = ((have or {}).get("status") or {}).get("phase", "Active")
        return have is not None and phase == "Active"

    async def _end(self, obj: Obj, view: ProjectView | None) -> None:
        """The project is being deleted: first its namespace, if we made it, then the finalizer; queues follow."""
        finalizers = list(obj["metadata"].get("finalizers") or ())
        if FINALIZER not in finalizers:
            return
        if view is not None and not await self._definition_goes() and not await self._namespace_gone(obj, view):
            return
        finalizers.remove(FINALIZER)
        await self._finalizers(obj, finalizers)

    async def _definition_goes(self) -> bool:
        """Is it the kind that is being deleted, not this project? Then the namespaces stay."""
        try:
            definition = await self._kube.get(CRD, f"{PROJECT.plural}.{PROJECT.group}")
        except NotFound:
            return True
        return bool(definition["metadata"].get("deletionTimestamp"))

    async def _namespace_gone(self, obj: Obj, view: ProjectView) -> bool:
        name = view.spec.namespace
        have = self._namespaces.get(name)
        marks = ((have or {}).get("metadata") or {}).get("labels") or {}
        if have is None or marks.get(labels.PROJECT) != view.name:
            return True
        if marks.get(labels.MANAGED_BY) != labels.MANAGED_BY_OPERATOR:
            await self._give_back(name)
            return True
        if not have["metadata"].get("deletionTimestamp"):
            try:
                await self._kube.delete(NAMESPACE, name, uid=have["metadata"]["uid"])
                log.info("namespace_deleted", namespace=name, project=view.name)
            except (NotFound, Conflict):
                return False  # look again with a fresh cache
        await self._status(PROJECT, obj, {"phase": "Deleting", "message": f'waiting for namespace "{name}" to empty'})
        return False

    async def _give_back(self, namespace: str) -> None:
        """An adopted namespace stays, without our labels and role bindings."""
        have = list(self._bindings_in.get(namespace, {}).values())
        await self._act([], have)
        await self._contents.empty(namespace)
        marks = {labels.PROJECT: None, labels.QUEUE_OF_NAMESPACE: None}
        await self._kube.patch(NAMESPACE, namespace, body={"metadata": {"labels": marks}})

    # ---- nodes ---------------------------------------------------------------------------------------------------

    async def node(self, name: str) -> None:
        """The label of its pool, for pools that are chosen by another label."""
        node = self._nodes.get(name)
        if node is None:
            return
        pools = [pool for obj in self._pools if (pool := _read(desired.read_node_pool, obj)) is not None]
        if patch := desired.node_pool_label(node, pools, self._config().node_pool_label_key):
            await self._kube.patch(NODE, name, body=patch)

    # ---- doing ---------------------------------------------------------------------------------------------------

    async def _act(self, wanted: list[Obj], have: Iterable[Obj]) -> None:
        for action in reconcile(wanted, have):
            match action:
                case Create(obj) | Patch(obj):
                    await self._kube.apply(obj, manager=MANAGER)
                case Delete(kind, namespace, name, uid):
                    try:
                        await self._kube.delete(_RESOURCES[kind], name, namespace or None, uid=uid)
                    except (NotFound, Conflict):
                        continue

    async def _finalizers(self, obj: Obj, finalizers: list[str]) -> None:
        """With the version we read: two writers of the list must not undo each other."""
        meta = {"finalizers": finalizers, "resourceVersion": obj["metadata"]["resourceVersion"]}
        try:
            await self._kube.patch(PROJECT, obj["metadata"]["name"], body={"metadata": meta})
        except NotFound:
            return

    async def _status(self, resource: Resource, obj: Obj, status: dict[str, Any]) -> None:
        wanted = status | {"observedGeneration": int(obj["metadata"].get("generation") or 0)}
        change = merge_patch({key: value for key, value in (obj.get("status") or {}).items() if key in wanted}, wanted)
        if change:
            try:
                name = obj["metadata"]["name"]
                await self._kube.patch(resource, name, body={"status": change}, subresource="status")
            except NotFound:
                return


def _read(reader: Callable[[Obj], Any], obj: Obj) -> Any:
    """The view of an object, or None (and a line in the log) where its spec cannot be read."""
    try:
        return reader(obj)
    except (ValueError, TypeError) as error:
        log.warning("spec_unreadable", kind=obj.get("kind"), name=obj["metadata"]["name"], error=str(error))
        return None


def _index(index: dict[str, Obj], change: Change) -> None:
    if change.new is None:
        index.pop(change.key, None)
    else:
        index[change.key] = change.new


def _marks(node: Obj) -> Any:
    meta = node["metadata"]
    return meta.get("labels"), (meta.get("annotations") or {}).get(desired.NODE_POOL_BY)
