"""Leaves nothing behind: ends every process of a cluster, unmounts, removes cgroups, sockets and the link to the host.

Nothing is found by name. Processes are told by the cluster's mark in their environment, by its network namespace or by
its cgroup; mounts and sockets by its directory. So it works after any crash, and can be repeated at any time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from local import pids
from local.kube import netns

MARK = "RUNAI_LOCAL_CLUSTER"
CGROUPS = Path("/sys/fs/cgroup")
SHIM_SOCKETS = Path("/run/containerd/s")
CLIENTS = frozenset(("kubelet", "kube-proxy", "kwok", "kube-controller-manager", "coredns"))
"""Stopped first, then the API server, then the rest: an API server whose etcd is gone lingers for a minute."""

CNI_RESULTS = Path("/var/lib/cni/results")
CONTAINER_LOGS = Path("/var/log/containers")
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")


def leave_nothing(directory: Path, cgroup: str, grace_s: float = 5) -> int:
    """Stop and remove everything of the cluster in ``directory`` (absolute). Returns how many processes it ended."""
    ended = _end_processes(directory, cgroup, grace_s)
    _remove_shim_sockets(directory)
    if os.geteuid() == 0:
        _remove_fixed_paths(directory, cgroup)
    _unmount(directory)
    if os.geteuid() == 0:
        netns.destroy(directory)
        _remove_cgroups(cgroup)
    (directory / "netns").unlink(missing_ok=True)
    return ended


def processes(directory: Path, cgroup: str) -> set[int]:
    """Pids of everything that runs for the cluster, the caller and its parents left out."""
    found = _marked(directory) | _in_namespace(directory) | _in_cgroup(cgroup)
    return found - _ancestors()


def _end_processes(directory: Path, cgroup: str, grace_s: float) -> int:
    found = processes(directory, cgroup)
    by_program = {pid: program_of(pid) for pid in found}
    _stop((pid for pid, program in by_program.items() if program in CLIENTS), min(grace_s, 1))
    _stop((pid for pid, program in by_program.items() if program == "kube-apiserver"), grace_s)
    deadline = time.monotonic() + grace_s
    while (left := processes(directory, cgroup)) and time.monotonic() < deadline:
        _stop(left, 0.3)
    return len(found)


def _stop(these: Iterable[int], grace_s: float) -> None:
    who = [pids.identify(pid) for pid in these]
    for one in who:
        pids.send(one.pid, signal.SIGTERM)
    for one in pids.wait_gone(who, grace_s):
        pids.send(one.pid, signal.SIGKILL)
    pids.wait_gone(who, 5)


def _numbers() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()] if os.path.isdir("/proc") else []


def _marked(directory: Path) -> set[int]:
    want = f"{MARK}={directory}".encode()
    found = set()
    for pid in _numbers():
        with contextlib.suppress(OSError):
            if want in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.add(pid)
    return found


def _in_namespace(directory: Path) -> set[int]:
    """Processes whose network namespace is the one pinned by the cluster's file."""
    try:
        pinned = (directory / "netns").stat()
        if pinned.st_dev == directory.stat().st_dev:  # an ordinary file: nothing is mounted there
            return set()
    except OSError:
        return set()
    found = set()
    for pid in _numbers():
        with contextlib.suppress(OSError):
            theirs = os.stat(f"/proc/{pid}/ns/net")
            if (theirs.st_dev, theirs.st_ino) == (pinned.st_dev, pinned.st_ino):
                found.add(pid)
    return found


def _cgroup_roots(cgroup: str) -> list[Path]:
    """The cluster's directory in every hierarchy (version 1), or the one of version 2."""
    places = [CGROUPS / cgroup, *CGROUPS.glob(f"*/{cgroup}")] if CGROUPS.is_dir() else []
    return [place for place in places if place.is_dir()]


def _in_cgroup(cgroup: str) -> set[int]:
    found: set[int] = set()
    for root in _cgroup_roots(cgroup):
        for file in root.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in file.read_text().split())
    return found


def _ancestors() -> set[int]:
    chain, pid = set(), os.getpid()
    while pid > 0 and pid not in chain:
        chain.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return chain


def program_of(pid: int) -> str:
    """Name of the executable without its version: ``kubelet-v1.34.4`` is ``kubelet``."""
    try:
        first = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""
    return os.path.basename(first).partition("-v")[0]


def _remove_shim_sockets(directory: Path) -> None:
    """containerd's shims listen under a directory of the whole machine; each bundle says where."""
    for address in directory.glob("containerd/state/io.containerd.runtime.v2.task/*/*/address"):
        with contextlib.suppress(OSError):
            path = Path(address.read_text().strip().removeprefix("unix://"))
            if path.parent == SHIM_SOCKETS:
                path.unlink()
    with contextlib.suppress(OSError):
        SHIM_SOCKETS.rmdir()
        SHIM_SOCKETS.parent.rmdir()


def _remove_fixed_paths(directory: Path, network: str) -> None:
    """Files that kubelet and the CNI library keep at places which cannot be configured."""
    for result in CNI_RESULTS.glob(f"{network}-*"):
        container = result.name.removeprefix(f"{network}-").partition("-")[0]
        for file in CNI_RESULTS.glob(f"*-{container}-*"):
            file.unlink(missing_ok=True)
    for link in CONTAINER_LOGS.glob("*.log"):
        with contextlib.suppress(OSError):
            if os.readlink(link).startswith(f"{directory}/"):
                link.unlink()
    plugins = DEVICE_PLUGINS / "kubelet.sock"
    if plugins.is_socket() and not _listens(plugins):
        for file in (plugins, DEVICE_PLUGINS / "kubelet_internal_checkpoint"):
            file.unlink(missing_ok=True)
    for folder in (CNI_RESULTS, CNI_RESULTS.parent, CONTAINER_LOGS, DEVICE_PLUGINS, DEVICE_PLUGINS.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()  # only when empty


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def mounts_under(directory: Path, table: str) -> list[str]:
    """Mount points below ``directory`` in a ``/proc/self/mountinfo``, the deepest first."""
    points = []
    for line in table.splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(f"{directory}/"):
            points.append(point)
    return sorted(points, key=lambda point: point.count("/"), reverse=True)


def _unmount(directory: Path) -> None:
    """Unmount everything below the directory; a busy mount is detached."""
    if os.geteuid() != 0 or not os.path.exists("/proc/self/mountinfo"):
        return
    for _ in range(3):
        points = mounts_under(directory, Path("/proc/self/mountinfo").read_text())
        if not points:
            return
        for point in points:
            if subprocess.run(("umount", point), capture_output=True).returncode:
                subprocess.run(("umount", "--lazy", point), capture_output=True)


def _remove_cgroups(cgroup: str) -> None:
    for root in _cgroup_roots(cgroup):
        below = sorted((path for path in root.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
        for group in (*below, root):
            for _ in range(20):
                with contextlib.suppress(OSError):
                    group.rmdir()
                if not group.exists():
                    break
                time.sleep(0.05)
