"""Allocates a pod's device claims on the node that it was planned for, and reserves them for it, before it is bound.

As kube-scheduler does: the claim is kept from deletion, its status names the devices and the pod. Kubernetes' own
controller takes a pod off when it is gone and the allocation with the last one. Safe to repeat: what a claim says
already is left, and every write names the version that it replaces. Pods of one claim take turns; one that finds the
claim changed by somebody else looks at it once more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from agent.kube.convert import claims as read
from agent.kube.convert.claims import NotUnderstood, device_claim_keys
from agent.kube.errors import Conflict, KubeError, NotFound, ServerFailed, Unreachable
from agent.kube.mirror.devices import Devices
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import POD, RESOURCE_CLAIM

DOUBT_S = 90.0
"""How long devices stay taken after a write that was not answered: longer than the API server works on a request."""
FREE: Obj = {"status": {"allocation": None, "reservedFor": None}}


class ClaimsNotAllocated(Exception):
    """A claim of the pod has no devices on that node; the message says which and why."""


class _Turn:
    """Whose turn it is at one claim, while anybody waits; ``written`` is what our last write returned."""

    def __init__(self) -> None:
        self.lock, self.users = asyncio.Lock(), 0
        self.written: Obj | None = None


class ClaimBinder:
    """``needs`` says whether there is anything to do; ``bind`` does it."""

    def __init__(self, kube: Kube, devices: Devices) -> None:
        self._kube, self._devices = kube, devices
        self._turns: dict[str, _Turn] = {}
        self._doubts: dict[str, asyncio.TimerHandle] = {}
        """By claim: when devices that a write without an answer may have given to it are free again."""

    def needs(self, pod: Obj) -> bool:
        return bool((pod.get("spec") or {}).get("resourceClaims"))

    async def bind(self, pod: Obj, node: str) -> Mapping[str, Obj]:
        """Returns when all claims of the pod are allocated on the node and reserved for it: the claims by key, for
        ``give_back`` should the pod not be bound after all.

        Raises ``ClaimsNotAllocated`` and ``KubeError``; one that somebody else changed meanwhile is a conflict. What
        the pod's other claims got is given back then."""
        held: dict[str, Obj] = {}
        try:
            for key in device_claim_keys(pod):
                async with self._turn(key) as turn:
                    held[key] = await self._hold(key, turn, pod, node)
        except (ClaimsNotAllocated, KubeError):
            await self.give_back(pod, held)
            raise
        return held

    async def give_back(self, pod: Obj, held: Mapping[str, Obj]) -> None:
        """Take the devices off claims that only this pod holds and does not use, as far as the API lets us: the planner
        counts them as free. In the version that was seen: who has joined since makes it a conflict."""
        if held:
            with contextlib.suppress(KubeError):
                await self._give_back(pod, held)

    async def _give_back(self, pod: Obj, held: Mapping[str, Obj]) -> None:
        meta = pod["metadata"]
        current = await self._kube.get(POD, meta["name"], meta["namespace"])
        if current["metadata"]["uid"] != meta["uid"] or (current.get("spec") or {}).get("nodeName"):
            return
        for key, claim in held.items():
            holders = (claim.get("status") or {}).get("reservedFor") or []
            if [holder.get("uid") for holder in holders] != [meta["uid"]]:
                continue
            async with self._turn(key) as turn:
                with contextlib.suppress(Conflict, NotFound):
                    turn.written = await self._write(claim, FREE, "status")
                    self._devices.release(device for device, of in self._devices.taken.items() if of == key)

    @contextlib.asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[_Turn]:
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield turn
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[key]

    async def _hold(self, key: str, turn: _Turn, pod: Obj, node: str) -> Obj:
        claim = self._devices.claims.get(key)
        if claim is None:
            raise ClaimsNotAllocated(f"device claim {key} does not exist")
        if turn.written is not None and _is_later(turn.written, claim):
            claim = turn.written
        try:
            turn.written = await self._held(key, claim, pod, node)
        except Conflict:
            meta = claim["metadata"]
            current = await self._kube.get(RESOURCE_CLAIM, meta["name"], meta["namespace"])
            turn.written = await self._held(key, current, pod, node)
        return turn.written

    async def _held(self, key: str, claim: Obj, pod: Obj, node: str) -> Obj:
        return await self._reserve(key, await self._placed(key, claim, node, pod["metadata"]["uid"]), pod, node)

    async def _placed(self, key: str, claim: Obj, node: str, uid: str) -> Obj:
        """The claim, rid of an allocation on another node that only this pod holds."""
        where = self._devices.node_of(claim)
        if where in ("", node):
            return claim
        holders = (claim.get("status") or {}).get("reservedFor") or []
        if any(holder.get("uid") != uid for holder in holders):
            raise ClaimsNotAllocated(f"device claim {key} is in use on node {where}")
        return await self._write(claim, FREE, "status")

    async def _reserve(self, key: str, claim: Obj, pod: Obj, node: str) -> Obj:
        meta, status = pod["metadata"], claim.get("status") or {}
        holders = list(status.get("reservedFor") or ())
        allocated = bool(status.get("allocation"))
        if allocated and any(holder.get("uid") == meta["uid"] for holder in holders):
            return claim
        change: Obj = {"reservedFor": [*holders, {"resource": "pods", "name": meta["name"], "uid": meta["uid"]}]}
        if allocated:
            return await self._write(claim, {"status": change}, "status")
        chosen = self._choose(key, claim, node)
        devices = self._devices
        device_class = devices.classes[chosen[0][0].device_class]
        change["allocation"] = read.allocation(claim, chosen, device_class, node)
        mine = {device.key: key for _, device in chosen if device.key not in devices.taken}
        devices.taken |= mine
        try:
            done = await self._write(await self._protected(claim), {"status": change}, "status")
        except (Unreachable, ServerFailed):  # it may have been done: nobody else gets them until that is known
            self._doubt(key)
            raise
        except KubeError:
            devices.release(mine)
            raise
        self._settle(key)
        got = {device.key for _, device in chosen}
        devices.release(device for device, of in devices.taken.items() if of == key and device not in got)
        return done

    def _doubt(self, key: str) -> None:
        self._settle(key)
        self._doubts[key] = asyncio.get_running_loop().call_later(DOUBT_S, self._free, key)

    def _settle(self, key: str) -> None:
        if (timer := self._doubts.pop(key, None)) is not None:
            timer.cancel()

    def _free(self, key: str) -> None:
        """The write was never done, or the claim showed it. While another is under way it is put off."""
        self._settle(key)
        if key in self._turns:
            self._doubt(key)
        else:
            self._devices.release(device for device, of in self._devices.taken.items() if of == key)

    def _choose(self, key: str, claim: Obj, node: str) -> list[tuple[read.Wanted, read.Device]]:
        try:
            chosen = self._devices.choose(claim, node, key)
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


def _is_later(one: Obj, other: Obj) -> bool:
    """Whether a claim is a later version than another of the same claim."""
    mine, others = one["metadata"], other["metadata"]
    if mine["uid"] != others["uid"]:
        return False
    versions = str(mine["resourceVersion"]), str(others["resourceVersion"])
    return all(version.isdigit() for version in versions) and int(versions[0]) > int(versions[1])
