"""An AdmissionReview in, an AdmissionReview out: which rules look at which object, and how an answer is written.

A request nobody has a rule for, or that cannot be read, is allowed: this door never blocks what is not ours.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Obj = Mapping[str, Any]
AGENT_GROUP = "system:serviceaccounts:runai"


@dataclass(frozen=True, slots=True)
class Request:
    """What the API server asks. ``obj`` is the new object, ``old`` the present one; either may be empty."""

    uid: str
    kind: str
    operation: str
    namespace: str
    name: str
    user: str
    groups: frozenset[str]
    obj: Obj
    old: Obj
    subresource: str = ""

    @property
    def by_system(self) -> bool:
        """The agent, Kubernetes itself or the cluster's administrator."""
        return self.user.startswith("system:") and (
            AGENT_GROUP in self.groups
            or "system:masters" in self.groups
            or "system:serviceaccounts:kube-system" in self.groups
            or not self.user.startswith("system:serviceaccount:")
        )

    @property
    def trusted(self) -> bool:
        return self.by_system or "system:masters" in self.groups


@dataclass(frozen=True, slots=True)
class Answer:
    """``problems`` refuse; ``patch`` are JSON patch operations; ``warnings`` are shown by kubectl."""

    problems: tuple[str, ...] = ()
    patch: tuple[Obj, ...] = ()
    warnings: tuple[str, ...] = ()


ALLOWED = Answer()


def read(review: Mapping[str, Any]) -> Request:
    """Raises ``ValueError`` when it is no AdmissionReview."""
    asked = review.get("request")
    if not isinstance(asked, Mapping) or not asked.get("uid"):
        raise ValueError("request: missing; expected an AdmissionReview of admission.k8s.io/v1")
    user = asked.get("userInfo") or {}
    return Request(
        uid=str(asked["uid"]),
        kind=str((asked.get("kind") or {}).get("kind") or ""),
        operation=str(asked.get("operation") or ""),
        namespace=str(asked.get("namespace") or ""),
        name=str(asked.get("name") or ""),
        user=str(user.get("username") or ""),
        groups=frozenset(user.get("groups") or ()),
        obj=asked.get("object") or {},
        old=asked.get("oldObject") or {},
        subresource=str(asked.get("subResource") or ""),
    )


def write(request: Request, answer: Answer) -> dict[str, Any]:
    """The AdmissionReview to send back."""
    found: dict[str, Any] = {"uid": request.uid, "allowed": not answer.problems}
    if answer.problems:
        found["status"] = {"code": 422, "reason": "Invalid", "message": "; ".join(answer.problems)}
    elif answer.patch:
        found["patchType"] = "JSONPatch"
        found["patch"] = base64.b64encode(json.dumps(answer.patch).encode()).decode()
    if answer.warnings:
        found["warnings"] = [text[:250] for text in answer.warnings]
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": found}


def add(path: Sequence[str], value: Any) -> dict[str, Any]:
    """One JSON patch operation that sets ``path`` (``add`` replaces what is there)."""
    return {
        "op": "add",
        "path": "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path),
        "value": value,
    }
