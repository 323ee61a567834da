"""The real node of a local cluster: containerd, kubelet, kube-proxy, CoreDNS and the keeper of its simulated GPUs.

``prepare`` writes files and makes cgroups, ``processes`` says what to run, ``after_start`` imports images and waits.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from agent.wire.labels import GPU_RESOURCE
from local.files import ROOT
from local.kube import images, netns, node_config, sysctls
from local.kube.api import Api
from local.kube.binaries import Binaries
from local.kube.cache import Progress
from local.kube.cleanup import CGROUPS
from local.kube.errors import KubeError
from local.kube.node_config import DNS_ADDRESS, NODE_NAME, NodeLayout

READY_TIMEOUT_S = 90
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class NodeError(KubeError):
    """The real node did not come up; the message says what is missing."""


@dataclass(frozen=True)
class NodeProcess:
    """One program of the node, before ``cluster`` puts it into the namespace."""

    program: str
    argv: tuple[str, ...]
    depends_on: tuple[str, ...]
    probe: Callable[[], bool] | None
    env: Mapping[str, str] = field(default_factory=dict)


def prepare(layout: NodeLayout) -> None:
    """Folders, configuration, cgroups, DNS address. Safe to repeat. Raises NetworkError."""
    sysctls.note()
    for folder in (layout.configs / "cni", layout.pod_logs, layout.sockets, layout.directory / "volume-plugins"):
        folder.mkdir(parents=True, exist_ok=True)
    layout.sockets.chmod(0o700)
    # Addresses of pods that a crash left would be taken for ever: no pod sandbox outlives the last teardown.
    shutil.rmtree(layout.directory / "cni-addresses", ignore_errors=True)
    netns.add_address(layout.plan, DNS_ADDRESS)
    written = {
        "containerd.toml": node_config.containerd(layout, snapshotter(layout.directory)),
        "cni/10-pods.conflist": json.dumps(node_config.cni(layout)),
        "kubelet.yaml": yaml.safe_dump(node_config.kubelet(layout), sort_keys=False),
        "kube-proxy.yaml": yaml.safe_dump(node_config.kube_proxy(layout), sort_keys=False),
        "Corefile": node_config.corefile(layout),
        "resolv.conf": f"nameserver {DNS_ADDRESS}\n",
    }
    for name, text in written.items():
        (layout.configs / name).write_text(text)
    _make_cgroups(layout.mark)


def processes(layout: NodeLayout, programs: Binaries, api: Callable[[], Api]) -> list[NodeProcess]:
    """What the node runs, in order of start."""
    configs, address = layout.configs, layout.plan.address
    containerd = shutil.which("containerd") or "containerd"
    kubelet = (
        str(programs["kubelet"]),
        f"--config={configs / 'kubelet.yaml'}",
        f"--kubeconfig={layout.cluster.kubeconfig('kubelet')}",
        f"--root-dir={layout.directory / 'kubelet'}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={address}",
    )
    keeper = (
        sys.executable,
        "-m",
        "local.kube.gpus",
        f"--kubeconfig={layout.admin_kubeconfig}",
        f"--node={NODE_NAME}",
        f"--gpus={layout.gpus}",
    )
    return [
        NodeProcess(
            "containerd",
            (containerd, f"--config={configs / 'containerd.toml'}", "--log-level=warn"),
            (),
            lambda: _accepts(layout.containerd_socket),
        ),
        NodeProcess(
            "kubelet", kubelet, ("containerd", "kube-apiserver"), lambda: _answers(f"http://{address}:10248/healthz")
        ),
        NodeProcess(
            "kube-proxy",
            (str(programs["kube-proxy"]), f"--config={configs / 'kube-proxy.yaml'}"),
            ("kube-apiserver",),
            lambda: _answers(f"http://{address}:10256/livez"),
        ),
        NodeProcess(
            "coredns",
            (str(programs["coredns"]), f"-conf={configs / 'Corefile'}"),
            ("kube-apiserver",),
            lambda: _answers(f"http://{address}:8181/ready"),
        ),
        NodeProcess("gpus", keeper, ("kube-apiserver",), None, {"PYTHONPATH": str(ROOT)}),
    ]


def after_start(layout: NodeLayout, api: Api, progress: Progress, since: datetime) -> None:
    """Import the images that containerd lacks and wait until kubelet said after ``since`` that the node is Ready.

    The node has its GPUs then, too. Raises NodeError.
    """
    import_images(layout.containerd_socket, images.ensure(progress))
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        item = api.find(f"/api/v1/nodes/{NODE_NAME}")
        if item is not None and is_ready(item, since) and gpus_of(item) == layout.gpus:
            return
        if time.monotonic() > deadline:
            state = "not registered" if item is None else f"Ready: {is_ready(item)}, GPUs: {gpus_of(item)}"
            raise NodeError(f"node {NODE_NAME} after {READY_TIMEOUT_S} s: {state}; see logs/kubelet.log")
        time.sleep(0.2)


def import_images(containerd_socket: Path, wanted: tuple[images.Image, ...]) -> None:
    """Give containerd the images it does not have yet. Safe to repeat. Raises NodeError."""
    ctr = ("ctr", f"--address={containerd_socket}", "--namespace=k8s.io", "images")
    listed = subprocess.run((*ctr, "list", "--quiet"), capture_output=True, text=True)
    for image in wanted:
        if image.name in listed.stdout.split():
            continue
        done = subprocess.run((*ctr, "import", str(image.archive)), capture_output=True, text=True)
        if done.returncode:
            raise NodeError(f"containerd did not take {image.name}: {done.stderr.strip()[-500:]}")


def is_ready(item: dict[str, Any], since: datetime = LONG_AGO) -> bool:
    """Whether a Node object says that it is Ready, and last said so after ``since`` (a restart, for instance)."""
    conditions = item.get("status", {}).get("conditions", ())
    return any(
        one["type"] == "Ready" and one["status"] == "True" and datetime.fromisoformat(one["lastHeartbeatTime"]) >= since
        for one in conditions
    )


def gpus_of(item: dict[str, Any]) -> int:
    """Allocatable GPUs of a Node object."""
    return int(item.get("status", {}).get("allocatable", {}).get(GPU_RESOURCE, 0))


def snapshotter(directory: Path) -> str:
    """``overlayfs`` where the directory's file system can be a layer of one, else the slow ``native``."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        base = Path(name)
        for part in ("lower", "upper", "work", "merged"):
            (base / part).mkdir()
        options = f"lowerdir={base / 'lower'},upperdir={base / 'upper'},workdir={base / 'work'}"
        argv = ("mount", "-t", "overlay", "overlay", "-o", options, str(base / "merged"))
        if subprocess.run(argv, capture_output=True).returncode:
            return "native"
        subprocess.run(("umount", str(base / "merged")), check=True)
    return "overlayfs"


def _make_cgroups(mark: str) -> None:
    """kubelet wants its root in every hierarchy (version 1), or in the one of version 2 with controllers passed on."""
    if (CGROUPS / "cgroup.controllers").exists():
        (CGROUPS / mark).mkdir(exist_ok=True)
        for group in (CGROUPS, CGROUPS / mark):
            with contextlib.suppress(OSError):
                (group / "cgroup.subtree_control").write_text("+cpu +cpuset +memory +pids")
        return
    for hierarchy in CGROUPS.iterdir():
        if (hierarchy / "cgroup.procs").exists() and not hierarchy.is_symlink():
            (hierarchy / mark).mkdir(exist_ok=True)


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        probe.connect(str(path))
    return True


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
