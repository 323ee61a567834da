"""Owners of pods as far as they were read, and the pods that wait until one is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from agent.domain.reasons import Reason, reason
from agent.grouping.owners import Owner, Reference, chain
from agent.kube.protocol import Obj


class Owners:
    """By uid. What is not known yet is ``wanted``; the loop answers with ``learn`` or ``failed``."""

    def __init__(self) -> None:
        self.known: dict[str, Owner] = {}
        self.wanted: dict[Reference, str] = {}
        """Owners to fetch before pods can be grouped → the namespace they are in."""
        self._waiting: dict[str, dict[str, None]] = {}
        """Owner → the pods that wait for it, in order of arrival."""
        self._awaited: dict[str, set[str]] = {}
        """Pod → the owners that it waits for: more than one where its references changed meanwhile."""
        self._references: dict[str, set[Reference]] = {}
        """Owner → how it is called in ``wanted``."""
        self._pods: dict[str, Obj] = {}
        self._unread: dict[str, Reason] = {}
        self._spaces: dict[str, str] = {}

    def of(self, obj: Obj, must_read: Callable[[Reference], bool]) -> Sequence[Owner] | None:
        """The owners of a pod, nearest first; None while one of them must be fetched: then the pod waits here."""
        owners, wanted = chain(obj, self.known, must_read)
        if wanted is None:
            return owners
        meta = obj["metadata"]
        self._waiting.setdefault(wanted.uid, {})[meta["uid"]] = None
        self._awaited.setdefault(meta["uid"], set()).add(wanted.uid)
        self._pods[meta["uid"]] = obj
        self._spaces[wanted.uid] = meta.get("namespace", "")
        self._want(wanted)
        return None

    def _want(self, reference: Reference) -> None:
        self.wanted.setdefault(reference, self._spaces[reference.uid])
        self._references.setdefault(reference.uid, set()).add(reference)

    def learn(self, owner: Owner) -> Iterable[Obj]:
        """An owner was read, or is gone. The pods that waited for it."""
        key = owner.reference.uid
        self.known[key] = owner
        self._unwant(owner.reference)
        self._unread.pop(key, None)
        pods = self._waiting.pop(key, {})
        for uid in pods:
            self._awaited[uid].discard(key)
            if not self._awaited[uid]:
                del self._awaited[uid]
        return [self._pods.pop(uid) for uid in pods if uid in self._pods]

    def _unwant(self, reference: Reference) -> None:
        self.wanted.pop(reference, None)
        if called := self._references.get(reference.uid):
            called.discard(reference)
            if not called:
                del self._references[reference.uid]

    def failed(self, reference: Reference, why: str) -> bool:
        """An owner could not be read and is tried again. True if that is news."""
        found = reason("OwnerUnread", kind=reference.kind, name=reference.name, why=why)
        news = reference in self.wanted and self._unread.get(reference.uid) != found
        if news:
            self._unread[reference.uid] = found
        return news

    def drop(self, uid: str) -> None:
        """A pod is gone; an owner for which no other waits need not be read any more."""
        self._pods.pop(uid, None)
        for owner in self._awaited.pop(uid, ()):
            del self._waiting[owner][uid]
            if not self._waiting[owner]:
                del self._waiting[owner]
                self._unread.pop(owner, None)
                for reference in self._references.pop(owner, ()):
                    self.wanted.pop(reference, None)

    def waiting(self, uid: str) -> Obj | None:
        """The pod of that uid, if it waits for an owner."""
        return self._pods.get(uid)

    def reasons(self) -> Iterator[tuple[str, Reason]]:
        """uid of each pod that waits for an owner which could not be read, and why."""
        for owner, why in self._unread.items():
            for uid in self._waiting.get(owner, ()):
                yield uid, why

    def forget(self, direct: set[str]) -> None:
        """Forget owners of which no pod is left, and read those again that were not known. ``direct``: uids of the
        owners that pods name; the owners above them stay with them."""
        used: set[str] = set()
        for uid in direct:
            while uid not in used and (owner := self.known.get(uid)) is not None:
                used.add(uid)
                uid = owner.next.uid if owner.next is not None else uid
        self.known = {uid: owner for uid, owner in self.known.items() if uid in used}
        self._spaces = {uid: space for uid, space in self._spaces.items() if uid in used or uid in self._waiting}
        for uid, owner in self.known.items():
            if not owner.known and uid in self._spaces:
                self._want(owner.reference)
