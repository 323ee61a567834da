"""Reservation pods: kubelet's account of devices made equal to the scheduler's, one pod per shared device.

Before the first pod of a shared device is bound, a reservation pod takes that device from the kubelet and says which
one it is; it goes when no unfinished pod uses the device. Everything is found again from the pods: one that a crash
left without users is removed, one that somebody deleted under its users is made anew. While an unused one is on its
way out its device counts as taken, so that nobody is sent to a device that the kubelet has not got back.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import structlog

from agent.kube.cache import Change, Store
from agent.kube.convert.pods import gpu_groups_of, is_finished, usage_of
from agent.kube.errors import AlreadyExists, Conflict, Forbidden, KubeError, NotFound
from agent.kube.mirror import Mirror
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import POD
from agent.operator import sharing
from agent.wire import labels as names
from agent.wire.install import RESERVATION_ACCOUNT

log = structlog.get_logger(__name__)

WAIT_S = 30.0
"""A reservation that is not running after so long is given up, and the bind with it."""
LOOK_S = 1.0
UNUSED_S = 1.0
"""An unused reservation stays this long: a pod of the same device may be about to be bound."""
SECOND_TRY_S = 5.0
Place = tuple[str, str]
"""(node, group)."""


class ReservationFailed(Exception):
    """The device could not be reserved; the text is for people."""


class Reservations:
    """``hold`` before a bind, ``review`` after a failed one, ``run`` cleans up and repairs."""

    def __init__(
        self,
        kube: Kube,
        mirror: Mirror,
        pods: Store,
        nodes: Store,
        *,
        leading: Callable[[], bool],
        image: str = "",
        enabled: bool = True,
        mine: Callable[[str], bool] = lambda node: True,
    ) -> None:
        self._kube, self._mirror, self._pods, self._nodes = kube, mirror, pods, nodes
        self._leading, self._image, self._enabled = leading, image, enabled
        self._mine = mine
        """Whether a node is ours to tidy: where each node pool has a scheduler, another one binds on the others."""
        self._users: dict[Place, set[str]] = defaultdict(set)
        """Unfinished bound pods by the device they use."""
        self._holders: dict[Place, Obj] = {}
        """Reservation pods there are."""
        self._holding: dict[Place, asyncio.Future[str]] = {}
        self._indexes: dict[Place, str] = {}
        """Numbers given on simulated nodes whose pod the watch has not shown yet."""
        self._unused_since: dict[Place, float] = {}
        self._tried: dict[Place, float] = {}
        self._news: dict[Place, asyncio.Event] = {}

    # -- what the watch says -----------------------------------------------------------------------------------------

    def on_pod(self, change: Change) -> None:
        """After the mirror: who uses which device, and which reservations there are."""
        pod = change.current
        if sharing.is_reservation(pod):
            self._on_reservation(pod, gone=change.new is None)
            return
        node = str((pod.get("spec") or {}).get("nodeName") or "")
        groups = gpu_groups_of(pod) if node else ()
        for group in groups:
            place, uid = (node, group), pod["metadata"]["uid"]
            if change.new is None or is_finished(pod):
                self._users[place].discard(uid)
            else:
                self._users[place].add(uid)
            if not self._users[place]:
                del self._users[place]
            self.review(place)

    def _on_reservation(self, pod: Obj, *, gone: bool) -> None:
        place = sharing.reservation_group(pod)
        known = self._holders.get(place)
        if not gone:
            self._holders[place] = pod
            self._indexes.pop(place, None)
        elif known is not None and known["metadata"]["uid"] == pod["metadata"]["uid"]:
            del self._holders[place]
        if gone or is_finished(pod):
            self._mirror.supply.set_foreign(pod["metadata"]["uid"], place[0], None)
        self.review(place)
        if place in self._news:
            self._news[place].set()

    def review(self, place: Place) -> None:
        """Count the device of a reservation that nobody uses as taken; of a used one its group counts."""
        pod = self._holders.get(place)
        if pod is None or is_finished(pod):
            self._unused_since.pop(place, None)
            return
        used = self._used(place)
        usage = usage_of(pod)
        self._mirror.supply.set_foreign(pod["metadata"]["uid"], place[0], replace(usage, gpus=0) if used else usage)
        if used:
            self._unused_since.pop(place, None)
        else:
            self._unused_since.setdefault(place, time.monotonic())

    def _used(self, place: Place) -> bool:
        if place in self._users:
            return True
        node, group = place
        return any(bind.node == node and group in bind.gpu_groups for bind in self._mirror.demand.assumed.values())

    # -- holding devices ---------------------------------------------------------------------------------------------

    async def hold(self, node: str, groups: tuple[str, ...]) -> tuple[str, ...]:
        """The devices of these groups, each held by a running reservation pod. Raises ``ReservationFailed`` and
        ``KubeError``. Safe to repeat."""
        if not self._enabled or not self._possible(node):
            return ()
        return tuple(await asyncio.gather(*(self._shared((node, group)) for group in groups)))

    def _possible(self, node: str) -> bool:
        """Without an image for reservation pods (a scheduler alone on somebody's cluster), devices of real nodes are
        shared in our account only."""
        obj = self._nodes.get(node)
        return bool(self._image) or (obj is not None and sharing.is_simulated(obj))

    async def _shared(self, place: Place) -> str:
        """One attempt at a time for each device; those who ask meanwhile get its answer."""
        running = self._holding.get(place)
        if running is None:
            running = asyncio.ensure_future(self._hold(place))
            self._holding[place] = running
            running.add_done_callback(lambda _: self._holding.pop(place, None))
        return await asyncio.shield(running)

    async def _hold(self, place: Place) -> str:
        deadline = time.monotonic() + WAIT_S
        news = self._news.setdefault(place, asyncio.Event())
        made = False
        try:
            while time.monotonic() < deadline:
                news.clear()
                pod = self._holders.get(place)
                if pod is None:
                    if not made:
                        await self._make(place)
                        made = True
                elif is_finished(pod):
                    await self._remove(pod)
                    raise ReservationFailed(f"node {place[0]} did not give a device to share: {_why(pod)}")
                elif not pod["metadata"].get("deletionTimestamp") and (device := sharing.reserved_device(pod)):
                    return device
                if pod is not None and pod["metadata"].get("deletionTimestamp"):
                    made = False  # it goes; another one is needed after it
                try:
                    await asyncio.wait_for(news.wait(), LOOK_S)
                except TimeoutError:
                    await self._look(place)
        finally:
            self._news.pop(place, None)
            self._indexes.pop(place, None)
        raise ReservationFailed(f"the pod that reserves a shared device on node {place[0]} is not running in time")

    async def _look(self, place: Place) -> None:
        """The watch may lag: read the pod, so that one that exists or is gone is known."""
        if (pod := self._holders.get(place)) is None:
            return
        try:
            await self._kube.get(POD, pod["metadata"]["name"], names.RESERVATION_NAMESPACE)
        except NotFound:
            self._on_reservation(pod, gone=True)

    async def _make(self, place: Place, wish: str = "") -> None:
        node = self._nodes.get(place[0])
        if node is None:
            raise ReservationFailed(f"node {place[0]} is gone")
        index, image = "", self._image
        if sharing.is_simulated(node):
            index = self._indexes[place] = self._free_index(node, wish)
            image = image or sharing.SIMULATED_IMAGE
            if not index:
                raise ReservationFailed(f"node {place[0]} has no device left to share")
        if not image:
            raise ReservationFailed("no image for reservation pods: set RUNAI_AGENT_RESERVATION_IMAGE")
        manifest = sharing.reservation_pod(node, place[1], image=image, index=index)
        try:
            await self._kube.create(manifest)
        except AlreadyExists:
            return
        except (NotFound, Forbidden):  # its namespace or service account is missing
            await self._make_namespace()
            await self._kube.create(manifest)

    def _free_index(self, node: Obj, wish: str) -> str:
        name = node["metadata"]["name"]
        count = int(((node.get("status") or {}).get("allocatable") or {}).get(names.GPU_RESOURCE) or 0)
        taken = [index for (where, _), index in self._indexes.items() if where == name]
        for (where, _), pod in self._holders.items():
            if where == name and not is_finished(pod):
                taken.append((pod["metadata"].get("annotations") or {}).get(names.RESERVED_DEVICE, ""))
        return sharing.free_index(count, taken, wish)

    async def _make_namespace(self) -> None:
        marks = {names.MANAGED_BY: names.MANAGED_BY_OPERATOR}
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names.RESERVATION_NAMESPACE}}
        account = {"name": RESERVATION_ACCOUNT, "namespace": names.RESERVATION_NAMESPACE, "labels": marks}
        for obj in (space, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}):
            try:
                await self._kube.create(obj)
            except AlreadyExists:
                log.debug("exists", kind=obj["kind"])

    # -- cleaning and repairing --------------------------------------------------------------------------------------

    async def run(self) -> None:
        if not self._enabled:
            return
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._leading():
                continue
            try:
                await self._tidy()
            except KubeError as error:
                log.warning("reservations_not_tidied", error=error.message)

    async def _tidy(self) -> None:
        now = time.monotonic()
        for place, since in list(self._unused_since.items()):
            self.review(place)
            pod = self._holders.get(place)
            if pod is None or place not in self._unused_since or place in self._holding or now - since < UNUSED_S:
                continue
            if not self._mine(place[0]):
                continue
            if not pod["metadata"].get("deletionTimestamp"):
                log.info("reservation_unused", node=place[0], group=place[1])
                await self._remove(pod)
        for place in [place for place in self._users if self._broken(place)]:
            if now - self._tried.get(place, 0.0) > SECOND_TRY_S:
                self._tried[place] = now
                await self._repair(place)
        self._tried = {place: at for place, at in self._tried.items() if now - at < 10 * SECOND_TRY_S}

    def _broken(self, place: Place) -> bool:
        """A device in use that no reservation holds (any more)."""
        if place in self._holding or self._nodes.get(place[0]) is None or not self._possible(place[0]):
            return False
        if not self._mine(place[0]):
            return False
        pod = self._holders.get(place)
        return pod is None or is_finished(pod)

    async def _repair(self, place: Place) -> None:
        log.warning("reservation_missing", node=place[0], group=place[1])
        if (pod := self._holders.get(place)) is not None:
            await self._remove(pod)
            return
        try:
            await self._make(place, self._device_of_users(place))
        except ReservationFailed as error:
            log.warning("reservation_not_made", node=place[0], error=str(error))
        finally:
            self._indexes.pop(place, None)

    def _device_of_users(self, place: Place) -> str:
        """The device that the group's pods were told they have."""
        for uid in self._users.get(place, ()):
            pod = self._pods.by_uid(uid)
            devices = ((pod or {}).get("metadata", {}).get("annotations") or {}).get(names.GPU_DEVICES, "").split(",")
            groups = gpu_groups_of(pod) if pod is not None else ()
            if place[1] in groups and len(devices) == len(groups):
                return str(devices[groups.index(place[1])])
        return ""

    async def _remove(self, pod: Obj) -> None:
        meta = pod["metadata"]
        try:
            await self._kube.delete(POD, meta["name"], meta["namespace"], uid=meta["uid"], grace_s=0)
        except (NotFound, Conflict):
            return


def _why(pod: Obj) -> str:
    status = pod.get("status") or {}
    return str(status.get("message") or status.get("reason") or "its reservation pod ended")
