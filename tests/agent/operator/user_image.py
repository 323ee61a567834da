"""An image that runs as a user of its own, made of one that runs as root."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

from local.kube import images


def with_user(base: images.Image, name: str, user: str, uid: int, folder: Path) -> images.Image:
    """``base`` with ``user`` and a home in its files, and as the user of its config. ``folder`` is for the archive."""
    layer = folder / "layer.tar"
    with tarfile.open(base.archive) as archive:
        (entry,) = json.loads(images.read(archive, "manifest.json"))
        command = json.loads(images.read(archive, entry["Config"]))["config"]["Cmd"]
        content = archive.extractfile(entry["Layers"][0])
        assert content is not None
        with layer.open("wb") as file:
            shutil.copyfileobj(content, file)
    _add_user(layer, user, uid)
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    document = images.config(digest, command, [images.PATH_ENV])
    document["config"] = {**_dict(document["config"]), "User": user}
    target = folder / "image.tar"
    with tarfile.open(target, "w") as archive:
        manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
        images.add(archive, "manifest.json", json.dumps(manifest).encode())
        images.add(archive, "config.json", json.dumps(document).encode())
        archive.add(layer, f"{digest}/layer.tar")
    layer.unlink()
    return images.Image(name, target)


def _add_user(layer: Path, user: str, uid: int) -> None:
    with tarfile.open(layer) as files:
        known = images.read(files, "./etc/passwd")
    with tarfile.open(layer, "a") as files:
        images.add(files, "./etc/passwd", known + f"{user}:x:{uid}:{uid}::/home/{user}:/bin/sh\n".encode())
        home = tarfile.TarInfo(f"./home/{user}")
        home.type, home.mode, home.uid, home.gid = tarfile.DIRTYPE, 0o755, uid, uid
        files.addfile(home, io.BytesIO())


def _dict(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value
