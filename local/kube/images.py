"""Container images without a registry: docker archives made of programs of this machine, kept in the user's cache.

``example.local/busybox:1`` and the pause image come from Debian's static busybox, ``example.local/python:3.11`` from
``mmdebstrap``. A finished archive is moved into place at once, so that a crash leaves no half of one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.kube.cache import Progress, cache_dir, locked
from local.kube.errors import KubeError

PAUSE = "example.local/pause:1"
BUSYBOX = "example.local/busybox:1"
PYTHON = "example.local/python:3.11"
PATH_ENV = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PAUSE_SCRIPT = "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done"
"""Waits for SIGTERM and reaps what a shared process namespace leaves to it."""


class ImagesError(KubeError):
    """An image could not be made; the message carries the tool's own words."""


@dataclass(frozen=True)
class Image:
    """An image by the name that pods use, as an archive for ``ctr images import``."""

    name: str
    archive: Path


def ensure(progress: Progress) -> tuple[Image, ...]:
    """All images, made where they are missing: the small ones at once, Python in about 15 s. Raises ImagesError."""
    return (_busybox(PAUSE, ["/bin/sh", "-c", PAUSE_SCRIPT]), _busybox(BUSYBOX, ["sh"]), _python(progress))


def architecture() -> str:
    """This machine's architecture in the words of images."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def config(layer_sha256: str, command: Sequence[str], env: Sequence[str]) -> dict[str, object]:
    """The image's config document for one layer."""
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Env": list(env), "Cmd": list(command), "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_sha256}"]},
    }


def write_archive(target: Path, name: str, layer: Path, command: Sequence[str]) -> None:
    """A docker archive at ``target`` of the one uncompressed layer ``layer``."""
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    document = json.dumps(config(digest, command, [PATH_ENV])).encode()
    config_name = f"{hashlib.sha256(document).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with tarfile.open(unfinished, "w") as archive:
            add(archive, "manifest.json", json.dumps(manifest).encode())
            add(archive, config_name, document)
            archive.add(layer, f"{digest}/layer.tar")
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _busybox(name: str, command: Sequence[str]) -> Image:
    program = shutil.which("busybox")
    if program is None:
        raise ImagesError("busybox is missing: install the package busybox-static")
    binary = Path(program).read_bytes()
    label = name.rpartition("/")[2].replace(":", "-")
    target = cache_dir() / "images" / f"{label}-{hashlib.sha256(binary).hexdigest()[:12]}.tar"
    with locked(target.with_suffix(".lock"), lambda: None):
        if not target.exists():
            layer = target.with_suffix(".layer")
            _write_busybox_layer(layer, binary, _applets(program))
            write_archive(target, name, layer, command)
            layer.unlink()
    return Image(name, target)


def _applets(program: str) -> list[str]:
    listed = subprocess.run((program, "--list"), capture_output=True, text=True, check=True).stdout.split()
    return [applet for applet in listed if applet != "busybox"]


def _write_busybox_layer(layer: Path, binary: bytes, applets: Sequence[str]) -> None:
    with tarfile.open(layer, "w") as archive:
        for folder in ("bin", "etc", "root", "home", "var", "usr", "usr/bin"):
            _add_folder(archive, folder, 0o755)
        _add_folder(archive, "tmp", 0o1777)
        add(archive, "bin/busybox", binary, 0o755)
        for applet in applets:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        add(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/sh\n")
        add(archive, "etc/group", b"root:x:0:\nnogroup:x:65534:\n")


def _python(progress: Progress) -> Image:
    packages = ("python3-minimal", "libpython3-stdlib", "ca-certificates")
    return debian(progress, PYTHON, packages, command=["python3"], label="python-3.11-bookworm-1")


def debian(progress: Progress, name: str, packages: Sequence[str], *, command: Sequence[str], label: str = "") -> Image:
    """A Debian root file system with packages, without documentation and package lists. Raises ImagesError."""
    digest = hashlib.sha256(repr(tuple(packages)).encode()).hexdigest()[:8]
    label = label or f"{name.rpartition('/')[2].replace(':', '-')}-{digest}"
    target = cache_dir() / "images" / f"{label}.tar"
    with locked(target.with_suffix(".lock"), lambda: progress(f"waiting for the image {name}")):
        if not target.exists():
            progress(f"making the image {name}, once per machine (usually 20 s)")
            layer = target.with_suffix(".layer.tar")
            _write_debian_layer(layer, name, packages)
            write_archive(target, name, layer, command)
            layer.unlink()
    return Image(name, target)


def _write_debian_layer(layer: Path, name: str, packages: Sequence[str]) -> None:
    useless = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/lib/apt/lists")
    argv = [
        "mmdebstrap",
        "--variant=essential",
        f"--include={','.join(packages)}",
        *[f'--customize-hook=rm -rf "$1"/{folder}' for folder in (*useless, "var/cache/apt/archives/*.deb")],
        '--customize-hook=if [ -e "$1"/usr/bin/python3 ]; then ln -sf python3 "$1"/usr/bin/python; fi',
        "bookworm",
        str(layer),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/")
    if done.returncode:
        layer.unlink(missing_ok=True)
        raise ImagesError(f"mmdebstrap could not make {name}: {done.stderr.strip()[-800:]}")


def read(archive: tarfile.TarFile, name: str) -> bytes:
    """A file of an archive. Raises ImagesError when it is not there."""
    file = archive.extractfile(name)
    if file is None:
        raise ImagesError(f"{name} is missing in the archive of an image")
    return file.read()


def add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    """Put ``data`` into an archive as the file ``name``."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def _add_folder(archive: tarfile.TarFile, name: str, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    archive.addfile(info)
