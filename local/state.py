"""``state.json``: what a stack is, how far it is and where it listens; kept between runs, its owner alone reads it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from local.files import free_ports, port_is_free, read_json, write_json

PORT_NAMES = ("web", "link", "postgres", "valkey")


class State:
    """The file's content as a dictionary that several threads may change. Each change is written at once."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "state.json"
        self._lock = threading.RLock()
        self._data: dict[str, Any] = read_json(self.path) or {}

    def get(self, key: str, default: Any = None) -> Any:
        with self._lock:
            return self._data.get(key, default)

    def set(self, **values: Any) -> None:
        with self._lock:
            if any(self._data.get(key) != value for key, value in values.items()):
                self._data.update(values)
                write_json(self.path, self._data)

    def put(self, section: str, key: str, value: Any) -> None:
        """Set one entry of a dictionary inside the state."""
        with self._lock:
            self.set(**{section: {**self._data.get(section, {}), key: value}})

    def ports(self) -> dict[str, int]:
        """Ports of the control plane and its stores."""
        return {name: self.port(name) for name in PORT_NAMES}

    def port(self, name: str) -> int:
        """The port this name had in the last run if it is still free, else a new one. Ask once a run."""
        with self._lock:
            kept: dict[str, int] = self.get("ports", {})
            if name not in kept or not port_is_free(kept[name]):
                taken = set(kept.values())
                self.put("ports", name, next(port for port in free_ports(len(taken) + 1) if port not in taken))
            return int(self.get("ports")[name])
