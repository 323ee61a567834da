"""Carries plans out: binds and evictions, many in flight, each repeated or taken back on its own.

What is decided is first assumed in the mirror, so that the next plan counts it; the API server's answer confirms it
(by watch) or takes it back. A process that dies in between loses nothing: the next one plans from what the API shows.
No pod can be bound twice: a binding names the pod's uid and the server refuses a second one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from agent.kube import quantity
from agent.kube.convert.pods import gpu_group_labels, old_gpu_group_labels
from agent.kube.errors import Conflict, KubeError, NotFound, ServerFailed, Unreachable
from agent.kube.mirror import Mirror
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import POD
from agent.loops.device_claims import ClaimBinder, ClaimsNotAllocated
from agent.loops.reservations import ReservationFailed, Reservations
from agent.loops.scheduler_metrics import BIND, BIND_FAILURES, BINDS, WAIT
from agent.loops.volumes import VolumeBinder, VolumesNotBound
from agent.operator.sharing import device_config_map
from agent.scheduler.snapshot import Bind, Eviction, Plan
from agent.wire import labels as names

log = structlog.get_logger(__name__)

MANAGER = "runai-scheduler"
BINDING = 48
EVICTING = 16
"""So many binds and evictions are on their way at once. Fewer of these: each is two writes, and what then ends the pods
asks the same API server. Measured with 400 victims: with 8, 16 and 48 the last is gone alike, 2.6 to 3.2 s after; the
first room is free after 0.2, 0.2 and 0.6 s."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
CONFIRM_S = 30.0
"""A bind that the API server accepted but the watch does not show after this long is looked up."""


@dataclass(slots=True)
class Counts:
    """What was done since the start, for metrics."""

    bound: int = 0
    bind_failed: int = 0
    evicted: int = 0
    eviction_failed: int = 0


