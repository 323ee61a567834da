"""The operator role: a level-triggered work queue over the caches; each key is reconciled by the rooms beside it.

Watches only say what to look at; what to do is always decided from the whole present state. So events may be lost,
doubled or late, and the process may die anywhere: at the start every object is looked at once.
"""

from __future__ import annotations

import asyncio
import os

import structlog

from agent.kube.cache import Change
from agent.kube.errors import KubeError
from agent.loops.configured import Configured
from agent.loops.context import Context
from agent.loops.reconcile_config import ClusterStatus
from agent.loops.reconcile_project import Projects
from agent.loops.reconcile_workload import Workloads
from agent.loops.workqueue import WorkQueue

log = structlog.get_logger(__name__)

Key = tuple[str, str]
WORKERS = int(os.environ.get("RUNAI_AGENT_OPERATOR_WORKERS", "32"))
CONFIG_EVERY_S = 10.0


class Operator:
    """The queue, its workers and the rooms they call. ``run`` never returns; ``settle`` is for tests."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[Key] = WorkQueue()
        self.configured = Configured(context.informers)
        self.projects = Projects(context.kube, context.informers, self._changed, config=lambda: self.configured.spec)
        self.workloads = Workloads(
            context.kube,
            context.informers,
            self.projects.of_namespace,
            lambda key: self.queue.add(("workload", key)),
            config=lambda: self.configured.spec,
        )
        self.cluster = ClusterStatus(context, self.configured)
        self.configured.on_change(self._config_changed)
        self._workloads_in: dict[str, set[str]] = {}
        self.workloads.workloads.on_change(self._index)

    def _index(self, change: Change) -> None:
        namespace = change.current["metadata"]["namespace"]
        keys = self._workloads_in.setdefault(namespace, set())
        keys.discard(change.key) if change.new is None else keys.add(change.key)

    def _config_changed(self) -> None:
        """It says how namespaces are made and filled, too."""
        self.queue.add(("cluster", ""))
        self.projects.look_again()
        for obj in self.workloads.workloads:
            if (obj.get("spec") or {}).get("ports"):
                self.queue.add(("workload", f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"))

    def _changed(self, key: Key) -> None:
        kind, name = key
        if kind == "namespace":  # its project came, went or changed
            for workload in self._workloads_in.get(name, ()):
                self.queue.add(("workload", workload))
        else:
            self.queue.add(key)

    async def run(self) -> None:
        await self._context.informers.synced()
        self._context.health.set(True, "working")
        self.queue.add(("cluster", ""))
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def settle(self, quiet_s: float = 0.05) -> None:
        """Return once the queue has been idle for ``quiet_s``; for tests."""
        quiet = 0
        while quiet < 5:
            quiet = quiet + 1 if self.queue.idle else 0
            await asyncio.sleep(quiet_s / 5)

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            if not self._context.leading:
                self.queue.failed(key, at_least_s=0.5)
                continue
            try:
                again = await self._reconcile(key)
            except KubeError as error:
                pause = self.queue.failed(key, error.retry_after or 0.0)
                if self.queue.failures(key) in (1, 5) or self.queue.failures(key) % 20 == 0:
                    log.warning("reconcile_failed", key=":".join(key), again_s=round(pause, 2), error=error.message)
            except Exception:
                # A defect in the handling of one object must not stop the others.
                pause = self.queue.failed(key, at_least_s=1.0)
                log.exception("reconcile_broken", key=":".join(key), again_s=round(pause, 2))
            else:
                self.queue.done(key)
                if again is not None:
                    self.queue.add_after(key, again)

    async def _reconcile(self, key: Key) -> float | None:
        kind, name = key
        match kind:
            case "workload":
                return await self.workloads.reconcile(name)
            case "project":
                await self.projects.project(name)
            case "department":
                await self.projects.department(name)
            case "node":
                await self.projects.node(name)
            case "cluster":
                await self.cluster.reconcile()
                return CONFIG_EVERY_S
        return None


async def run(context: Context) -> None:
    """The role; ends only by an error."""
    await Operator(context).run()
