"""A control plane of its own for the operator's faults: it may be stopped, and its definitions may go.

Nobody restarts what a test ends here; a reaper takes everything away should the tests be killed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent import install
from agent.kube.client import KubeClient
from agent.kube.errors import Invalid, KubeError, NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import (
    MUTATING_WEBHOOK,
    POD,
    SECRET,
    VALIDATING_WEBHOOK,
    WORKLOAD,
)
from agent.wire import labels
from local.kube.launcher import start_all
from local.process import ProcessSpec
from local.supervisor import Supervisor
from tests.agent.live import ROOT, Live, make_project, reach, until, workload
from tests.faults import audit
from tests.fixtures_kube import make_cluster

NODES, GPUS = 2, 8
_numbers = itertools.count(1)


@dataclass
class Plant(Live):
    """The platform installed on a cluster of simulated nodes; ``stop_server`` and ``start_server`` are the fault."""

    pids: dict[str, int] = field(default_factory=dict)
    specs: dict[str, ProcessSpec] = field(default_factory=dict)

    def stop_server(self) -> None:
        pid = self.pids["kube-apiserver"]
        os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)

    def start_server(self) -> None:
        spec = self.specs["kube-apiserver"]
        ready = ProcessSpec(**{**_fields(spec), "depends_on": ()})
        self.pids |= _by_program(start_all([ready]))

    def role(self, *roles: str, kubeconfig: Path | None = None) -> subprocess.Popen[bytes]:
        """Like ``start``, with another way to the API server."""
        log = (self.logs / f"{'-'.join(roles)}-{len(self.processes)}.log").open("wb")
        env = {**os.environ, "KUBECONFIG": str(kubeconfig or self.account)}
        argv = [sys.executable, "-m", "agent", *roles]
        self.processes.append(subprocess.Popen(argv, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT))
        return self.processes[-1]

    @property
    def log(self) -> Path:
        return self.cluster.audit_log


def _fields(spec: ProcessSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


def _by_program(pids: Mapping[str, int]) -> dict[str, int]:
    return {name.partition(".")[2]: pid for name, pid in pids.items()}


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = Path(tempfile.mkdtemp(prefix="runai-faults-"))
    cluster = make_cluster(folder / "cluster", nodes=NODES, gpus=GPUS)
    reaper = Supervisor(folder, say=lambda line: None)
    try:
        reaper.add([], cleanup=[[sys.executable, "-m", "local.kube", "down", "--dir", str(cluster.dir)]])
        cluster.prepare()
        specs = cluster.processes()
        pids = _by_program(start_all(specs))
        cluster.after_start()
        made = Plant(cluster, tmp_path_factory.mktemp("roles"))
        made.pids, made.specs = pids, {spec.name.partition(".")[2]: spec for spec in specs}
        made.install()
        yield made
        made.stop()
    finally:
        reaper.stop()
        cluster.teardown()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class World:
    """One test: a project of its own, what its Workloads ask for, and where the audit log begins for it."""

    plant: Plant
    kube: KubeClient
    project: str
    since: int
    asked: dict[str, int] = field(default_factory=dict)
    known: set[audit.Key] = field(default_factory=set)
    """What the agent may delete though the log does not say that it made it."""

    @property
    def space(self) -> str:
        return f"runai-{self.project}"

    async def open(self) -> None:
        await make_project(self.kube, self.project)

    async def submit(self, name: str, pods: int = 1, **spec: Any) -> str:
        """A Workload on simulated nodes that runs until it is deleted."""
        full = f"{self.project}-{name}"
        obj = workload(full, self.space, nodePools=["simulated"], **spec)
        self.asked[full] = pods
        await self.kube.create(obj)
        return full

    async def submit_some(self) -> None:
        """One of each shape: a pod, a gang, several completions at once, two that share a device."""
        await self.submit("one", compute={"gpuDevices": 1})
        await self.submit("gang", 3, type="distributed", framework="PyTorch", workers=3, compute={"gpuDevices": 1})
        await self.submit("many", 2, completions=2, parallelism=2)
        for name in ("half", "other-half"):
            await self.submit(name, compute={"gpuDevices": 1, "gpuPortionMilli": 500})

    async def suspend(self, name: str, wanted: bool = True) -> None:
        await self.kube.patch(WORKLOAD, name, self.space, body={"spec": {"suspend": wanted}})

    async def reach(self, name: str, phase: str) -> None:
        await reach(self.kube, name, self.space, phase)

    async def define(self) -> None:
        """All definitions again, as the manifest has them."""
        await install.install_definitions(self.kube)

    async def reservations(self) -> dict[str, str]:
        """Pods that hold shared devices → node and device."""
        found = {}
        for pod in (await self.kube.list(POD, labels.RESERVATION_NAMESPACE)).items:
            notes = pod["metadata"].get("annotations") or {}
            found[pod["metadata"]["name"]] = f"{pod['spec'].get('nodeName')}/{notes.get(labels.RESERVED_DEVICE)}"
        return found

    async def forget_webhook(self) -> None:
        """As if it had never run here."""
        for resource in (MUTATING_WEBHOOK, VALIDATING_WEBHOOK):
            with suppress(NotFound):
                await self.kube.delete(resource, "runai")
        with suppress(NotFound):
            await self.kube.delete(SECRET, "runai-webhook-tls", "runai")

    async def webhook_answers(self) -> None:
        """Only it refuses this."""

        async def refused() -> bool:
            try:
                await self.kube.create(workload("probe", self.space, framework="none", suspend=True))
            except Invalid:
                return True
            await self.kube.delete(WORKLOAD, "probe", self.space)
            return False

        await until(refused)

    async def workloads(self) -> list[Obj]:
        return (await self.kube.list(WORKLOAD, self.space)).items

    async def all_running(self, within: float = 120.0) -> None:
        """Every Workload says that it runs."""

        async def settled() -> bool:
            try:
                found = await self.workloads()
            except KubeError:
                return False
            phases = {obj["metadata"]["name"]: (obj.get("status") or {}).get("phase") for obj in found}
            return phases == dict.fromkeys(self.asked, "Running")

        try:
            await until(settled, within)
        except AssertionError:
            said = {obj["metadata"]["name"]: obj.get("status") for obj in await self.workloads()}
            pods = [(pod["metadata"]["name"], pod["status"]) for pod in (await self.kube.list(POD, self.space)).items]
            raise AssertionError(f"not all run: {said}\n{pods}") from None

    async def promises(self) -> list[str]:
        """Broken ones; the log is written a moment after the answer."""
        await asyncio.sleep(0.5)
        nodes = {f"sim-{number:03d}": GPUS for number in range(1, NODES + 1)}
        broken = audit.Promises(self.asked, nodes, frozenset(self.known)).broken(self.plant.log, self.since)
        return [*broken, *audit.silent(await self.workloads())]


@pytest.fixture
async def world(plant: Plant) -> AsyncIterator[World]:
    since = audit.position(plant.log)
    async with plant.connect() as kube:
        made = World(plant, kube, f"fault-{next(_numbers)}", since)
        try:
            yield made
        finally:
            plant.stop()
            await _clear(kube, made)


async def _clear(kube: KubeClient, world: World) -> None:
    """No role is at work any more: what holds devices goes by hand. Projects stay, the cluster goes as a whole."""
    with suppress(NotFound):
        for obj in await world.workloads():
            await kube.delete(WORKLOAD, obj["metadata"]["name"], world.space, propagation="Background")
    for space in (world.space, labels.RESERVATION_NAMESPACE):
        for pod in (await kube.list(POD, space)).items:
            with suppress(NotFound):
                await kube.delete(POD, pod["metadata"]["name"], space, grace_s=0)
