"""The Go that builds what is missing: an installed one that is new enough, else the official toolchain, fetched once.

The toolchain comes from the Go module proxy as every ``go`` fetches newer ones for itself; the SHA-256 of its archives
were taken after ``go mod download`` had verified them against Go's checksum database. Without internet it fails in 3 s.
"""

from __future__ import annotations

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
SHA256 = {
    "linux-amd64": "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7",
    "linux-arm64": "02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99",
    "darwin-amd64": "fe99a2009e5bb51e06d7784f1a486478673512041c2671157bd382806e2aedcf",
    "darwin-arm64": "0aad5fb52b88498885290178adc0bcfe429bc63012621af9f83282eb640bd9c7",
}
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
    if system not in SHA256:
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
    base = (entries or ["https://proxy.golang.org"])[0].rstrip("/")
    return f"{base}/golang.org/toolchain/@v/v0.0.1-go{VERSION}.{system}.zip"


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
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, urllib.error.URLError) as error:
        archive.unlink(missing_ok=True)
        raise GoError(f"Go is not installed and could not be fetched from {url}: {error}") from error
    if found != SHA256[system]:
        archive.unlink()
        raise GoError(f"{url} has the SHA-256 {found}, expected {SHA256[system]}")
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
