"""What the mirror keeps of one pod, and when a new manifest says nothing new."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.constraints import Constraints
from agent.domain.pods import Pod
from agent.kube.convert.pods import Asked
from agent.kube.protocol import Obj

NO_POD = Pod("", "", "", "")


@dataclass(slots=True)
class Entry:
    """One pod: its manifest, what was read from it, and the pod as the scheduler sees it."""

    obj: Obj
    group: str
    asked: Asked
    rules: Constraints
    pod: Pod
    subgroup: str = ""


@dataclass(frozen=True, slots=True)
class Assumed:
    """A bind of ours that the API has not shown yet."""

    node: str
    gpu_groups: tuple[str, ...]


def same_request(old: Obj, new: Obj) -> bool:
    """Whether spec and annotations, as far as requests go, are unchanged: then they need not be read again."""
    generation = new["metadata"].get("generation")
    same_notes = old["metadata"].get("annotations") == new["metadata"].get("annotations")
    same_claims = _made_claims(old) == _made_claims(new)
    return bool(generation) and generation == old["metadata"].get("generation") and same_notes and same_claims


def _made_claims(pod: Obj) -> object:
    """Device claims that were made for the pod from templates."""
    return (pod.get("status") or {}).get("resourceClaimStatuses")


def same_group(old: Obj, new: Obj) -> bool:
    """Whether only the status (which we write ourselves) differs."""
    first, second = old["metadata"], new["metadata"]
    same_meta = all(first.get(key) == second.get(key) for key in ("uid", "labels", "annotations"))
    return same_meta and old.get("spec") == new.get("spec")
