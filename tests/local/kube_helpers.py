"""What tests of local clusters share: waiting, asking for a pod, and looking for what a cluster left behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.kube import cleanup
from local.kube.api import Api
from local.kube.cluster import LocalCluster

PODS = "/api/v1/namespaces/default/pods"


def wait_for(read: Callable[[], Any], good: Callable[[Any], bool], seconds: float = 20) -> Any:
    """The first answer that is good; fails with the last one."""
    deadline = time.monotonic() + seconds
    while not good(answer := read()):
        assert time.monotonic() < deadline, f"still {answer!r} after {seconds} s"
        time.sleep(0.1)
    return answer


def phase_of(api: Api, name: str) -> str:
    return str(api.call("GET", f"{PODS}/{name}")["status"].get("phase"))


def leftovers(cluster: LocalCluster) -> list[str]:
    """What of a cluster is still on this machine, apart from its files."""
    found = [f"process {pid}" for pid in cleanup.processes(cluster.dir, cluster.mark)]
    found += cleanup.mounts_under(cluster.dir, Path("/proc/self/mountinfo").read_text())
    for alias in Path("/sys/class/net").glob("*/ifalias"):
        if alias.read_text().strip() == str(cluster.dir):
            found.append(f"link {alias.parent.name}")
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{cluster.mark}")]
    found += [str(path) for path in (cluster.sockets, cluster.dir / "netns") if path.exists()]
    return found
