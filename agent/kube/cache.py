"""A local copy of the objects of one kind: indexed by namespace/name and uid, with change callbacks.

``Store`` is plain and synchronous; ``agent.kube.watch.Informer`` keeps it true to the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.kube.protocol import Obj


def key_of(obj: Obj) -> str:
    """``namespace/name``, or ``name`` for cluster-scoped objects."""
    meta = obj["metadata"]
    namespace = meta.get("namespace")
    return f"{namespace}/{meta['name']}" if namespace else str(meta["name"])


def uid_of(obj: Obj) -> str:
    return str(obj["metadata"].get("uid", ""))


def version_of(obj: Obj) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


@dataclass(frozen=True, slots=True)
class Change:
    """``old`` is None for a new object, ``new`` is None for a deleted one. Another uid under the same name comes as a
    deletion followed by an addition."""

    key: str
    old: Obj | None
    new: Obj | None

    @property
    def current(self) -> Obj:
        """The new object, or the last one seen if it is gone."""
        obj = self.new if self.new is not None else self.old
        assert obj is not None
        return obj


Handler = Callable[[Change], None]


class Store:
    """Objects of one kind. Treat what it hands out as read-only: the cache shares it with everybody."""

    def __init__(self) -> None:
        self._by_key: dict[str, Obj] = {}
        self._by_uid: dict[str, Obj] = {}
        self._handlers: list[Handler] = []
        self.changed = asyncio.Event()
        """Set at every change; whoever waits on it clears it."""

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Obj]:
        return iter(list(self._by_key.values()))

    def get(self, name: str, namespace: str | None = None) -> Obj | None:
        return self._by_key.get(f"{namespace}/{name}" if namespace else name)

    def by_key(self, key: str) -> Obj | None:
        return self._by_key.get(key)

    def by_uid(self, uid: str) -> Obj | None:
        return self._by_uid.get(uid)

    def keys(self) -> list[str]:
        return list(self._by_key)

    def on_change(self, handler: Handler, *, replay: bool = True) -> None:
        """Call ``handler`` at every change, in order; with ``replay`` first once for each object there is now.
        A handler must be quick and must not raise: note what to do and return."""
        self._handlers.append(handler)
        if replay:
            for key, obj in list(self._by_key.items()):
                handler(Change(key, None, obj))

    def put(self, obj: Obj) -> None:
        """Add or update. An equal resourceVersion changes nothing."""
        key = key_of(obj)
        old = self._by_key.get(key)
        if old is not None and uid_of(old) != uid_of(obj):
            self._remove(key)
            old = None
        if old is not None and version_of(old) == version_of(obj):
            return
        self._by_key[key] = obj
        self._by_uid[uid_of(obj)] = obj
        self._tell(Change(key, old, obj))

    def drop(self, obj: Obj) -> None:
        """Remove the object of that name, unless another one has taken the name."""
        key = key_of(obj)
        old = self._by_key.get(key)
        if old is not None and uid_of(old) == uid_of(obj):
            self._remove(key)

    def replace_all(self, objects: list[Obj]) -> None:
        """Make the store equal to a fresh list; only differences are told."""
        fresh = {key_of(obj) for obj in objects}
        for key in [key for key in self._by_key if key not in fresh]:
            self._remove(key)
        for obj in objects:
            self.put(obj)

    def _remove(self, key: str) -> None:
        old = self._by_key.pop(key)
        self._by_uid.pop(uid_of(old), None)
        self._tell(Change(key, old, None))

    def _tell(self, change: Change) -> None:
        self.changed.set()
        for handler in self._handlers:
            handler(change)
