"""Informers: keep a ``Store`` true to the server by list and watch, and survive everything a watch can do.

List in pages, watch from there with bookmarks, resume from the last version when the stream ends (with or without a
word), list again on 410, wait with jittered back-off when the server is away. Losing an informer loses nothing: the
next list tells the differences.
"""

from __future__ import annotations

import asyncio
import random
import time

import structlog

from agent.kube.cache import Store
from agent.kube.errors import Forbidden, Gone, KubeError, NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import Resource

log = structlog.get_logger(__name__)

_BACKOFF_MAX_S = 5.0
_MISSING_KIND_S = 10.0
_STALE_S = 180.0


class Informer:
    """``Informer(kube, POD)``; run ``run()`` as a task, await ``synced()``, read ``store``."""

    def __init__(
        self,
        kube: Kube,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        optional: bool = False,
    ) -> None:
        """``optional``: the kind may not be installed, or not be ours to read (rights of an earlier release); then the
        store stays empty and counts as synced."""
        self.resource = resource
        self.store = Store()
        self.installed = True
        self.relists = 0
        self._kube = kube
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self.optional = optional
        self._synced = asyncio.Event()
        self._version = ""
        self._heard = time.monotonic()

    async def synced(self) -> None:
        """Returns once the first list is in the store."""
        await self._synced.wait()

    @property
    def is_synced(self) -> bool:
        return self._synced.is_set()

    @property
    def is_stale(self) -> bool:
        """True when nothing (not even a bookmark) was heard for three minutes: do not decide on this store."""
        return time.monotonic() - self._heard > _STALE_S

    async def run(self) -> None:
        """Follow the server until cancelled."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._follow()
                failures = 0
                # A small fresh server may end each watch at once: do not spin on it.
                await asyncio.sleep(random.uniform(0.0, 0.05))  # noqa: S311
            except Gone:
                self._version = ""
            except NotFound as error:
                await self._kind_missing(error)
            except KubeError as error:
                failures += 1
                if self.optional and isinstance(error, Forbidden):
                    self._synced.set()
                await self._back_off(failures, error)

    async def _list(self) -> None:
        listing = await self._kube.list(self.resource, self._namespace, labels=self._labels, fields=self._fields)
        self.relists += 1
        self.installed = True
        self._version = listing.resource_version
        self._heard = time.monotonic()
        self.store.replace_all(listing.items)
        self._synced.set()

    async def _follow(self) -> None:
        events = self._kube.watch(
            self.resource,
            self._namespace,
            resource_version=self._version,
            labels=self._labels,
            fields=self._fields,
        )
        async for event in events:
            self._heard = time.monotonic()
            self._version = str(event.object["metadata"]["resourceVersion"])
            if event.type == "DELETED":
                self.store.drop(event.object)
            elif event.type != "BOOKMARK":
                self.store.put(event.object)
        self._heard = time.monotonic()

    async def _kind_missing(self, error: KubeError) -> None:
        """The CRD is not installed, or was deleted: the store empties; look again now and then."""
        if not self.optional and self.installed:
            log.warning("kind_not_installed", kind=self.resource.kind, error=error.message)
        self.installed = False
        self._version = ""
        self._heard = time.monotonic()
        self.store.replace_all([])
        if self.optional:
            self._synced.set()
        await asyncio.sleep(_MISSING_KIND_S if self.optional else 1.0)

    async def _back_off(self, failures: int, error: KubeError) -> None:
        pause = min(_BACKOFF_MAX_S, 0.1 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
        pause = max(pause, error.retry_after or 0.0)
        if failures in (1, 5) or failures % 20 == 0:
            log.warning("watch_failed", kind=self.resource.kind, failures=failures, error=error.message)
        await asyncio.sleep(pause)


class Informers:
    """The informers of one process: every role asks here, so that each kind is watched once."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self._informers: dict[tuple[Resource, str | None, str, str], Informer] = {}
        self._tasks: dict[Informer, asyncio.Task[None]] = {}

    def of(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        optional: bool = False,
    ) -> Informer:
        """The informer of a kind (and selector), started on first use. Call from inside the event loop."""
        key = (resource, namespace, labels, fields)
        informer = self._informers.get(key)
        if informer is None:
            informer = Informer(self.kube, resource, namespace, labels=labels, fields=fields, optional=optional)
            self._informers[key] = informer
            self._tasks[informer] = asyncio.create_task(informer.run(), name=f"watch-{resource.plural}")
        informer.optional |= optional
        return informer

    def store(self, resource: Resource, namespace: str | None = None, *, optional: bool = False) -> Store:
        return self.of(resource, namespace, optional=optional).store

    async def synced(self) -> None:
        """Returns once every informer asked for so far has its first list. Raises if one of them died."""
        waits = [asyncio.create_task(informer.synced()) for informer in self._informers.values()]
        try:
            pending: set[asyncio.Task[None]] = set(waits)
            while pending:
                done, _ = await asyncio.wait({*pending, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                pending -= done
        finally:
            for task in waits:
                task.cancel()

    async def run(self) -> None:
        """Wait for ever; raises if an informer dies of a defect, so that its process ends and is restarted."""
        while True:
            if not self._tasks:
                await asyncio.sleep(0.2)
                continue
            done, _ = await asyncio.wait(self._tasks.values(), timeout=1.0, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._informers.clear()
        self._tasks.clear()

    @property
    def lists(self) -> dict[str, int]:
        """How often each kind was listed in full; after its start that means a watch could not be resumed."""
        found: dict[str, int] = {}
        for informer in self._informers.values():
            found[informer.resource.kind] = found.get(informer.resource.kind, 0) + informer.relists
        return found

    @property
    def stale(self) -> list[str]:
        """Kinds whose informer has not heard from the server for long."""
        return [informer.resource.kind for informer in self._informers.values() if informer.is_stale]
