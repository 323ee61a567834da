"""Allocates a pod's device claims on the node that it was planned for, and reserves them for it, before it is bound.

As kube-scheduler does: the claim is kept from deletion, its status names the devices and the pod. Kubernetes' own
controller takes a pod off when it is gone and the allocation with the last one. Safe to repeat: what a claim says
already is left, and every write names the version that it replaces.
"""

from __future__ import annotations

from agent.kube.convert import claims as read
from agent.kube.convert.claims import NotUnderstood, device_claim_keys
from agent.kube.errors import KubeError
from agent.kube.mirror.devices import Devices
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import RESOURCE_CLAIM


class ClaimsNotAllocated(Exception):
    """A claim of the pod has no devices on that node; the message says which and why."""


class ClaimBinder:
    """``needs`` says whether there is anything to do; ``bind`` does it."""

    def __init__(self, kube: Kube, devices: Devices) -> None:
        self._kube, self._devices = kube, devices

    def needs(self, pod: Obj) -> bool:
        return bool((pod.get("spec") or {}).get("resourceClaims"))

    async def bind(self, pod: Obj, node: str) -> None:
        """Returns when all claims of the pod are allocated on the node and reserved for it.

        Raises ``ClaimsNotAllocated`` and ``KubeError``; a claim that somebody else changed meanwhile is a conflict."""
        for key in device_claim_keys(pod):
            claim = self._devices.claims.get(key)
            if claim is None:
                raise ClaimsNotAllocated(f"device claim {key} does not exist")
            await self._reserve(key, await self._placed(key, claim, node, pod["metadata"]["uid"]), pod, node)

    async def _placed(self, key: str, claim: Obj, node: str, uid: str) -> Obj:
        """The claim, rid of an allocation on another node that only this pod holds."""
        where = self._devices.node_of(claim)
        if where in ("", node):
            return claim
        holders = (claim.get("status") or {}).get("reservedFor") or []
        if any(holder.get("uid") != uid for holder in holders):
            raise ClaimsNotAllocated(f"device claim {key} is in use on node {where}")
        return await self._write(claim, {"status": {"allocation": None, "reservedFor": None}}, "status")

    async def _reserve(self, key: str, claim: Obj, pod: Obj, node: str) -> None:
        meta, status = pod["metadata"], claim.get("status") or {}
        holders = list(status.get("reservedFor") or ())
        allocated = bool(status.get("allocation"))
        if allocated and any(holder.get("uid") == meta["uid"] for holder in holders):
            return
        change: Obj = {"reservedFor": [*holders, {"resource": "pods", "name": meta["name"], "uid": meta["uid"]}]}
        if allocated:
            await self._write(claim, {"status": change}, "status")
            return
        chosen = self._choose(key, claim, node)
        devices = self._devices
        device_class = devices.classes[chosen[0][0].device_class]
        change["allocation"] = read.allocation(claim, chosen, device_class, node)
        mine = {device.key: key for _, device in chosen}
        devices.taken |= mine
        try:
            await self._write(await self._protected(claim), {"status": change}, "status")
        except KubeError:
            devices.taken = {device: of for device, of in devices.taken.items() if device not in mine}
            raise

    def _choose(self, key: str, claim: Obj, node: str) -> list[tuple[read.Wanted, read.Device]]:
        try:
            chosen = self._devices.choose(claim, node)
        except NotUnderstood as error:
            raise ClaimsNotAllocated(f"device claim {key}: {error}") from error
        if not chosen:
            raise ClaimsNotAllocated(f"node {node} has no free devices for claim {key}")
        return chosen

    async def _protected(self, claim: Obj) -> Obj:
        have = claim["metadata"].get("finalizers") or []
        if read.FINALIZER in have:
            return claim
        return await self._write(claim, {"metadata": {"finalizers": [*have, read.FINALIZER]}})

    async def _write(self, claim: Obj, change: Obj, subresource: str | None = None) -> Obj:
        meta = claim["metadata"]
        body = change | {
            "metadata": {**change.get("metadata", {}), "uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        }
        return await self._kube.patch(
            RESOURCE_CLAIM, meta["name"], meta["namespace"], body=body, subresource=subresource
        )
