"""The Go that builds what is missing: an installed one that is new enough, else the official toolchain, fetched once.

The toolchain comes as a module, the way every ``go`` fetches newer ones for itself: from the first GOPROXY, else from
Go's own site. Its hashes are those of Go's public checksum database. Without internet it fails within 3 seconds.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from local.kube.cache import Progress, cache_dir, locked
from local.kube.errors import KubeError

VERSION = "1.26.8"
SUMS = {
    "linux-amd64": "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=",
    "linux-arm64": "h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=",
    "darwin-amd64": "h1:7/9KPPN8PckcA9s91hm2jmQMhzW4KyTJXHIs45L0C9M=",
    "darwin-arm64": "h1:dFjGhY6f8DTsY8/rLchUTDRRfjJP4pCrGCwxvHFT2Fg=",
}
ORIGIN = "https://go.dev/dl/mod"
SWITCHES_ITSELF = (1, 21)
"""From this version on, Go fetches the newer toolchain that a go.mod asks for."""


class GoError(KubeError):
    """There is no Go and it could not be fetched; the message says what to install."""


def find(progress: Progress) -> Path:
    """Path of a ``go`` that can build ``gomod/``. Raises GoError."""
    installed = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if installed and new_enough(_version_text(installed)):
        return Path(installed)
    system = f"{sys.platform}-{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }"
    if system not in SUMS:
        raise GoError(f"Go {VERSION} or newer is needed to build the Kubernetes programs; install it ({system})")
    root = cache_dir() / f"go-{VERSION}-{system}"
    program = root / "bin" / "go"
    with locked(cache_dir() / "go.lock", lambda: progress("waiting for the Go toolchain")):
        if not program.exists():
            progress(f"fetching the Go toolchain {VERSION} (about 70 MB)")
            _unpack(_fetch(system), root)
    return program


def new_enough(text: str) -> bool:
    """Whether a ``go version`` names a Go that can take us to the version of our go.mod files."""
    said = re.search(r"go(\d+)\.(\d+)", text)
    return said is not None and (int(said[1]), int(said[2])) >= SWITCHES_ITSELF


def address(system: str, proxy: str) -> str:
    """Where the archive for ``system`` is, at the first usable entry of a GOPROXY list."""
    entries = [entry for entry in re.split(r"[,|]", proxy) if entry.startswith("http")]
    base = (entries or [ORIGIN])[0].rstrip("/")
    return f"{base}/golang.org/toolchain/@v/v0.0.1-go{VERSION}.{system}.zip"


def module_sum(archive: Path) -> str:
    """The ``h1:`` sum of a module's zip, as in a go.sum: over the hash and name of every file in it."""
    with zipfile.ZipFile(archive) as content:
        names = sorted(content.namelist())
        lines = [f"{hashlib.sha256(content.read(name)).hexdigest()}  {name}\n" for name in names]
    return "h1:" + base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()


def _version_text(program: str) -> str:
    try:
        done = subprocess.run((program, "version"), capture_output=True, text=True, timeout=10, cwd="/")
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _fetch(system: str) -> Path:
    """The archive, checked; a wrong one is removed."""
    url = address(system, os.environ.get("GOPROXY", ""))
    archive = cache_dir() / f"go-{VERSION}-{system}.zip"
    try:
        with urllib.request.urlopen(url, timeout=3) as answer, archive.open("wb") as file:
            shutil.copyfileobj(answer, file)
        found = module_sum(archive)
    except (OSError, urllib.error.URLError, zipfile.BadZipFile) as error:
        archive.unlink(missing_ok=True)
        raise GoError(f"Go is not installed and could not be fetched from {url}: {error}") from error
    if found != SUMS[system]:
        archive.unlink()
        raise GoError(f"{url} has the sum {found}, expected {SUMS[system]}")
    return archive


def _unpack(archive: Path, root: Path) -> None:
    """Module archives carry no permissions: programs are made executable here. Moved into place when complete."""
    unfinished = root.with_name(f".{root.name}.{os.getpid()}")
    with zipfile.ZipFile(archive) as content:
        content.extractall(unfinished)
    [tree] = (unfinished / "golang.org").iterdir()
    for program in (*(tree / "bin").iterdir(), *(tree / "pkg" / "tool").glob("*/*")):
        program.chmod(0o755)
    shutil.rmtree(root, ignore_errors=True)
    os.replace(tree, root)
    shutil.rmtree(unfinished)
    archive.unlink()
