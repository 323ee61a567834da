"""What measurements mean for pods: idle GPUs, memory beyond the request, load; and what is written where."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.kube.resources import EVENT, POD, WORKLOAD
from agent.kube.watch import Informers
from agent.loops.marking import EXCESS, Marker
from agent.metrics.aggregate import PodFact, Tick
from agent.metrics.dcgm import Device, devices
from agent.metrics.exposition import parse
from agent.metrics.judging import Excess, attributed, excesses, gpu_use, idle_pods, idle_since
from agent.operator import load
from agent.wire import labels
from tests.agent.fake_kube import FakeKube

GIB = 1 << 30
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WHOLE = PodFact("w", "ns", "whole", "n1", "wl", running=True, gpu_milli=1000, gpu_memory_bytes=16 * GIB)
HALF = PodFact(
    "h", "ns", "half", "n1", "wl", running=True, gpu_milli=500, gpu_memory_bytes=8 * GIB, gpu_devices=("0",)
)  # fmt: skip
OTHER = replace(HALF, uid="o", name="other")


def device(use: float | None = 0.0, used: int | None = 0, *pods: str, index: str = "0") -> Device:
    return Device("n1", index, use, used, 16 * GIB, tuple(("ns", name) for name in pods))


# ---- who has a device ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["0", "GPU-7"])
def test_a_shared_device_is_its_users_and_not_its_reservations(told):
    seen = Device("n1", "0", 5.0, 1, 2, (("runai-reservation", "gpu-reservation-1"),), uuid="GPU-7")
    assert attributed([seen], [replace(HALF, gpu_devices=(told,))])[0].pods == (("ns", "half"),)


def test_a_device_of_another_node_is_not_meant():
    seen = Device("n2", "0", 5.0, 1, 2, (("x", "y"),))
    assert attributed([seen], [HALF])[0].pods == (("x", "y"),)


def test_the_exporter_tells_the_uuid():
    page = 'DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-7",Hostname="n1"} 5'
    assert devices(parse(page).readings)[0].uuid == "GPU-7"


# ---- idle ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "idle"),
    [
        ((device(0.0, 0, "whole"),), {"w": True}),
        ((device(3.0, 0, "whole"),), {"w": False}),
        ((device(0.0, 0, "whole"), device(9.0, 0, "whole", index="1")), {"w": False}),
        ((device(None, 0, "whole"),), {}),
        ((), {}),
    ],
)
def test_a_pod_is_idle_when_all_its_devices_are(seen, idle):
    assert idle_pods(seen, [WHOLE]) == idle


def test_since_when_it_is_idle_stays_until_it_works():
    later = NOW + timedelta(seconds=15)
    first = idle_since({}, {"w": True}, NOW, {})
    assert idle_since(first, {"w": True}, later, {}) == {"w": NOW}
    assert idle_since(first, {"w": False}, later, {}) == {}
    assert idle_since(first, {}, later, {}) == {}
    assert idle_since({}, {"w": True}, later, {"w": NOW}) == {"w": NOW}


# ---- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "pods", "facts", "excess"),
    [
        (10 * GIB, ("half",), (HALF,), {"h": Excess(10240, 8192)}),
        (8 * GIB + 400 * 1024**2, ("half",), (HALF,), {}),
        (15 * GIB, ("half", "other"), (HALF, OTHER), {}),
        (16 * GIB, ("whole",), (WHOLE,), {}),
        (16 * GIB, ("half", "stranger"), (HALF,), {}),
        (None, ("half",), (HALF,), {}),
    ],
)
def test_more_memory_than_asked_for_is_found(used, pods, facts, excess):
    assert excesses([device(1.0, used, *pods)], facts) == excess


def test_of_a_shared_device_it_is_known_together():
    quarters = [replace(fact, gpu_milli=250, gpu_memory_bytes=4 * GIB) for fact in (HALF, OTHER)]
    found = excesses([device(1.0, 12 * GIB, "half", "other")], quarters)
    assert found == {uid: Excess(12288, 8192, 2) for uid in ("h", "o")}
    assert found["h"].text.startswith("the 2 pods on its device together use 12288 MiB")


def test_load_is_the_mean_over_the_devices():
    seen = [device(20.0, 0, "whole"), device(60.0, 0, "half", index="1")]
    assert gpu_use(seen, [WHOLE, HALF]) == {"wl": 40.0}


# ---- what is written -------------------------------------------------------------------------------------------------


def pod(**notes: str) -> dict[str, Any]:
    meta = {"name": "half", "namespace": "ns", "uid": "h", "annotations": notes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"nodeName": "n1"}}


class Scene:
    """A marker with a clock of its own."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.kube, self.now = FakeKube(*objects), NOW
        self.informers = Informers(self.kube)
        self.marker = Marker(self.kube, self.informers, now=lambda: self.now)

    async def tick(self, *seen: Device, after: float = 15, facts: tuple[PodFact, ...] = (HALF,)) -> dict[str, str]:
        self.now += timedelta(seconds=after)
        await self.informers.synced()
        await self.marker.mark(Tick(0, pods=facts, devices=seen))
        await self.marker_sees()
        return self.kube.all(POD)[0]["metadata"].get("annotations") or {}

    async def marker_sees(self) -> None:
        """The watch brings what was written."""
        await asyncio.sleep(0.02)


