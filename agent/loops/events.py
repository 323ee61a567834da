"""Events, written last: what is only for people yields to binds and evictions, and catches up when they are done.

An Event's name says what it tells of whom (``wording.event``), so telling it twice makes no second one. What a process
had not told when it ended is lost: conditions carry the reasons that last.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog

from agent.kube.errors import Conflict, KubeError, NotFound
from agent.kube.protocol import Kube, Obj

log = structlog.get_logger(__name__)

AT_ONCE = 16
PAUSE_S = 0.25
TRICKLE = 4
"""Events a pause while binds are on their way; ``AT_ONCE`` once the oldest has waited for ``LATE_S``."""
LATE_S = 20.0
MOST = 20_000
"""Normal Events kept for later; of more, the oldest are left out."""


class EventWriter:
    """``put`` at any time; ``run`` writes. Warnings go before the rest."""

    def __init__(self, kube: Kube, *, leading: Callable[[], bool], busy: Callable[[], bool]) -> None:
        self.dropped = 0
        self._kube = kube
        self._leading, self._busy = leading, busy
        self._warnings: deque[tuple[float, Obj]] = deque()
        self._others: deque[tuple[float, Obj]] = deque()
        self._some = asyncio.Event()
        self._warned: set[str] = set()

    def __len__(self) -> int:
        return len(self._warnings) + len(self._others)

    def put(self, event: Obj) -> None:
        if event["type"] == "Warning":
            if event["metadata"]["name"] in self._warned:
                return
            if len(self._warned) >= MOST:
                self._warned.clear()
            self._warned.add(event["metadata"]["name"])
            self._warnings.append((time.monotonic(), event))
        else:
            self._others.append((time.monotonic(), event))
        if len(self._others) > MOST:
            self._others.popleft()
            self.dropped += 1
        self._some.set()

    async def run(self) -> None:
        while True:
            await self._some.wait()
            restrained = self._busy() or not self._leading()
            batch = self._next(self._budget(restrained))
            if batch:
                await asyncio.gather(*(self._write(event) for event in batch))
            if restrained:
                await asyncio.sleep(PAUSE_S)
            if not len(self):
                self._some.clear()

    def _budget(self, restrained: bool) -> int:
        if not restrained:
            return AT_ONCE
        if not self._leading():
            return 0
        oldest = min((kept[0][0] for kept in (self._warnings, self._others) if kept), default=time.monotonic())
        return AT_ONCE if time.monotonic() - oldest > LATE_S else TRICKLE

    def _next(self, budget: int) -> list[Obj]:
        found: list[Obj] = []
        for kept in (self._warnings, self._others):
            while kept and len(found) < budget:
                found.append(kept.popleft()[1])
        return found

    async def _write(self, event: Obj) -> None:
        """What is gone or told already is fine, other trouble is logged."""
        try:
            await self._kube.create(event)
        except (NotFound, Conflict):
            return
        except KubeError as error:
            log.info("not_told", error=error.message)
