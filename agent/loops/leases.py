"""Leader election on a Kubernetes Lease: of several processes of a role, one works and another takes over in seconds.

Fencing is by time and by version: a holder counts itself out before its lease can run out for others (``leading`` turns
false even while the process hangs), and each renewal names the version it replaces, so two can never both renew. What
slips through is caught by preconditions (uid, resourceVersion) on the writes themselves.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from agent.kube.errors import Conflict, KubeError, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import LEASE

log = structlog.get_logger(__name__)

DURATION_S = 4
RENEW_S = 1.0
POLL_S = 0.2
MARGIN_S = 0.5
"""A holder stops this long before the others may take over."""


class LeadershipLost(Exception):
    """Another process holds the lease now; end, and wait for the next turn."""


def identity() -> str:
    """Who we are: host, boot, process namespace, process id and its start. Says also whether we still live."""
    return "_".join((socket.gethostname(), _machine(), str(os.getpid()), _started(os.getpid())))


def is_dead(holder: str) -> bool:
    """True only if ``holder`` was a process of this machine (or pod) that is gone: its lease need not be waited for."""
    parts = holder.rsplit("_", 3)
    if len(parts) != 4 or parts[0] != socket.gethostname() or parts[1] != _machine() or not parts[2].isdecimal():
        return False
    return _started(int(parts[2])) != parts[3]


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:13]}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return "unknown"


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot; "" if there is none. Zombies count as gone."""
    try:
        rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if rest[0] == "Z" else rest[19]


class Elector:
    """One role's lease."""

    def __init__(self, kube: Kube, name: str, namespace: str, who: str, *, duration_s: int = DURATION_S) -> None:
        self._kube = kube
        self._name = name
        self._namespace = namespace
        self._who = who
        self._duration = duration_s
        self._lease: Obj | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        self._until = 0.0

    @property
    def leading(self) -> bool:
        return time.monotonic() < self._until

    async def hold(self, work: Coroutine[Any, Any, None], *, hot: bool = False) -> None:
        """Wait for the lease, then run ``work`` while holding it. Raises ``LeadershipLost`` when another takes it, and
        whatever ``work`` raises. Gives the lease back at the end, so that the next one need not wait.

        ``hot``: run ``work`` before its turn too; it reads along and asks ``leading`` before it writes."""
        task: asyncio.Task[None] | None = asyncio.create_task(work) if hot else None
        try:
            if not await self._acquire(task):
                return
            log.info("leading", lease=self._name, namespace=self._namespace)
            task = task or asyncio.create_task(work)
            await self._keep(task)
        finally:
            if task is None:
                work.close()
            else:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await self._release()

    async def _acquire(self, task: asyncio.Task[None] | None) -> bool:
        """True once the lease is ours; False when the work that reads along has ended. Raises what that raised."""
        while not await self._attempt():
            if task is None:
                await asyncio.sleep(POLL_S)
            elif task in (await asyncio.wait({task}, timeout=POLL_S))[0]:
                task.result()
                return False
        return True

    async def _keep(self, task: asyncio.Task[None]) -> None:
        while not task.done():
            await asyncio.wait({task}, timeout=RENEW_S)
            if not task.done() and not await self._attempt() and self._holder() not in ("", self._who):
                raise LeadershipLost(f"lease {self._namespace}/{self._name} is held by {self._holder()}")
        await task

    async def _attempt(self) -> bool:
        """Take or renew the lease if it is ours to take. Trouble with the server is a failed attempt, not an error."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._duration / 2):
                taken = await self._take()
        except (KubeError, TimeoutError) as error:
            log.warning("lease_failed", lease=self._name, error=str(error) or "timed out")
            return False
        if taken:
            self._until = started + self._duration - MARGIN_S
        return taken

    async def _take(self) -> bool:
        lease = self._lease if self.leading else None
        try:
            lease = lease or await self._kube.get(LEASE, self._name, self._namespace)
        except NotFound:
            return await self._write(None)
        self._lease = lease
        if self._holder() != self._who and not self._free(lease):
            return False
        return await self._write(lease)

    def _free(self, lease: Obj) -> bool:
        holder, version = self._holder(), lease["metadata"]["resourceVersion"]
        if not holder or is_dead(holder):
            return True
        if self._seen[0] != version:
            self._seen = (version, time.monotonic())
        duration = (lease.get("spec") or {}).get("leaseDurationSeconds") or self._duration
        return time.monotonic() - self._seen[1] > float(duration)

    async def _write(self, old: Obj | None) -> bool:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = dict((old or {}).get("spec") or {})
        if spec.get("holderIdentity") != self._who:
            transitions = int(spec.get("leaseTransitions") or 0) + (1 if old is not None else 0)
            spec |= {"holderIdentity": self._who, "acquireTime": now, "leaseTransitions": transitions}
        spec |= {"leaseDurationSeconds": self._duration, "renewTime": now}
        meta: Obj = {"name": self._name, "namespace": self._namespace}
        if old is not None:
            meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        lease = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta, "spec": spec}
        try:
            self._lease = await (self._kube.create(lease) if old is None else self._kube.replace(lease))
        except (Conflict, NotFound):  # somebody else was faster, or it was deleted: look again
            self._lease = None
            return False
        return True

    def _holder(self) -> str:
        return str(((self._lease or {}).get("spec") or {}).get("holderIdentity") or "")

    async def _release(self) -> None:
        self._until = 0.0
        if self._holder() != self._who or self._lease is None:
            return
        lease = self._lease | {"spec": self._lease["spec"] | {"holderIdentity": ""}}
        try:
            async with asyncio.timeout(1.0):
                await self._kube.replace(lease)
        except (KubeError, TimeoutError):
            return
