"""MPI over ssh, for real: Open MPI and ssh of Debian in an image, two workers on the node, keys of the operator."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from local.kube import images, node
from tests.agent.live import Live, clear, log_of, make_project, reach, workload
from tests.agent.operator.user_image import with_user
from tests.fixtures_kube import say

pytestmark = [pytest.mark.node, pytest.mark.long, pytest.mark.timeout(600)]
ROOTS, USERS = "example.local/openmpi:1", "example.local/openmpi-user:1"
PACKAGES = ("openmpi-bin", "openssh-server", "openssh-client")
COMPUTE = {"cpuMilli": 50, "memoryBytes": 134217728}
UID = 1000


@pytest.fixture(scope="module", autouse=True)
def ground(live_node: Live, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = images.debian(say, ROOTS, PACKAGES, command=["sleep", "600"])
    own = with_user(base, USERS, "mpi", UID, tmp_path_factory.mktemp("image"))
    node.import_images(live_node.cluster._node().containerd_socket, (base, own))
    own.archive.unlink()
    live_node.start("operator", "scheduler")


@pytest.mark.parametrize(
    ("image", "home", "security", "user"),
    [
        (ROOTS, ("/", "root", ".ssh"), {}, 0),
        (ROOTS, ("/", "keys", ".ssh"), {"runAsGid": 7}, 0),
        (USERS, ("/", "home", "mpi", ".ssh"), {}, UID),
        (USERS, ("/", "home", "mpi", ".ssh"), {"runAsGid": 7}, UID),
        (USERS, ("/", "keys", ".ssh"), {"runAsUid": 0, "runAsGid": 7}, 0),
    ],
    ids=["root", "root with a group", "the image's user", "the image's user with a group", "root in its place"],
)
async def test_mpirun_reaches_every_worker_by_ssh(
    live_node: Live, image: str, home: tuple[str, ...], security: dict[str, Any], user: int
) -> None:
    say_it = "echo MARKER $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE on $(hostname) as $(id -u)"
    run = f"mpirun --allow-run-as-root -n 4 sh -c '{say_it}'"
    spec = {"type": "distributed", "framework": "MPI", "workers": 3, "slotsPerWorker": 2, "image": image}
    keys = {"sshAuthMountPath": str(PurePosixPath(*home)), "cleanPodPolicy": "Running"}
    async with live_node.connect() as kube:
        space = await make_project(kube, "ssh")
        given = {**spec, **keys, **({"security": security} if security else {})}
        await kube.create(workload("over-ssh", space, **given, command=["sh", "-c", run], compute=COMPUTE))
        try:
            await reach(kube, "over-ssh", space, "Completed", within=180)
            said = (await log_of(kube, "over-ssh-0", space)).splitlines()
        finally:
            await clear(kube, space)
        assert sorted(line for line in said if line.startswith("MARKER")) == [
            f"MARKER 0 of 4 on over-ssh-1 as {user}",
            f"MARKER 1 of 4 on over-ssh-1 as {user}",
            f"MARKER 2 of 4 on over-ssh-2 as {user}",
            f"MARKER 3 of 4 on over-ssh-2 as {user}",
        ]