class Executor:
    """``carry_out(plan)`` returns at once; tasks of ``run`` do the writing, binds and evictions each in their order."""

    def __init__(
        self,
        kube: Kube,
        mirror: Mirror,
        *,
        leading: Callable[[], bool],
        on_bound: Callable[[Obj, str], None],
        on_failed: Callable[[Obj, str], None],
        on_evicted: Callable[[Obj, Eviction], None],
        reservations: Reservations | None = None,
        volumes: VolumeBinder | None = None,
    ) -> None:
        self.counts = Counts()
        self._kube = kube
        self._mirror = mirror
        self._leading = leading
        self._on_bound, self._on_failed, self._on_evicted = on_bound, on_failed, on_evicted
        self._reservations = reservations
        self._volumes = volumes or VolumeBinder(kube, mirror, leading=leading)
        self._claims = ClaimBinder(kube, mirror.devices)
        self._binds: asyncio.Queue[Bind] = asyncio.Queue()
        self._evictions: asyncio.Queue[Eviction] = asyncio.Queue()
        self._busy = 0
        self._decided: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._unconfirmed: dict[str, float] = {}

    @property
    def idle(self) -> bool:
        return not self.backlog

    @property
    def backlog(self) -> int:
        return self._binds.qsize() + self._evictions.qsize() + self._busy

    def carry_out(self, plan: Plan) -> None:
        """Assume every decision, then queue it. Neither kind waits for the other."""
        for eviction in plan.evictions:
            self._mirror.assume_leaving(eviction.pod)
            self._evictions.put_nowait(eviction)
        for bind in plan.binds:
            self._mirror.assume_bound(bind.pod, bind.node, bind.gpu_groups)
            self._decided[bind.pod] = time.monotonic()
            self._binds.put_nowait(bind)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(BINDING):
                group.create_task(self._binding(group))
            for _ in range(EVICTING):
                group.create_task(self._evicting())
            group.create_task(self._confirm())

    async def _binding(self, group: asyncio.TaskGroup) -> None:
        while True:
            bind = await self._binds.get()
            if self._waits(bind):  # not in the way of the others
                group.create_task(self._do(bind))
            else:
                await self._do(bind)

    async def _evicting(self) -> None:
        while True:
            eviction = await self._evictions.get()
            await self._counted(self._evict(eviction))

    def _waits(self, bind: Bind) -> bool:
        """Whether a device or a volume must be there first."""
        entry = self._mirror.entry(bind.pod)
        return bool(bind.gpu_groups) or (entry is not None and self._volumes.needs(entry.obj))

    async def _do(self, bind: Bind) -> None:
        try:
            if await self._with_volumes(bind):
                await self._counted(self._bind(bind))
        finally:
            self._decided.pop(bind.pod, None)

    async def _counted(self, doing: Coroutine[Any, Any, None]) -> None:
        self._busy += 1
        try:
            await doing
        finally:
            self._busy -= 1

    # -- binding -----------------------------------------------------------------------------------------------------

    async def _with_volumes(self, bind: Bind) -> bool:
        """Bind the claims of the pod first, where it has any that wait for its node. False if they cannot be."""
        entry = self._mirror.entry(bind.pod)
        if entry is None or not self._volumes.needs(entry.obj):
            return True
        try:
            await self._volumes.bind(entry.obj, bind.node)
        except VolumesNotBound as error:
            self._failed(bind, entry.obj, str(error))
            return False
        return self._mirror.entry(bind.pod) is not None

    async def _bind(self, bind: Bind) -> None:
        entry = self._mirror.entry(bind.pod)
        if entry is None:
            return
        if not self._leading():
            self._unbound(bind)
            return
        meta, held = entry.obj["metadata"], dict[str, Obj]()
        try:
            if bind.gpu_groups:
                await self._share(entry.obj, bind)
            if self._claims.needs(entry.obj):
                held |= await self._claims.bind(entry.obj, bind.node)
            await self._kube.bind(meta["namespace"], meta["name"], bind.node, uid=bind.pod)
        except (ReservationFailed, ClaimsNotAllocated) as error:
            self._failed(bind, entry.obj, str(error))
        except (Unreachable, ServerFailed) as error:
            log.warning("bind_unknown", pod=entry.pod.key, node=bind.node, error=error.message)
            await self._settle(bind, entry.obj)
        except (NotFound, Conflict) as error:
            await self._refused(bind, entry.obj, held, error)
        except KubeError as error:
            await self._claims.give_back(entry.obj, held)
            self._failed(bind, entry.obj, error.message)
        else:
            self._bound(bind, entry.obj)

    def _bound(self, bind: Bind, obj: Obj) -> None:
        self.counts.bound += 1
        self._measure(bind, obj)
        self._pauses.pop(bind.pod, None)
        if bind.pod in self._mirror.demand.assumed:
            self._unconfirmed[bind.pod] = time.monotonic() + CONFIRM_S
        self._on_bound(obj, bind.node)

    def _measure(self, bind: Bind, obj: Obj) -> None:
        BINDS.inc()
        took = time.monotonic() - self._decided.get(bind.pod, time.monotonic())
        BIND.observe(1000 * took)
        created = quantity.time_ns(obj["metadata"].get("creationTimestamp"))
        if created is not None:
            WAIT.observe(max(0.0, 1000 * (time.time() - took) - created / 1e6))

    def _failed(self, bind: Bind, obj: Obj, message: str) -> None:
        self.counts.bind_failed += 1
        BIND_FAILURES.inc()
        pause = self._pauses.get(bind.pod, FIRST_PAUSE_S)
        self._pauses[bind.pod] = min(pause * 2, LONGEST_PAUSE_S)
        log.warning("bind_failed", pod=f"{obj['metadata']['namespace']}/{obj['metadata']['name']}", error=message)
        self._unbound(bind, pause)
        self._on_failed(obj, f"binding to node {bind.node} failed: {message}")

    def _unbound(self, bind: Bind, pause_s: float = 0.0) -> None:
        """It is not bound: neither pod nor shared devices count any more. The pause is measured by a clock that nobody
        sets: one that is set back would make it last for ever."""
        self._mirror.bind_failed(bind.pod, pause_s)
        asyncio.get_running_loop().call_later(pause_s, self._mirror.release, bind.pod)
        if self._reservations is not None:
            for group in bind.gpu_groups:
                self._reservations.review((bind.node, group))

    async def _refused(self, bind: Bind, obj: Obj, held: Mapping[str, Obj], error: KubeError) -> None:
        """The pod is gone, going, or bound already (by an earlier try of ours, or by another): look."""
        current = await self._look(obj)
        if current is None:
            self._unbound(bind, 1.0)
        elif (current.get("spec") or {}).get("nodeName") == bind.node:
            self._bound(bind, obj)
        else:
            await self._claims.give_back(obj, held)
            self._failed(bind, obj, error.message)

    async def _settle(self, bind: Bind, obj: Obj) -> None:
        """No answer came: the pod may be bound or not. Ask until it is known; until then the assumption stands. Device
        claims are kept in any case: the bind may still be done, and the next try takes them along."""
        pause = 0.2
        while True:
            try:
                current = await self._kube.get(POD, obj["metadata"]["name"], obj["metadata"]["namespace"])
            except NotFound:
                self._unbound(bind, 1.0)
                return
            except KubeError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                continue
            if current["metadata"]["uid"] == bind.pod and (current.get("spec") or {}).get("nodeName"):
                self._bound(bind, obj)
            else:
                self._failed(bind, obj, "the API server did not answer")
            return

    async def _look(self, obj: Obj) -> Obj | None:
        try:
            current = await self._kube.get(POD, obj["metadata"]["name"], obj["metadata"]["namespace"])
        except KubeError:
            return None
        return current if current["metadata"]["uid"] == obj["metadata"]["uid"] else None

    async def _share(self, obj: Obj, bind: Bind) -> None:
        """Hold the devices, tell the pod which they are, and only then bind it. Raises ``ReservationFailed``."""
        devices = await self._reservations.hold(bind.node, bind.gpu_groups) if self._reservations else ()
        await self._write_gpu_groups(obj, bind, devices)
        if devices and (config_map := device_config_map(obj, devices, bind.gpu_portion)) is not None:
            await self._kube.apply(config_map, manager=MANAGER)

    async def _write_gpu_groups(self, obj: Obj, bind: Bind, devices: tuple[str, ...]) -> None:
        """The shared devices a pod gets, on the pod before it is bound: whoever sees it bound sees them too."""
        labels: dict[str, str | None] = {key: None for key in old_gpu_group_labels(obj)}
        labels |= gpu_group_labels(bind.gpu_groups)
        notes = {names.RECEIVED_RESOURCE_TYPE: bind.resource_type}
        if devices:
            notes[names.GPU_DEVICES] = ",".join(devices)
        body = {"metadata": {"uid": bind.pod, "labels": labels, "annotations": notes}}
        await self._kube.patch(POD, obj["metadata"]["name"], obj["metadata"]["namespace"], body=body)

    async def _confirm(self) -> None:
        """Accepted binds whose change never came by the watch: look them up, and stop assuming if they are not so."""
        while True:
            await asyncio.sleep(1.0)
            for uid, due in list(self._unconfirmed.items()):
                if uid not in self._mirror.demand.assumed:
                    del self._unconfirmed[uid]
                elif due < time.monotonic():
                    self._unconfirmed[uid] = time.monotonic() + CONFIRM_S
                    entry = self._mirror.entry(uid)
                    current = await self._look(entry.obj) if entry is not None else None
                    if current is not None and not (current.get("spec") or {}).get("nodeName"):
                        log.error("bind_lost", pod=uid)
                        self._mirror.bind_failed(uid)

    # -- evicting ----------------------------------------------------------------------------------------------------

    async def _evict(self, eviction: Eviction) -> None:
        entry = self._mirror.entry(eviction.pod)
        if entry is None:
            return
        if not self._leading():
            self._mirror.eviction_failed(eviction.pod)
            return
        meta = entry.obj["metadata"]
        try:
            await self._mark_disrupted(entry.obj, eviction)
            await self._kube.delete(POD, meta["name"], meta["namespace"], uid=eviction.pod)
        except NotFound:
            return
        except KubeError as error:
            self._stays(eviction, entry.pod.key, error.message)
            return
        self.counts.evicted += 1
        self._pauses.pop(eviction.pod, None)
        self._on_evicted(entry.obj, eviction)

    def _stays(self, eviction: Eviction, key: str, message: str) -> None:
        """The pod was not evicted. It counts as leaving for a while longer, so that the same is not tried at once and
        without end; then whatever is true by then is planned with."""
        self.counts.eviction_failed += 1
        pause = self._pauses.get(eviction.pod, FIRST_PAUSE_S)
        self._pauses[eviction.pod] = min(pause * 2, LONGEST_PAUSE_S)
        log.warning("eviction_failed", pod=key, error=message)
        asyncio.get_running_loop().call_later(pause, self._mirror.eviction_failed, eviction.pod)

    async def _mark_disrupted(self, obj: Obj, eviction: Eviction) -> None:
        """Why the pod is ended, on the pod: controllers tell it from a failure of the program by this condition."""
        condition: dict[str, Any] = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": eviction.reason.text,
            "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        body = {"metadata": {"uid": eviction.pod}, "status": {"conditions": [condition]}}
        meta = obj["metadata"]
        await self._kube.patch(POD, meta["name"], meta["namespace"], body=body, kind="strategic", subresource="status")
