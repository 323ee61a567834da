"""``python -m bench._cluster_floor KUBECONFIG``: binds what it sees to the next free device and decides nothing.

No queues, gangs or fair shares, no Event and no status: what a machine can do at most, whatever schedules on it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque

from agent.kube.client import KubeClient
from agent.kube.errors import KubeError
from agent.kube.protocol import Obj
from agent.kube.resources import NODE, POD

NAME = "floor-scheduler"
AT_ONCE = 48
MINE = f"spec.schedulerName={NAME},spec.nodeName="


async def bind_all(kubeconfig: str) -> None:
    async with KubeClient.connect(kubeconfig, user_agent="floor") as kube, asyncio.TaskGroup() as tasks:
        seen: asyncio.Queue[Obj] = asyncio.Queue()
        free: deque[str] = deque()
        for node in (await kube.list(NODE)).items:
            free += [node["metadata"]["name"]] * int(node["status"]["allocatable"]["nvidia.com/gpu"])
        for _ in range(AT_ONCE):
            tasks.create_task(_work(kube, seen, free))
        listing = await kube.list(POD, fields=MINE)
        version = listing.resource_version
        for pod in listing.items:
            seen.put_nowait(pod)
        while True:
            try:
                async for event in kube.watch(POD, resource_version=version, fields=MINE):
                    version = event.object["metadata"]["resourceVersion"]
                    if event.type == "ADDED":
                        seen.put_nowait(event.object)
            except KubeError:
                await asyncio.sleep(0.1)


async def _work(kube: KubeClient, seen: asyncio.Queue[Obj], free: deque[str]) -> None:
    while True:
        pod = await seen.get()
        meta, limits = pod["metadata"], pod["spec"]["containers"][0]["resources"]["limits"]
        node = free.popleft() if "nvidia.com/gpu" in limits else free[0]
        await kube.bind(meta["namespace"], meta["name"], node, uid=meta["uid"])


if __name__ == "__main__":
    asyncio.run(bind_all(sys.argv[1]))
