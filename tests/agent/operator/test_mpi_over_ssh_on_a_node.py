"""MPI over ssh, for real: Open MPI and ssh of Debian in an image, two workers on the node, keys of the operator."""

from __future__ import annotations

import pytest

from local.kube import images, node
from tests.agent.live import clear, log_of, make_project, reach, workload
from tests.fixtures_kube import say

pytestmark = [pytest.mark.node, pytest.mark.long, pytest.mark.timeout(600)]
IMAGE = "example.local/openmpi:1"
PACKAGES = ("openmpi-bin", "openssh-server", "openssh-client")
COMPUTE = {"cpuMilli": 50, "memoryBytes": 134217728}


async def test_mpirun_reaches_every_worker_by_ssh(live_node):
    image = images.debian(say, IMAGE, PACKAGES, command=["sleep", "600"])
    node.import_images(live_node.cluster._node().containerd_socket, (image,))
    live_node.start("operator", "scheduler")
    say_it = "echo MARKER $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE on $(hostname)"
    run = f"mpirun --allow-run-as-root -n 4 sh -c '{say_it}'"
    async with live_node.connect() as kube:
        space = await make_project(kube, "ssh")
        spec = {"type": "distributed", "framework": "MPI", "workers": 3, "slotsPerWorker": 2, "image": IMAGE}
        keys = {"sshAuthMountPath": "/root" + "/.ssh", "cleanPodPolicy": "Running"}
        await kube.create(workload("over-ssh", space, **spec, **keys, command=["sh", "-c", run], compute=COMPUTE))
        await reach(kube, "over-ssh", space, "Completed", within=180)
        said = (await log_of(kube, "over-ssh-0", space)).splitlines()
        assert sorted(line for line in said if line.startswith("MARKER")) == [
            "MARKER 0 of 4 on over-ssh-1",
            "MARKER 1 of 4 on over-ssh-1",
            "MARKER 2 of 4 on over-ssh-2",
            "MARKER 3 of 4 on over-ssh-2",
        ]
        await clear(kube, space)
