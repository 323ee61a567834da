"""The door to a Kubernetes API as the rest of the agent sees it: one Protocol of few methods.

``agent.kube.client.KubeClient`` is the real thing, ``tests/agent/fake_kube.py`` the one in memory.
Objects are plain dicts as the API gives them, without ``metadata.managedFields`` and always with apiVersion and kind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agent.kube.resources import Resource

Obj = dict[str, Any]
PatchKind = Literal["merge", "json", "strategic"]


@dataclass(frozen=True, slots=True)
class Listing:
    items: list[Obj]
    resource_version: str
    """Where a watch that follows this list starts."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: str
    """``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``."""
    object: Obj


class Kube(Protocol):
    """Every method raises ``agent.kube.errors.KubeError`` subclasses; short failures are tried again inside."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Obj: ...

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing:
        """All objects, read in pages. ``labels`` and ``fields`` are selectors such as ``app=x,!y``."""
        ...

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """Changes after ``resource_version`` until the server ends the stream (normal: call again with the last
        version seen). Raises ``Gone`` when that version is too old."""
        ...

    async def create(self, obj: Obj) -> Obj: ...

    async def replace(self, obj: Obj, *, subresource: str | None = None) -> Obj:
        """PUT; with ``metadata.resourceVersion`` it raises ``Conflict`` if the object changed meanwhile."""
        ...

    async def apply(self, obj: Obj, *, manager: str, force: bool = True, subresource: str | None = None) -> Obj:
        """Server-side apply: creates or changes exactly the fields that ``obj`` has; repeating it changes nothing."""
        ...

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        body: Any,
        kind: PatchKind = "merge",
        subresource: str | None = None,
    ) -> Obj: ...

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_s: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """``uid`` and ``resource_version`` are preconditions (``Conflict`` if they do not hold)."""
        ...

    async def bind(
        self, namespace: str, pod: str, node: str, *, uid: str, annotations: Mapping[str, str] | None = None
    ) -> None:
        """Bind a pod to a node. ``Conflict`` when it is bound already, is another pod by now, or is going away."""
        ...

    def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str | None = None,
        follow: bool = False,
        previous: bool = False,
        tail_lines: int | None = None,
        since_time: str | None = None,
        limit_bytes: int | None = None,
        timestamps: bool = False,
    ) -> AsyncIterator[bytes]:
        """Chunks of a container's log as they come; ends with the log, or with the container when following."""
        ...

    async def raw_get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """GET of any path, e.g. ``/api/v1/nodes/n1/proxy/stats/summary`` or ``/version``."""
        ...
