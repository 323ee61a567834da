"""Kinds that the table does not know, asked of the server once and remembered."""

from __future__ import annotations

import json

from agent.kube.errors import NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import TABLE, Resource


class Discovery:
    """``find`` answers None for kinds that are not installed; those are asked again the next time."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._found: dict[tuple[str, str], Resource] = {}

    async def find(self, api_version: str, kind: str) -> Resource | None:
        group, _, version = api_version.rpartition("/")
        known = TABLE.get((group, kind)) or self._found.get((api_version, kind))
        if known is not None and known.version == version:
            return known
        try:
            path = f"/apis/{group}/{version}" if group else f"/api/{version}"
            listed = json.loads(await self._kube.raw_get(path))
        except NotFound:
            return None
        for item in listed.get("resources") or ():
            if "/" not in item["name"]:
                resource = Resource(item["kind"], item["name"], group, version, bool(item.get("namespaced")))
                self._found[api_version, item["kind"]] = resource
        return self._found.get((api_version, kind))
