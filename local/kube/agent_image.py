"""The agent's own image, for clusters where its roles run as Deployments: Python's image, its packages, its code.

Made of the checkout and ``requirements/agent.txt`` with hashes; the name of the archive is the hash of both, so that a
change makes a new one and a repeated call makes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from local.files import ROOT
from local.kube import images
from local.kube.cache import Progress, cache_dir, locked

REPOSITORY = "example.local/runai-agent"
FOLDER = "opt/agent"
_ENV = [images.PATH_ENV, f"PYTHONPATH=/{FOLDER}", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"]


def ensure(progress: Progress, version: str = "0.1.0") -> images.Image:
    """The image ``example.local/runai-agent:VERSION``. Raises ImagesError."""
    base = next(image for image in images.ensure(progress) if image.name == images.PYTHON)
    name = f"{REPOSITORY}:{version}"
    target = cache_dir() / "images" / f"runai-agent-{_digest(version, base.archive)}.tar"
    with locked(target.with_suffix(".lock"), lambda: progress(f"waiting for the image {name}")):
        if not target.exists():
            progress(f"making the image {name} (usually 20 s)")
            with tempfile.TemporaryDirectory(prefix="runai-image-") as folder:
                layer = Path(folder) / "layer.tar"
                _write_layer(layer, Path(folder) / "packages")
                _write_archive(target, name, base.archive, layer)
    return images.Image(name, target)


def _sources() -> list[Path]:
    return sorted(path for path in (ROOT / "agent").rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _digest(version: str, base: Path) -> str:
    sums = hashlib.sha256(f"{version} {base.name}".encode())
    for path in [ROOT / "requirements" / "agent.txt", *_sources()]:
        sums.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return sums.hexdigest()[:16]


def _write_layer(layer: Path, packages: Path) -> None:
    argv = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check"]
    argv += ["--only-binary=:all:", "--require-hashes", "--target", str(packages)]
    argv += ["-r", str(ROOT / "requirements" / "agent.txt")]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/")
    if done.returncode:
        raise images.ImagesError(f"the agent's packages could not be installed: {done.stderr.strip()[-800:]}")
    shutil.rmtree(packages / "bin", ignore_errors=True)
    with tarfile.open(layer, "w") as archive:
        archive.add(packages, FOLDER, filter=_plain)
        for path in _sources():
            archive.add(path, f"{FOLDER}/{path.relative_to(ROOT)}", filter=_plain)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Owned by root, readable by everybody, without times: equal content is an equal layer."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    info.mode |= 0o555 if info.isdir() else 0o444
    return info


def _write_archive(target: Path, name: str, base: Path, layer: Path) -> None:
    """The base's one layer and ours."""
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with tarfile.open(base) as source, tarfile.open(unfinished, "w") as archive:
            first = str(json.loads(images.read(source, "manifest.json"))[0]["Layers"][0])
            document = images.config(digest, ["python", "-m", "agent"], _ENV)
            document["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{first.split('/')[0]}", f"sha256:{digest}"]}
            text = json.dumps(document).encode()
            config_name = f"{hashlib.sha256(text).hexdigest()}.json"
            manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [first, f"{digest}/layer.tar"]}]
            images.add(archive, "manifest.json", json.dumps(manifest).encode())
            images.add(archive, config_name, text)
            archive.addfile(source.getmember(first), source.extractfile(first))
            archive.add(layer, f"{digest}/layer.tar")
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
