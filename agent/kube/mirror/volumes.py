"""Claims, volumes and storage classes, and what they mean for pods that wait: where they may run, what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.domain.constraints import NodeTerm
from agent.domain.reasons import Reason, reason
from agent.kube.cache import Change
from agent.kube.convert import volumes as read
from agent.kube.protocol import Obj


@dataclass(frozen=True, slots=True)
class Verdict:
    """``places``: groups of terms, of each of which one must hold. ``waits``: why the pod cannot be placed yet."""

    places: tuple[tuple[NodeTerm, ...], ...] = ()
    waits: tuple[Reason, ...] = ()


NOTHING = Verdict()


class Volumes:
    """Kept true by changes; ``users`` are uids of pods that wait and have claims."""

    def __init__(self) -> None:
        self.claims: dict[str, Obj] = {}
        self.volumes: dict[str, Obj] = {}
        self.classes: dict[str, Obj] = {}
        self._users: dict[str, tuple[str, ...]] = {}

    def note(self, pod: Obj) -> None:
        """Whether a pod is one to look at again when a claim or a volume changes."""
        meta, spec = pod["metadata"], pod.get("spec") or {}
        keys = () if spec.get("nodeName") or not spec.get("volumes") else tuple(claim_keys(pod))
        if keys:
            self._users[meta["uid"]] = keys
        else:
            self._users.pop(meta["uid"], None)

    def forget(self, uid: str) -> None:
        self._users.pop(uid, None)

    def on_claim(self, change: Change) -> list[str]:
        """The pods to look at again."""
        _keep(self.claims, change)
        return [uid for uid, keys in self._users.items() if change.key in keys]

    def on_volume(self, change: Change) -> list[str]:
        """The pods to look at again: those with a claim that this volume belongs to, or might."""
        _keep(self.volumes, change)
        owner = (change.current.get("spec") or {}).get("claimRef") or {}
        own = f"{owner.get('namespace')}/{owner.get('name')}"
        return [uid for uid, keys in self._users.items() if own in keys or self._open(keys)]

    def on_class(self, change: Change) -> list[str]:
        _keep(self.classes, change)
        return [uid for uid, keys in self._users.items() if self._open(keys)]

    def verdict(self, uid: str) -> Verdict:
        """What the claims of a pod say."""
        keys = self._users.get(uid)
        if not keys:
            return NOTHING
        places: list[tuple[NodeTerm, ...]] = []
        waits: list[Reason] = []
        for key in dict.fromkeys(keys):
            found = self._judge(key)
            if isinstance(found, Reason):
                waits.append(found)
            else:
                places += [terms for terms in found if terms]
        return Verdict(tuple(dict.fromkeys(places)), tuple(waits))

    def unbound(self, pod: Obj) -> list[Obj]:
        """The claims of a pod that are to be bound on the node that it gets."""
        found = (self.claims.get(key) for key in dict.fromkeys(claim_keys(pod)))
        return [claim for claim in found if claim is not None and not read.is_bound(claim)]

    def storage_class(self, claim: Obj) -> Obj | None:
        return self.classes.get(read.class_of(claim))

    def _judge(self, key: str) -> tuple[tuple[NodeTerm, ...], ...] | Reason:
        claim = self.claims.get(key)
        if claim is None or claim["metadata"].get("deletionTimestamp"):
            return reason("MissingObject", missing=f"PersistentVolumeClaim {key}")
        if read.is_bound(claim):
            volume = self.volumes.get(claim["spec"]["volumeName"])
            if volume is None:
                return reason("MissingObject", missing=f"PersistentVolume {claim['spec']['volumeName']}")
            return read.reach_of(volume)
        found = self.storage_class(claim)
        if found is None or not read.waits_for_consumer(found) or (claim.get("spec") or {}).get("volumeName"):
            return reason("VolumeUnbound", claim=key)
        return (read.places_of(claim, self.volumes.values(), found),)

    def _open(self, keys: Iterable[str]) -> bool:
        return any(key not in self.claims or not read.is_bound(self.claims[key]) for key in keys)


def claim_keys(pod: Obj) -> list[str]:
    namespace = pod["metadata"].get("namespace", "")
    return [f"{namespace}/{name}" for name in read.claims_of(pod)]


def _keep(kept: dict[str, Obj], change: Change) -> None:
    if change.new is None:
        kept.pop(change.key, None)
    else:
        kept[change.key] = change.new
