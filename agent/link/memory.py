"""What the link role keeps in the cluster: journal, identity, tokens. Writes are compare-and-swap on resourceVersion.

The journal is ConfigMap ``runai-link-journal`` in namespace ``runai``: JSON with a checksum. Losing the race to write
it means that another instance has taken over; the loser starts nothing more.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import structlog

from agent.kube.errors import Conflict, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import CONFIG_MAP, NAMESPACE, SECRET
from agent.link.identity import Identity
from agent.link.journal import Journal
from agent.wire import labels
from agent.wire.codec import from_json, to_json
from agent.wire.install import ENROLMENT_SECRET, LINK_CONFIG_MAP

log = structlog.get_logger(__name__)

JOURNAL = "runai-link-journal"
IDENTITY = "runai-link-identity"
PENDING = "runai-link-identity-pending"
METRICS_CREDENTIAL = "runai-metrics-credential"


class TakenOver(Exception):
    """Another instance writes the journal now."""


@dataclass(frozen=True, slots=True)
class LinkConfig:
    url: str
    ca_pem: str
    cluster_id: str


class Memory:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._journal: Obj | None = None

    # ---- journal

    async def load_journal(self) -> Journal:
        """The journal as the cluster has it; an empty one when there is none or it is damaged (the server then finds
        its commands not taken, or unknown). Raises ``KubeError``."""
        try:
            self._journal = await self._kube.get(CONFIG_MAP, JOURNAL, labels.NAMESPACE)
        except NotFound:
            self._journal = None
            return Journal()
        data = self._journal.get("data") or {}
        text = data.get("journal", "")
        if sha256(text.encode()).hexdigest() != data.get("sha256"):
            log.error("journal_damaged", bytes=len(text))
            return Journal()
        try:
            return from_json(Journal, text)
        except ValueError as error:
            log.error("journal_unreadable", error=str(error))
            return Journal()

    async def write_journal(self, journal: Journal) -> None:
        """Raises ``TakenOver`` when somebody else wrote meanwhile, ``KubeError`` otherwise."""
        text = to_json(journal).decode()
        meta: Obj = {"name": JOURNAL, "namespace": labels.NAMESPACE}
        if self._journal is not None:
            meta["resourceVersion"] = self._journal["metadata"]["resourceVersion"]
        data = {"journal": text, "sha256": sha256(text.encode()).hexdigest()}
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        try:
            write = self._kube.create if self._journal is None else self._kube.replace
            self._journal = await write(obj)
        except Conflict as error:
            # A write whose answer was lost looks like this too: if what is there is ours, it went well.
            await self._settle(text, error)

    async def _settle(self, text: str, error: Conflict) -> None:
        found = await self._kube.get(CONFIG_MAP, JOURNAL, labels.NAMESPACE)
        if (found.get("data") or {}).get("journal") != text:
            raise TakenOver("another instance writes the journal") from error
        self._journal = found

    async def writer(self) -> str:
        """Instance id in the journal as it is in the cluster now."""
        found = await self._kube.get(CONFIG_MAP, JOURNAL, labels.NAMESPACE)
        return str(json.loads((found.get("data") or {}).get("journal") or "{}").get("instanceId", ""))

    # ---- configuration and identity

    async def config(self) -> LinkConfig | None:
        """Where the link is; None until the platform is installed."""
        try:
            found = await self._kube.get(CONFIG_MAP, LINK_CONFIG_MAP, labels.NAMESPACE)
        except NotFound:
            return None
        data = found.get("data") or {}
        return LinkConfig(data.get("url", ""), data.get("ca.crt", ""), data.get("cluster-id", ""))

    async def identity(self) -> Identity | None:
        """Raises ``ValueError`` for a damaged Secret."""
        return await self._read_identity(IDENTITY)

    async def pending_identity(self) -> Identity | None:
        """A key that is made and stored, whose enrolment is not answered yet."""
        return await self._read_identity(PENDING)

    async def store_pending(self, identity: Identity) -> None:
        await self._apply_secret(PENDING, identity.to_data())

    async def _read_identity(self, name: str) -> Identity | None:
        try:
            found = await self._kube.get(SECRET, name, labels.NAMESPACE)
        except NotFound:
            return None
        return Identity.from_data(found.get("data") or {})

    async def store_identity(self, identity: Identity) -> None:
        await self._apply_secret(IDENTITY, identity.to_data())

    async def enrolment_token(self) -> str:
        """The one-time token, "" when there is none."""
        try:
            found = await self._kube.get(SECRET, ENROLMENT_SECRET, labels.NAMESPACE)
        except NotFound:
            return ""
        return base64.b64decode((found.get("data") or {}).get("token", "")).decode().strip()

    async def forget_enrolment(self) -> None:
        """A used token is deleted: it could do nothing any more, and nobody shall find it."""
        for name in (ENROLMENT_SECRET, PENDING):
            try:
                await self._kube.delete(SECRET, name, labels.NAMESPACE)
            except NotFound:
                continue

    async def cluster_uid(self) -> str:
        """Names this Kubernetes: the UID of namespace kube-system."""
        return str((await self._kube.get(NAMESPACE, "kube-system"))["metadata"].get("uid", ""))

    async def store_metrics_token(self, token: str) -> None:
        data = {"token": base64.b64encode(token.encode()).decode()}
        await self._apply_secret(METRICS_CREDENTIAL, data)

    async def _apply_secret(self, name: str, data: dict[str, Any]) -> None:
        meta = {"name": name, "namespace": labels.NAMESPACE}
        obj = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": data}
        await self._kube.apply(obj, manager="runai-link")
