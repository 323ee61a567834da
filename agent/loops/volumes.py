"""Gives a pod's unbound claims their volumes on the node that it was planned for, before the pod is bound there.

As kube-scheduler does: a free volume that fits gets the claim written into ``claimRef``, and the volume controller
completes the pair; else the claim is told the node, and the provisioner of its class makes a volume there. The pod
holds its place meanwhile. Safe to repeat: a claim that has its volume, or was told the node, is only waited for, and
every write names the version that it replaces.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from agent.kube.convert import volumes as read
from agent.kube.errors import Conflict, KubeError, NotFound
from agent.kube.mirror import Mirror
from agent.kube.mirror.volumes import claim_keys
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM

log = structlog.get_logger(__name__)

BIND_S = 120.0
"""Volumes that are not there by then are given up for this time: the pod is planned anew after its pause."""
LOOK_S = 0.1


class VolumesNotBound(Exception):
    """A claim of the pod has no volume on that node; the message says which and why."""


class VolumeBinder:
    """``needs`` says whether there is anything to do; ``bind`` does it and waits."""

    def __init__(self, kube: Kube, mirror: Mirror, *, leading: Callable[[], bool], bind_s: float = BIND_S) -> None:
        self._kube, self._mirror, self._leading, self._bind_s = kube, mirror, leading, bind_s
        self._taken: dict[str, str] = {}
        """Volume → claim that it is being given to, until the volume itself says so."""

    def needs(self, pod: Obj) -> bool:
        """Whether a claim of the pod waits for its node."""
        return bool((pod.get("spec") or {}).get("volumes")) and bool(self._mirror.volumes.unbound(pod))

    async def bind(self, pod: Obj, node: str) -> None:
        """Returns when all claims of the pod are bound to volumes that the node reaches. Raises ``VolumesNotBound``."""
        give_up = time.monotonic() + self._bind_s
        told: dict[str, str] = {}
        for claim in self._mirror.volumes.unbound(pod):
            if await self._begin(claim, node):
                told[_key(claim)] = claim["metadata"]["resourceVersion"]
        try:
            while waiting := self._mirror.volumes.unbound(pod):
                self._still_told(waiting, told, node)
                if time.monotonic() > give_up:
                    raise VolumesNotBound(f"{_names(waiting)} not bound after {self._bind_s:.0f} s")
                await asyncio.sleep(LOOK_S)
            self._reached(pod, node)
        finally:
            keys = set(claim_keys(pod))
            self._taken = {volume: key for volume, key in self._taken.items() if key not in keys}

    async def _begin(self, claim: Obj, node: str) -> bool:
        """Give the claim a volume, or tell it the node: then True."""
        if not self._leading():
            raise VolumesNotBound("another scheduler leads now")
        key = _key(claim)
        chosen = read.choose(self._free(key), claim, node, self._labels(node))
        try:
            if chosen is not None:
                self._taken[chosen["metadata"]["name"]] = key
                await self._give(chosen, claim)
                return False
            if not read.provisions(self._mirror.volumes.storage_class(claim)):
                raise VolumesNotBound(f"no free volume on node {node} fits claim {key}")
            if read.selected_node(claim) != node:
                await self._tell(claim, node)
        except (NotFound, Conflict) as error:
            raise VolumesNotBound(f"claim {key} or its volume has changed: {error.message}") from error
        except KubeError as error:
            raise VolumesNotBound(f"claim {key}: {error.message}") from error
        return True

    def _free(self, key: str) -> list[Obj]:
        """Volumes that are not on their way to another claim."""
        volumes = self._mirror.volumes.volumes
        return [one for name, one in volumes.items() if self._taken.get(name, key) == key]

    def _labels(self, node: str) -> dict[str, str]:
        found = self._mirror.supply.node(node)
        return dict(found.labels) if found is not None else {}

    async def _give(self, volume: Obj, claim: Obj) -> None:
        """Write the claim into the volume, unless it stands there already."""
        meta = claim["metadata"]
        if ((volume.get("spec") or {}).get("claimRef") or {}).get("uid") == meta["uid"]:
            return
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        }
        head = {
            "resourceVersion": volume["metadata"]["resourceVersion"],
            "annotations": {read.BOUND_BY_CONTROLLER: "yes"},
        }
        body = {"metadata": head, "spec": {"claimRef": reference}}
        await self._kube.patch(PERSISTENT_VOLUME, volume["metadata"]["name"], body=body)

    async def _tell(self, claim: Obj, node: str) -> None:
        meta = claim["metadata"]
        head = {"resourceVersion": meta["resourceVersion"], "annotations": {read.SELECTED_NODE: node}}
        await self._kube.patch(PERSISTENT_VOLUME_CLAIM, meta["name"], meta["namespace"], body={"metadata": head})
        log.info("claim_told", claim=f"{meta['namespace']}/{meta['name']}", node=node)

    def _still_told(self, waiting: list[Obj], told: dict[str, str], node: str) -> None:
        """A provisioner that cannot serve the node takes the node off the claim. ``told``: claim → its version before:
        whatever comes after that one has been told."""
        for claim in waiting:
            before = told.get(_key(claim), "")
            if before and before != claim["metadata"]["resourceVersion"] and read.selected_node(claim) != node:
                raise VolumesNotBound(f"claim {_key(claim)} cannot be served on node {node}")

    def _reached(self, pod: Obj, node: str) -> None:
        volumes, labels = self._mirror.volumes, self._labels(node)
        for key in claim_keys(pod):
            claim = volumes.claims.get(key)
            if claim is None:
                raise VolumesNotBound(f"claim {key} is gone")
            name = claim["spec"]["volumeName"]
            volume = volumes.volumes.get(name)
            if volume is not None and not read.reachable(volume, node, labels):
                raise VolumesNotBound(f"volume {name} of claim {key} is not reached from node {node}")


def _key(claim: Obj) -> str:
    return f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"


def _names(claims: list[Obj]) -> str:
    return "claims " + ", ".join(map(_key, claims))
