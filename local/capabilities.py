"""Whether this machine can run containers of its own for a real node, and if not, why not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "busybox": "busybox-static",
}
"""Program → Debian package."""
CNI_PLACES = (Path("/usr/lib/cni/bridge"), Path("/opt/cni/bin/bridge"))


def obstacles_to_a_real_node() -> list[str]:
    """Sentences; empty where a real node is possible."""
    if sys.platform != "linux":
        return [f"containers need Linux, this is {sys.platform}"]
    if os.geteuid() != 0:
        return ["containers and network namespaces need root"]
    missing = sorted({package for name, package in PROGRAMS.items() if shutil.which(name) is None})
    if not any(place.exists() for place in CNI_PLACES):
        missing.append("containernetworking-plugins")
    if missing:
        return [f"these Debian packages are missing: {', '.join(missing)}"]
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        return ["this container may not make network namespaces (it lacks CAP_SYS_ADMIN)"]
    return []


WITHOUT_A_REAL_NODE = "KWOK nodes only: no container runs, so no logs, no exec, no real metrics of pods"
