"""Times of bindings and deletions, seen by a watcher in a process of its own, so that a busy client delays nothing.

``python -m bench._cluster_watch KUBECONFIG`` prints "B|D SECONDS NAME" (CLOCK_MONOTONIC); ``Bindings`` reads it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from types import TracebackType

from agent.kube.client import KubeClient
from agent.kube.errors import Gone, KubeError
from agent.kube.resources import POD


async def watch(kubeconfig: str) -> None:
    """Pods that have a node: one appears when it is bound and goes when it is deleted."""
    async with KubeClient.connect(kubeconfig) as kube:
        version = (await kube.list(POD, fields="spec.nodeName!=")).resource_version
        print("R 0 -", flush=True)
        while True:
            try:
                async for event in kube.watch(POD, resource_version=version, fields="spec.nodeName!="):
                    now, meta = time.monotonic(), event.object["metadata"]
                    version = meta["resourceVersion"]
                    if event.type in ("ADDED", "DELETED"):
                        print(f"{'B' if event.type == 'ADDED' else 'D'} {now:.6f} {meta['name']}", flush=True)
            except Gone:
                raise
            except KubeError:
                await asyncio.sleep(0.1)


class Bindings:
    """``bound`` and ``deleted``: pod name → monotonic seconds. An asynchronous context manager."""

    def __init__(self, kubeconfig: str) -> None:
        self.bound: dict[str, float] = {}
        self.deleted: dict[str, float] = {}
        self._kubeconfig = kubeconfig
        self._missing: set[str] = set()
        self._all = asyncio.Event()

    async def __aenter__(self) -> Bindings:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench._cluster_watch", self._kubeconfig, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        if not (await self._process.stdout.readline()).startswith(b"R"):
            raise RuntimeError("the watcher of bindings did not start")
        self._task = asyncio.create_task(self._read(self._process.stdout))
        return self

    @property
    def pid(self) -> int:
        """Of the watcher."""
        return self._process.pid

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        self._task.cancel()

    async def _read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            kind, moment, name = line.decode().split()
            (self.bound if kind == "B" else self.deleted)[name] = float(moment)
            if kind == "B" and name in self._missing:
                self._missing.discard(name)
                if not self._missing:
                    self._all.set()

    async def all_bound(self, names: Iterable[str], within_s: float) -> bool:
        """Wait until each of the pods has a node; False when time is up."""
        self._all.clear()
        self._missing = set(names) - self.bound.keys()
        if not self._missing:
            return True
        try:
            await asyncio.wait_for(self._all.wait(), within_s)
        except TimeoutError:
            return False
        return True


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1]))
