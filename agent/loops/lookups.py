"""What the scheduler must ask the API server for, object by object: owners of pods, and objects that pods name.

Both are caches: losing them costs a few GETs. Answers go into the mirror, which then wakes the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from agent.grouping.owners import Owner, Reference, owner_of
from agent.kube.discovery import Discovery
from agent.kube.errors import Forbidden, KubeError, NotFound
from agent.kube.mirror import Mirror
from agent.kube.mirror.needs import Need
from agent.kube.protocol import Kube
from agent.kube.resources import CONFIG_MAP

log = structlog.get_logger(__name__)

POLL_S = 1.0
"""How often missing objects are looked for again."""
FORGET_S = 300.0
_AT_ONCE = 16
_AGAIN_AT_ONCE = 4
_KINDS = {"ConfigMap": CONFIG_MAP}


class Lookups:
    """``poke`` after each batch of changes; ``run`` does the asking."""

    def __init__(self, kube: Kube, mirror: Mirror) -> None:
        self._kube = kube
        self._mirror = mirror
        self._discovery = Discovery(kube)
        self._wake = asyncio.Event()
        self._exists: dict[Need, bool] = {}
        self._reading: set[Reference] = set()
        self._failed: set[Reference] = set()
        self._first, self._again = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_AGAIN_AT_ONCE)

    def poke(self) -> None:
        if self._mirror.owners.wanted or self._mirror.needs.wanted:
            self._wake.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            forget_at = asyncio.get_running_loop().time() + FORGET_S
            while True:
                try:
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
                self._owners(group)
                await self._objects()
                if asyncio.get_running_loop().time() > forget_at:
                    self._mirror.forget_owners()
                    forget_at += FORGET_S

    def _owners(self, group: asyncio.TaskGroup) -> None:
        """Each on its own: one that cannot be read for seconds keeps no other waiting. Failed ones have few places."""
        wanted = self._mirror.owners.wanted
        self._failed &= wanted.keys()
        for reference, namespace in wanted.items():
            if reference not in self._reading:
                self._reading.add(reference)
                group.create_task(self._owner(reference, namespace))

    async def _owner(self, reference: Reference, namespace: str) -> None:
        try:
            async with self._again if reference in self._failed else self._first:
                owner = await self._read_owner(reference, namespace)
        except KubeError as error:
            self._failed.add(reference)
            log.warning("owner_not_read", kind=reference.kind, name=reference.name, error=error.message)
            self._mirror.owner_failed(reference, error.message)
            return
        finally:
            self._reading.discard(reference)
        self._mirror.learn(owner)

    async def _read_owner(self, reference: Reference, namespace: str) -> Owner:
        """Not known when it is gone, another one of that name, or may not be read: then its pods go on without it."""
        try:
            resource = await self._discovery.find(reference.api_version, reference.kind)
            if resource is None:
                return owner_of(reference, None)
            obj = await self._kube.get(resource, reference.name, namespace if resource.namespaced else None)
        except NotFound:
            return owner_of(reference, None)
        except Forbidden:
            return Owner(reference, known=False, forbidden=True)
        return owner_of(reference, obj if obj["metadata"].get("uid") == reference.uid else None)

    async def _objects(self) -> None:
        wanted = self._mirror.needs.wanted
        self._exists = {need: True for need, there in self._exists.items() if there and need in wanted}
        unknown = [need for need in wanted if need not in self._exists]
        for start in range(0, len(unknown), _AT_ONCE):
            await asyncio.gather(*(self._object(need) for need in unknown[start : start + _AT_ONCE]))
        affected: set[str] = set()
        for need in unknown:
            affected |= wanted.get(need, set())
        self._tell(affected | self._answered())

    def _answered(self) -> set[str]:
        """Pods nobody has told yet although all they name is known: others named it before them."""
        needs = self._mirror.needs
        return {uid for uid in self._mirror.demand.unresolved if self._exists.keys() >= set(needs.of(uid))}

    async def _object(self, need: Need) -> None:
        kind, namespace, name = need
        try:
            await self._kube.get(_KINDS[kind], name, namespace)
            self._exists[need] = True
        except NotFound:
            self._exists[need] = False
        except KubeError as error:
            log.warning("object_not_read", kind=kind, name=name, error=error.message)

    def _tell(self, uids: Iterable[str]) -> None:
        for uid in uids:
            needs = self._mirror.needs.of(uid)
            gone = tuple(
                f"{kind} {namespace}/{name}"
                for kind, namespace, name in needs
                if not self._known(kind, namespace, name)
            )
            self._mirror.set_missing(uid, gone)

    def _known(self, kind: str, namespace: str, name: str) -> bool:
        return self._exists.get((kind, namespace, name), True)
