"""Objects that waiting pods name (ConfigMaps …), to be looked for one by one."""

from __future__ import annotations

from collections.abc import Iterable

Need = tuple[str, str, str]
"""(kind, namespace, name) of an object that a pod names."""


class Needs:
    """Both ways: which pods need an object, and which objects a pod needs."""

    def __init__(self) -> None:
        self.wanted: dict[Need, set[str]] = {}
        """Objects → uids of the pods that wait; the loop finds out which exist (``Mirror.set_missing``)."""
        self._of: dict[str, list[Need]] = {}

    def note(self, uid: str, needs: Iterable[Need]) -> None:
        """What a pod names now."""
        self.forget(uid)
        for need in needs:
            self.wanted.setdefault(need, set()).add(uid)
            self._of.setdefault(uid, []).append(need)

    def forget(self, uid: str) -> None:
        for need in self._of.pop(uid, ()):
            uids = self.wanted.get(need, set())
            uids.discard(uid)
            if not uids:
                self.wanted.pop(need, None)

    def of(self, uid: str) -> list[Need]:
        return self._of.get(uid, [])
