"""The chain from a pod to its top owner, and what of an owner matters for grouping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Obj = dict[str, Any]
LONGEST = 10
"""Owners above this many are not looked at: nobody nests so deep, but a loop does."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Who owns an object, as its ``ownerReferences`` say."""

    api_version: str
    kind: str
    name: str
    uid: str

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Owner:
    """One object of the chain. ``known`` is False when it could not be read: then only the reference is true.

    ``forbidden``: it is there for all we know, and may not be read.
    """

    reference: Reference
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    next: Reference | None = None
    known: bool = True
    forbidden: bool = False


def controller_of(obj: Mapping[str, Any]) -> Reference | None:
    """The controlling owner, else the first one; None for an object that stands alone."""
    references = obj["metadata"].get("ownerReferences") or ()
    chosen = next((item for item in references if item.get("controller")), None)
    chosen = chosen or (references[0] if references else None)
    if not chosen:
        return None
    return Reference(
        chosen.get("apiVersion", ""), chosen.get("kind", ""), chosen.get("name", ""), chosen.get("uid", "")
    )


def owner_of(reference: Reference, obj: Mapping[str, Any] | None) -> Owner:
    """What matters of an owner; ``obj`` None when it is gone."""
    if obj is None:
        return Owner(reference, known=False)
    meta = obj["metadata"]
    return Owner(
        reference, meta.get("labels") or {}, meta.get("annotations") or {}, obj.get("spec") or {}, controller_of(obj)
    )


def chain(
    pod: Mapping[str, Any], known: Mapping[str, Owner], must_read: Callable[[Reference], bool]
) -> tuple[Sequence[Owner], Reference | None]:
    """Owners from the nearest to the top as far as ``known`` (by uid) reaches, and the one to fetch next if any.

    A loop of owners ends where it began, and so does the chain at an owner that need not be read.
    """
    found: list[Owner] = []
    reference, seen = controller_of(pod), set()
    while reference is not None and reference.uid not in seen and len(found) < LONGEST:
        seen.add(reference.uid)
        owner = known.get(reference.uid)
        if owner is None and not must_read(reference):
            owner = Owner(reference, known=False)
        if owner is None:
            return found, reference
        found.append(owner)
        reference = owner.next
    return found, None


def loop_of(owners: Sequence[Owner]) -> Sequence[Owner]:
    """The owners of a chain that own each other in a circle; none where the chain has an end."""
    after = owners[-1].next if owners else None
    where = next((index for index, owner in enumerate(owners) if after and owner.reference.uid == after.uid), None)
    return owners[where:] if where is not None else ()
