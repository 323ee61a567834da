"""What a project's namespace holds besides its role bindings: the LimitRange and the pull secrets of its pods.

Pods that bring no service account of their own use ``default``, so that one names the secrets; an annotation there says
which are ours, and nobody else's are ever taken away. Safe to repeat: everything is compared with what is there.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.kube.cache import Change, Store
from agent.kube.errors import Conflict, NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import LIMIT_RANGE, SERVICE_ACCOUNT
from agent.kube.watch import Informers
from agent.loops.reconcile_workload import MANAGER
from agent.operator import desired
from agent.operator.reconcile import Create, Delete, Patch, reconcile
from agent.operator.workload import ProjectView
from agent.wire import labels
from agent.wire.config import Defaults

ACCOUNT = "default"


class Contents:
    """``changed`` is told the namespace in which one of these objects is another now."""

    def __init__(self, kube: Kube, informers: Informers, changed: Callable[[str], None]) -> None:
        self._kube, self._changed = kube, changed
        mine = f"{labels.MANAGED_BY}={labels.MANAGED_BY_OPERATOR}"
        self._limits: Store = informers.of(LIMIT_RANGE, labels=mine).store
        self._accounts: Store = informers.of(SERVICE_ACCOUNT, fields=f"metadata.name={ACCOUNT}").store
        self._limits.on_change(self._tell)
        self._accounts.on_change(self._tell)

    def _tell(self, change: Change) -> None:
        self._changed(change.current["metadata"]["namespace"])

    async def fill(self, view: ProjectView, defaults: Defaults) -> None:
        """Raises ``KubeError``."""
        wanted = desired.limit_range(view, defaults)
        have = self._limits.get(desired.LIMIT_RANGE, view.spec.namespace)
        for action in reconcile([wanted] if wanted else [], [have] if have else []):
            match action:
                case Create(obj) | Patch(obj):
                    await self._kube.apply(obj, manager=MANAGER)
                case Delete(_, namespace, name, uid):
                    await self._remove(name, namespace, uid)
        await self._account(view.spec.namespace, view.spec.image_pull_secrets)

    async def empty(self, namespace: str) -> None:
        """Take back what is ours: the namespace stays, its project goes."""
        if have := self._limits.get(desired.LIMIT_RANGE, namespace):
            await self._remove(desired.LIMIT_RANGE, namespace, have["metadata"]["uid"])
        await self._account(namespace, ())

    async def _account(self, namespace: str, secrets: tuple[str, ...]) -> None:
        """A fresh namespace has no account yet: its coming is told by the watch."""
        account = self._accounts.get(ACCOUNT, namespace)
        patch = desired.pull_secrets(account, secrets) if account is not None else None
        if patch is not None:
            try:
                await self._kube.patch(SERVICE_ACCOUNT, ACCOUNT, namespace, body=patch)
            except (NotFound, Conflict):  # gone, or changed by somebody: the watch shows it, and we look again
                return

    async def _remove(self, name: str, namespace: str, uid: str) -> None:
        try:
            await self._kube.delete(LIMIT_RANGE, name, namespace, uid=uid)
        except (NotFound, Conflict):
            return
