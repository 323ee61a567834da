"""Shared GPUs on a real node: the right devices, kubelet's account equal to ours, and kill -9 in between."""

from __future__ import annotations

import pytest

from agent.kube.resources import POD
from tests.agent.live import clear, log_of, make_project, pods_of, reach, until, workload

pytestmark = pytest.mark.node
SPACE = "runai-reservation"
SHOW = "echo device $NVIDIA_VISIBLE_DEVICES portion $GPU_PORTION; sleep {}"


@pytest.fixture(scope="module", autouse=True)
def roles(live_node):
    live_node.start("operator", "scheduler")


def sharing(name: str, space: str, seconds: int = 600, **compute: int):
    command = ["sh", "-c", SHOW.format(seconds)]
    return workload(name, space, command=command, compute={"gpuDevices": 1, "gpuPortionMilli": 500, **compute})


async def reserved(kube) -> list[str]:
    """Devices that reservation pods on the real node hold."""
    pods = (await kube.list(POD, SPACE)).items
    here = [pod for pod in pods if pod["spec"]["nodeName"] == "node-1" and not pod["metadata"].get("deletionTimestamp")]
    return sorted(pod["metadata"]["annotations"]["run.ai/reserve_for_gpu_index"] for pod in here)


async def device(kube, name: str, space: str) -> str:
    pod = (await pods_of(kube, space, name))[0]["metadata"]["name"]

    async def said() -> str:
        text = await log_of(kube, pod, space)
        return text.strip() if "device" in text else ""

    return await until(said)


async def test_two_pods_share_one_gpu_and_the_last_one_frees_it(live_node):
    async with live_node.connect() as kube:
        space = await make_project(kube, "shared")
        for name in ("a", "b", "c"):
            await kube.create(sharing(name, space))
        for name in ("a", "b", "c"):
            await reach(kube, name, space, "Running")
        said = sorted([await device(kube, name, space) for name in ("a", "b", "c")])
        assert said in (
            ["device 6 portion 0.5", "device 7 portion 0.5", "device 7 portion 0.5"],
            ["device 6 portion 0.5", "device 6 portion 0.5", "device 7 portion 0.5"],
        )
        assert await reserved(kube) == ["6", "7"]
        await clear(kube, space)

        async def free() -> bool:
            return not await reserved(kube)

        await until(free)


async def test_two_devices_of_a_pod_with_a_fraction_of_each(live_node):
    async with live_node.connect() as kube:
        space = await make_project(kube, "shared")
        await kube.create(sharing("two", space, gpuDevices=2, gpuPortionMilli=250))
        await reach(kube, "two", space, "Running")
        words = (await device(kube, "two", space)).split()
        assert sorted(words[1].split(",")) == ["6", "7"]
        assert words[3] == "0.25"
        await clear(kube, space)


async def test_a_full_node_takes_no_more_and_the_kubelet_refuses_nobody(live_node):
    """Whole and shared devices in a burst, the scheduler killed in the middle: nobody is refused by the kubelet."""
    async with live_node.connect() as kube:
        space = await make_project(kube, "shared")
        for index in range(6):
            await kube.create(sharing(f"s{index}", space))
            whole = workload(f"w{index}", space, command=["sleep", "600"], compute={"gpuDevices": 1})
            await kube.create(whole)
            if index == 2:
                live_node.stop()
                live_node.start("operator", "scheduler")

        async def full() -> bool:
            bound = [pod for pod in (await kube.list(POD, space)).items if pod["spec"].get("nodeName")]
            shared = sum(1 for pod in bound if pod["metadata"]["name"].startswith("s"))
            return (len(bound) - shared) + len(await reserved(kube)) == 8 and all(
                pod["status"]["phase"] == "Running" for pod in bound
            )

        await until(full, within=90)
        pods = (await kube.list(POD, space)).items + (await kube.list(POD, SPACE)).items
        assert not [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Failed"]
        await clear(kube, space)
