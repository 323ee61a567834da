"""``python -m local machine``: what a machine needs once: Debian packages and the Kubernetes programs.

As root on Debian missing packages are installed; elsewhere the sentence says what is left out. Safe to repeat.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from local.kube import packages
from local.kube.binaries import CONTROL_PLANE, NODE, ensure
from local.kube.errors import KubeError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WITHOUT_A_REAL_NODE = "KWOK nodes only: no container runs, so no logs, no exec, no real metrics of pods"


def obstacle_to_a_real_node() -> str:
    """A sentence, or an empty string where a real node is possible (perhaps after installing packages)."""
    if why := packages.refusal():
        return why
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        return f"no real node: network namespaces are not allowed here (CAP_SYS_ADMIN). {WITHOUT_A_REAL_NODE}"
    return ""


def prepare_machine(say: Callable[[str], None]) -> None:
    """Packages of a real node, a browser for the tests, the Kubernetes programs. Raises ``KubeError``."""
    if why := obstacle_to_a_real_node():
        say(why)
    else:
        packages.ensure(say)
    _ensure_browser(say)
    ensure(say, (*CONTROL_PLANE, *NODE))


def _ensure_browser(say: Callable[[str], None]) -> None:
    if any(shutil.which(name) for name in BROWSERS):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        say("no Chromium: browser tests are skipped; install chromium to run them")
        return
    say("installing the Debian package chromium (usually a minute)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
    if subprocess.run(install, env=environment, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "update"], env=environment, capture_output=True, check=False)
        done = subprocess.run(install, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KubeError(f"apt-get could not install chromium: {done.stderr.strip()[-500:]}")
