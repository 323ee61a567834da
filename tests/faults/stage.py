"""The scheduler as a process behind a proxy that fails, on a real API server: what its fault tests share.

A process that dies is started again at once, as a supervisor would. At the end the audit log is read.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agent.kube.client import KubeClient
from agent.kube.resources import NODE, POD
from agent.wire.labels import RESERVATION_NAMESPACE
from tests.agent.live import ROOT, Live, free_devices
from tests.agent.loops.scenes import NAME, SPACE, Scene
from tests.faults import audit, scheduling_audit
from tests.faults.weather import Proxy

WRITTEN_S = 0.5
"""The audit log is written a moment after the answer."""


@dataclass
class Stage:
    """One test's scheduler processes, scene and proxy."""

    live: Live
    proxy: Proxy
    scene: Scene
    since: int
    kubeconfig: str
    gpus: dict[str, int]
    program: tuple[str, ...] = ("-m", "agent")
    flags: tuple[str, ...] = ()
    reservations: bool = False
    deaths: int = 0
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    keeper: asyncio.Task[None] | None = None
    last: Any = None
    last: Any = None

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, *self.program, "scheduler", "--scheduler-name", NAME, *self.flags]
        env = os.environ | {"KUBECONFIG": self.kubeconfig}
        env["RUNAI_AGENT_GPU_RESERVATIONS"] = str(self.reservations).lower()
        self.files.append(self.live.logs / f"faults-{time.monotonic_ns()}.log")
        with self.files[-1].open("wb") as log:
            self.processes.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
        return self.processes[-1]

    def run(self, count: int = 1) -> None:
        """Processes at work from now on; each that ends is replaced."""
        for _ in range(count):
            self.start()
        self.keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            for process in [one for one in self.processes if one.poll() is not None]:
                self.processes.remove(process)
                self.deaths += 1
                self.start()

    def kill(self) -> None:
        """kill -9 of what runs now; from any thread."""
        for process in list(self.processes):
            os.kill(process.pid, signal.SIGKILL)

    def end(self) -> None:
        if self.keeper is not None:
            self.keeper.cancel()
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes.clear()

    async def clean(self, grace_s: float = 10.0) -> None:
        """Nothing was broken, as the API server's audit log tells it."""
        await asyncio.sleep(WRITTEN_S)
        log = self.live.cluster.audit_log
        found = scheduling_audit.broken(log, self.since, gpus=self.gpus, schedulers={NAME}, grace_s=grace_s)
        assert found == []

    async def bound(self, within: float = 45.0, **wanted: int) -> None:
        """Exactly so many pods of each workload have a node and stay."""

        async def so() -> bool:
            counts = await self.scene.counts()
            return all(counts[name] == count for name, count in wanted.items())

        await until(so, within, lambda: f"bound {self.last}, must be {wanted}; {self.logs()}", self._look)

    async def _look(self) -> None:
        self.last = dict(await self.scene.counts())

    def logs(self) -> str:
        """The end of what the processes of this test said, and what they asked for."""
        said = "\n".join(path.read_text()[-1500:] for path in self.files[-2:])
        return f"{said}\n{self.deaths} deaths, asked {dict(self.proxy.calls)}"

    async def died(self) -> None:
        """The point was reached: some process was killed."""

        async def so() -> bool:
            return self.deaths > 0

        await until(so, 20, lambda: f"the point was never reached: {dict(self.proxy.calls)}")

    async def held_devices(self, count: int) -> None:
        """So many shared devices are reserved. One that a crash left for nobody counts as taken for a second."""

        async def so() -> bool:
            return len((await self.scene.kube.list(POD, RESERVATION_NAMESPACE)).items) == count

        await until(so, 20, lambda: f"not {count} devices are reserved; {self.logs()}")

    async def called(self, what: str, times: int) -> None:
        """The API server was asked so often."""

        async def so() -> bool:
            return self.proxy.calls[what] >= times

        await until(so, 20, lambda: f"{what} was called {self.proxy.calls[what]} times; {self.logs()}")

    async def told(self, workload: str, *words: str, within: float = 30.0) -> None:
        async def so() -> bool:
            text = await self.scene.texts(workload)
            return all(word in text for word in words)

        await until(so, within, lambda: f"{workload} does not say {words}; {self.logs()}")


async def _nothing() -> None:
    return None


async def until(
    question: Callable[[], Awaitable[bool]],
    within: float,
    why: Callable[[], str] = lambda: "it did not happen in time",
    look: Callable[[], Awaitable[None]] = _nothing,
) -> None:
    deadline = time.monotonic() + within
    while not await question():
        if time.monotonic() > deadline:
            await look()
            raise AssertionError(why())
        await asyncio.sleep(0.1)


def through(proxy: Proxy, account: str, folder: Path) -> str:
    """The account's kubeconfig with the proxy in the server's place."""
    document = yaml.safe_load(Path(account).read_text())
    document["clusters"][0]["cluster"] = {"server": proxy.url}
    path = folder / f"through-proxy-{proxy.port}"
    path.write_text(yaml.safe_dump(document))
    return str(path)


@asynccontextmanager
async def staged(live: Live, **options: Any) -> AsyncIterator[Stage]:
    """A stage with queue ``d-scenes-q``; at its end nothing of it is left. ``options``: fields of ``Stage``."""
    ca = live.cluster.layout.pki / "ca.crt"
    async with KubeClient.connect(str(live.cluster.kubeconfig)) as kube:
        with Proxy(live.cluster.api_url, ca.read_text()) as proxy:
            nodes = (await kube.list(NODE)).items
            gpus = {node["metadata"]["name"]: int(node["status"]["allocatable"]["nvidia.com/gpu"]) for node in nodes}
            since = audit.position(live.cluster.audit_log)
            config = through(proxy, live.account, live.logs)
            stage = Stage(live, proxy, Scene(kube), since, config, gpus, **options)
            await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, manager="test")
            await stage.scene.queue("d-scenes-root", parent="")
            await stage.scene.queue("d-scenes-q")
            try:
                yield stage
            finally:
                stage.end()
                await stage.scene.clear()
                if stage.reservations:
                    await free_devices(live)