@pytest.fixture
async def scene():
    made: list[Scene] = []

    def make(*objects: dict[str, Any]) -> Scene:
        made.append(Scene(*objects))
        return made[-1]

    yield make
    for one in made:
        await one.informers.close()


async def test_idle_is_written_after_a_while_and_taken_back(scene):
    place, nothing = scene(pod()), device(0.0, 0, "half")
    assert labels.GPU_IDLE_SINCE not in await place.tick(nothing)
    assert labels.GPU_IDLE_SINCE not in await place.tick(nothing)
    assert (await place.tick(nothing))[labels.GPU_IDLE_SINCE] == "2026-01-01T12:00:15Z"
    writes = place.kube.calls["patch", "Pod"]
    await place.tick(nothing)
    assert place.kube.calls["patch", "Pod"] == writes
    assert labels.GPU_IDLE_SINCE not in await place.tick(device(50.0, 0, "half"))


async def test_a_restart_remembers_since_when(scene):
    place = scene(pod(**{labels.GPU_IDLE_SINCE: "2026-01-01T11:00:00Z"}))
    assert (await place.tick(device(0.0, 0, "half")))[labels.GPU_IDLE_SINCE] == "2026-01-01T11:00:00Z"


async def test_what_is_not_measured_any_more_is_not_idle(scene):
    place = scene(pod(**{labels.GPU_IDLE_SINCE: "2026-01-01T11:00:00Z"}))
    assert labels.GPU_IDLE_SINCE not in await place.tick()


async def test_an_excess_is_written_told_once_and_taken_back(scene):
    place = scene(pod())
    notes = await place.tick(device(1.0, 10 * GIB, "half"))
    assert notes[labels.GPU_MEMORY_EXCESS] == "it uses 10240 MiB of GPU memory, 8192 MiB were asked for"
    assert EXCESS.labels("ns", "half")._value.get() == 2 * GIB
    await place.tick(device(1.0, 10 * GIB + 5, "half"))
    assert "14336" in (await place.tick(device(1.0, 14 * GIB, "half")))[labels.GPU_MEMORY_EXCESS]
    told = place.kube.all(EVENT)
    assert [event["reason"] for event in told] == ["GpuMemoryExceeded"]
    assert labels.GPU_MEMORY_EXCESS not in await place.tick(device(1.0, GIB, "half"))


async def test_a_workload_that_scales_by_gpu_use_is_told_its_load(scene):
    def inference(name: str, metric: str) -> dict[str, Any]:
        meta = {"name": name, "namespace": "ns", "labels": {labels.WORKLOAD_ID: "wl"}}
        spec = {"type": "inference", "autoscaling": {"metric": metric}}
        return {"apiVersion": "run.ai/v1", "kind": "Workload", "metadata": meta, "spec": spec}

    place = scene(pod(), inference("a", "gpu-utilization"), inference("b", "concurrency"))
    await place.tick(device(72.4, 0, "half"))
    notes = {obj["metadata"]["name"]: obj["metadata"].get("annotations") for obj in place.kube.all(WORKLOAD)}
    assert notes == {"a": {load.GPU_USE: "72"}, "b": None}
