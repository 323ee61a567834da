"""Says on each thing what is wrong with it: a condition and one Event, as long as the mistake lasts.

For what is left out because of it (a queue in a cycle) and for what is used all the same (a node that offers more than
it has, a gang of nobody, owners that own each other). Why pods wait is told by ``reporting``. Level-triggered: what
should be said is compared with what the objects say, so a restart repeats nothing, and what is mended is taken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

import structlog

from agent.domain.reasons import Reason
from agent.kube.cache import Change, Store
from agent.kube.errors import Conflict, KubeError, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import NODE, POD, POD_GROUP, QUEUE, Resource
from agent.loops import wording

log = structlog.get_logger(__name__)

RESOURCES: Mapping[str, Resource] = {"queue": QUEUE, "node": NODE, "group": POD_GROUP, "pod": POD}
AGAIN_S = 10.0
"""How often the same thing is written at most: somebody else may take the condition off each time."""
_MERGED = ("node", "pod")
"""Kinds whose conditions the API server merges by type; of the others the whole list is written."""


class Mistakes:
    """``take`` what is wrong after each cycle, by "kind/key" with the kinds of ``RESOURCES``; ``due`` writes it."""

    def __init__(
        self,
        kube: Kube,
        stores: Mapping[str, Store],
        *,
        unstored: Callable[[str], Obj | None],
        tell: Callable[[Obj, str, Reason], None],
    ) -> None:
        """``stores`` by kind. ``unstored(key)``: the manifest of a group that is not stored yet and must be to carry a
        condition. ``tell(obj, kind, reason)`` makes an Event."""
        self._kube, self._stores, self._unstored, self._tell = kube, stores, unstored, tell
        self._found: Mapping[str, Reason] | None = None
        """None before the first cycle: until then nobody knows what is wrong, and what the things say stays."""
        self._told: dict[str, str] = {}
        self._marked: set[str] = set()
        self._tried: dict[str, tuple[float, str]] = {}
        for kind, store in stores.items():
            store.on_change(self._noting(kind))

    def _noting(self, kind: str) -> Callable[[Change], None]:
        """Which things carry the condition, to take it off when it is over."""

        def note(change: Change) -> None:
            marked = change.new is not None and wording.told_of_input(change.new) is not None
            (self._marked.add if marked else self._marked.discard)(f"{kind}/{change.key}")

        return note

    def take(self, found: Mapping[str, Reason]) -> None:
        """Of kinds without a store nothing is said."""
        mine = self._found = {key: why for key, why in found.items() if _kind(key) in self._stores}
        for kept in (self._told, self._tried):
            for key in kept.keys() - mine.keys() - self._marked:
                del kept[key]

    @property
    def some(self) -> bool:
        """Whether anything does not say yet what it should."""
        return next(self._differing(), None) is not None

    def due(self, most: int) -> list[Coroutine[Any, Any, None]]:
        """At most so many writes, for things that were not written just now."""
        moment, work = time.monotonic(), list[Coroutine[Any, Any, None]]()
        for key, obj, reason in self._differing():
            text = reason.text if reason is not None else ""
            tried, before = self._tried.get(key, (-AGAIN_S, text))
            if len(work) < most and (moment - tried >= AGAIN_S or before != text):
                self._tried[key] = (moment, text)
                work.append(self._write(key, obj, reason))
        return work

    def _differing(self) -> Iterator[tuple[str, Obj | None, Reason | None]]:
        """What to write: the object (None: it must be stored first) and the reason (None: take the condition off)."""
        if self._found is None:
            return
        for key, reason in self._found.items():
            obj = self._object(key)
            if obj is not None:
                said = wording.told_of_input(obj) == wording.shorten(reason.text) and self._told.get(key) == reason.text
            else:
                said = _kind(key) != "group" or self._unstored(_name(key)) is None
            if not said:
                yield key, obj, reason
        for key in self._marked - self._found.keys():
            if (obj := self._object(key)) is not None:
                yield key, obj, None

    def _object(self, key: str) -> Obj | None:
        return self._stores[_kind(key)].by_key(_name(key))

    async def _write(self, key: str, obj: Obj | None, reason: Reason | None) -> None:
        """Trouble is logged: the next round tries again."""
        try:
            if obj is None:
                if (made := self._unstored(_name(key))) is not None:
                    await self._kube.create(made)
                    self._tried.pop(key, None)
                return
            if reason is not None and self._told.get(key) != reason.text:
                self._told[key] = reason.text
                self._tell(obj, RESOURCES[_kind(key)].kind, reason)
            if wording.told_of_input(obj) != (wording.shorten(reason.text) if reason is not None else None):
                await self._condition(_kind(key), obj, reason)
        except (NotFound, Conflict):
            return
        except KubeError as error:
            log.info("mistake_not_told", key=key, error=error.message)

    async def _condition(self, kind: str, obj: Obj, reason: Reason | None) -> None:
        meta, condition = obj["metadata"], wording.input_condition(reason, time.time())
        body: Obj = {"metadata": {"uid": meta["uid"]}}
        if kind in _MERGED:
            body["status"] = {"conditions": [condition]}
        else:
            others = [one for one in wording.conditions_of(obj) if one.get("type") != wording.INPUT]
            body["status"] = {"conditions": [*others, *([condition] if reason is not None else [])]}
        await self._kube.patch(
            RESOURCES[kind],
            meta["name"],
            meta.get("namespace"),
            body=body,
            kind="strategic" if kind in _MERGED else "merge",
            subresource="status",
        )


def _kind(key: str) -> str:
    return key.partition("/")[0]


def _name(key: str) -> str:
    return key.partition("/")[2]
