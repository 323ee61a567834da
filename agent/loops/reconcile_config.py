"""The status of ``RunaiConfig/runai``: version, health of the roles, what the cluster lacks. Written on change only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from agent.install import ensure_config
from agent.kube.errors import KubeError, NotFound
from agent.kube.protocol import Obj
from agent.kube.resources import LEASE, NODE, NODE_POOL, POD, RUNAI_CONFIG
from agent.loops.context import Context
from agent.loops.reconcile_workload import merge_patch
from agent.operator.health import VERSION, cluster_status, role_health
from agent.wire import labels

CONFIG = "runai"


class ClusterStatus:
    """Reads leases (each role renews its own) and caches; ``reconcile`` is called now and then."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nodes = context.informers.store(NODE)
        self._pods = context.informers.store(POD)
        self._pools = context.informers.store(NODE_POOL)
        self._kubernetes = ""

    async def reconcile(self) -> None:
        """Makes the RunaiConfig where the platform is installed and has none: kubectl cannot apply it together with its
        definition. Raises ``KubeError``."""
        kube = self._context.kube
        try:
            config = await kube.get(RUNAI_CONFIG, CONFIG, labels.NAMESPACE)
        except NotFound:
            await ensure_config(kube)
            return
        if not self._kubernetes:
            self._kubernetes = await self._version()
        leases = (await kube.list(LEASE, labels.NAMESPACE)).items
        roles = role_health(leases, datetime.now(UTC), config.get("status") or {})
        status = cluster_status(
            config,
            roles,
            version=VERSION,
            kubernetes_version=self._kubernetes,
            nodes=list(self._nodes),
            pods=list(self._pods),
            pools=[obj["metadata"]["name"] for obj in self._pools],
            now=datetime.now(UTC),
        )
        await self._write(config, status)

    async def _version(self) -> str:
        try:
            found: dict[str, Any] = json.loads(await self._context.kube.raw_get("/version"))
        except (KubeError, ValueError):
            return ""
        return str(found.get("gitVersion") or "")

    async def _write(self, config: Obj, status: dict[str, Any]) -> None:
        old = {key: value for key, value in (config.get("status") or {}).items() if key in status}
        if change := merge_patch(old, status):
            body = {"status": change}
            await self._context.kube.patch(RUNAI_CONFIG, CONFIG, labels.NAMESPACE, body=body, subresource="status")
