"""The Debian packages that a real node needs: which are missing, and their installation with apt where we may.

Nothing is started through systemd: the programs run as ordinary children of the stack.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from local.kube import netns
from local.kube.cache import Progress
from local.kube.cleanup import CGROUPS
from local.kube.errors import KubeError

CNI_PLUGINS = Path("/usr/lib/cni")
LEFT_OUT = "containers that really run, their logs and exec, and pod networking"
"""What a cluster without a real node cannot show."""


class PackagesError(KubeError):
    """Packages are missing and cannot be installed here; the message says what is left out."""


def _program(name: str) -> Callable[[], bool]:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    return lambda: shutil.which(name, path=path) is not None


PACKAGES: dict[str, Callable[[], bool]] = {
    "containerd": _program("containerd"),
    "runc": _program("runc"),
    "containernetworking-plugins": lambda: (CNI_PLUGINS / "bridge").exists(),
    "iptables": _program("iptables"),
    "iproute2": _program("ip"),
    "busybox-static": _program("busybox"),
    "mmdebstrap": _program("mmdebstrap"),
}


def missing() -> list[str]:
    """Packages whose programs are not there."""
    return [package for package, present in PACKAGES.items() if not present()]


def refusal() -> str:
    """Why this machine cannot have a real node, or an empty string. What apt can install is no reason."""
    if sys.platform != "linux":
        return f"no real node: containers need Linux, this is {sys.platform}; left out are {LEFT_OUT}"
    if os.geteuid() != 0:
        return f"no real node: it needs root; left out are {LEFT_OUT}"
    absent = missing()
    if absent and shutil.which("apt-get") is None:
        return f"no real node: {', '.join(absent)} missing and there is no apt-get; left out are {LEFT_OUT}"
    if "iproute2" not in absent and not netns.available():
        return f"no real node: this process may not make network namespaces; left out are {LEFT_OUT}"
    if not any(os.access(place, os.W_OK) for place in (CGROUPS / "memory", CGROUPS / "cgroup.procs")):
        return f"no real node: cgroups cannot be made here; left out are {LEFT_OUT}"
    return ""


def ensure(progress: Progress) -> None:
    """Install what is missing. Safe to repeat. Raises PackagesError."""
    why = refusal()
    if why:
        raise PackagesError(why)
    absent = missing()
    if not absent:
        return
    progress(f"installing Debian packages: {', '.join(absent)} (usually 20 s)")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ("apt-get", "install", "-y", "--no-install-recommends", *absent)
    done = subprocess.run(install, env=env, capture_output=True, text=True)
    if done.returncode:
        subprocess.run(("apt-get", "update"), env=env, capture_output=True, text=True)
        done = subprocess.run(install, env=env, capture_output=True, text=True)
    if done.returncode:
        raise PackagesError(f"apt-get could not install {', '.join(absent)}: {done.stderr.strip()[-500:]}")
