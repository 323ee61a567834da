"""Rules of node pools: names, labels, placement, and which pools would claim the same nodes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.wire.labels import NODE_POOL
from runai_cp.lib.errors import FieldError

NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
NAME_ALLOWED = "1 to 63 lower-case letters, digits and dashes, starting with a letter and not ending with a dash"
_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
PLACEMENTS = ("binpack", "spread")
RESERVED = frozenset({"department"})
"""Names that a queue of another kind uses as a label of its own."""
MAX_POOLS = 64
"""As many as the definitions of departments and projects hold quotas for."""


@dataclass(frozen=True, slots=True)
class Selector:
    """One pool's claim: nodes whose label ``key`` has ``value``."""

    name: str
    key: str
    value: str

    def takes(self, labels: Mapping[str, str]) -> bool:
        return labels.get(self.key) == self.value


def name_errors(name: str) -> list[FieldError]:
    if not NAME.fullmatch(name) or name in RESERVED:
        return [FieldError("name", f"must have {NAME_ALLOWED}, and not be one of {sorted(RESERVED)}", name)]
    return []


def label_errors(key: str, value: str) -> list[FieldError]:
    """Kubernetes' own rules of labels; an empty value would take every node that has the label at all."""
    errors = []
    prefix, slash, part = key.rpartition("/")
    if not _PART.fullmatch(part) or (slash and not _PREFIX.fullmatch(prefix)):
        message = "must be a label key: optional DNS prefix and '/', then at most 63 letters, digits, '.', '_' and '-'"
        errors.append(FieldError("labelKey", message, key))
    if not _PART.fullmatch(value):
        message = "must be a label value: 1 to 63 letters, digits, '.', '_' and '-', with a letter or digit at each end"
        errors.append(FieldError("labelValue", message, value))
    return errors


def placement_errors(field: str, value: str) -> list[FieldError]:
    if value not in PLACEMENTS:
        return [FieldError(field, f"must be one of {', '.join(PLACEMENTS)}", value, list(PLACEMENTS))]
    return []


def overlaps(
    wanted: Selector, others: Iterable[Selector], nodes: Iterable[tuple[str, Mapping[str, str]]]
) -> list[FieldError]:
    """Why a pool may not be as wanted: another has its label, or nodes of the cluster would belong to both.

    ``nodes``: name and labels. The pool ``default`` holds what no other pool takes, and so overlaps nobody.
    """
    rivals = [other for other in others if other.name != wanted.name]
    for other in rivals:
        if (other.key, other.value) == (wanted.key, wanted.value):
            message = f"the node pool {other.name!r} is made of the nodes with this label already"
            return [FieldError("labelValue", message, f"{wanted.key}={wanted.value}")]
    shared: dict[str, list[str]] = {}
    for name, labels in nodes:
        if wanted.takes(labels):
            for other in rivals:
                if other.takes(labels) and other.name != "default":
                    shared.setdefault(other.name, []).append(name)
    return [
        FieldError(
            "labelValue",
            f"{_counted(len(names))} would belong to this node pool and to {other!r}: {', '.join(sorted(names)[:5])}"
            + (" and more" if len(names) > 5 else ""),
            f"{wanted.key}={wanted.value}",
        )
        for other, names in sorted(shared.items())
    ]


def _counted(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"


def is_own_label(key: str) -> bool:
    """Whether the pool is chosen by the label that names pools: then nobody but the administrator sets it on nodes."""
    return key == NODE_POOL
