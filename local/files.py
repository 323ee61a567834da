"""Small file and port helpers of the local stack: atomic JSON, private files, free ports, the repository's root."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
"""The repository (or installation) that contains ``manage.py`` and ``local/``."""


def state_dir() -> Path:
    """Where a stack keeps everything: ``RUNAI_LOCAL_DIR``, else ``.local`` in the repository."""
    return Path(os.environ.get("RUNAI_LOCAL_DIR") or ROOT / ".local").resolve()


def write_private(path: Path, data: bytes | str, mode: int = 0o600) -> None:
    """Replace ``path`` atomically; nobody but the owner ever sees a half-written or readable secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = data.encode() if isinstance(data, str) else data
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(raw)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    write_private(path, json.dumps(value, indent=2, default=str) + "\n")


def read_json(path: Path) -> Any:
    """The file's JSON, or None where it is missing or was cut off by a crash."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """``count`` different ports nobody listens on now, held open together so that none is given twice."""
    held = [socket.socket() for _ in range(count)]
    try:
        for item in held:
            item.bind((host, 0))
        return [item.getsockname()[1] for item in held]
    finally:
        for item in held:
            item.close()


def listens(host: str, port: int, timeout: float = 1.0) -> bool:
    """True when a TCP connection is accepted."""
    try:
        with socket.create_connection((host, port), timeout):
            return True
    except OSError:
        return False


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log since the last start of its process, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    since_start = text[text.rfind("\n--- ") + 1 :]
    return "\n".join(since_start.splitlines()[-lines:]) or "(empty log)"
