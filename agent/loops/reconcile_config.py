"""The installation and the status of ``RunaiConfig/runai``: version, roles, operands, dependencies, conditions.

Definitions are brought up to date once a start; the rest is looked at now and then, and written on change only.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from agent.install import ensure_config
from agent.kube.errors import Forbidden, KubeError, NotFound
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import CRD, INGRESS_CLASS, LEASE, NODE, NODE_POOL, POD, RUNAI_CONFIG
from agent.loops import reconcile_operands as installing
from agent.loops.configured import Configured, read_config
from agent.loops.context import Context
from agent.operator.health import OTHERS, VERSION, Surroundings, cluster_status, role_health
from agent.operator.operands import operands
from agent.operator.reconcile import merge_patch
from agent.wire import labels
from agent.wire.config import enabled

CONFIG = "runai"
LOOK_AROUND_S = 60.0


class ClusterStatus:
    """Reads leases (each role renews its own) and caches; ``reconcile`` is called now and then."""

    def __init__(self, context: Context, configured: Configured) -> None:
        self._context = context
        self._configured = configured
        self._nodes = context.informers.store(NODE)
        self._pods = context.informers.store(POD)
        self._pools = context.informers.store(NODE_POOL)
        self._operands = installing.Operands(context.kube)
        self._kubernetes = ""
        self._around = Surroundings()
        self._looked = -LOOK_AROUND_S
        self._definitions: str | None = None
        """What keeps our definitions from being up to date; None: not tried yet."""
        self._rights = ""

    async def reconcile(self) -> None:
        """Makes the RunaiConfig where the platform is installed and has none: kubectl cannot apply it together with its
        definition. Raises ``KubeError``."""
        kube = self._context.kube
        if self._definitions is None:
            self._definitions = await installing.upgrade_definitions(kube)
            self._rights = await installing.missing_rights(kube)
        await installing.take_chart_values(kube)
        pools = sorted(obj["metadata"]["name"] for obj in self._pools)
        try:
            config = await kube.get(RUNAI_CONFIG, CONFIG, labels.NAMESPACE)
        except NotFound:
            await ensure_config(kube)
            return
        deployed = await self._operands.reconcile(self._configured.spec, pools)
        await self._look_around()
        await self._write(config, await self._status(config, pools, deployed))

    async def _status(self, config: Obj, pools: list[str], deployed: list[Obj]) -> dict[str, Any]:
        now = datetime.now(UTC)
        leases = (await self._context.kube.list(LEASE, labels.NAMESPACE)).items
        roles = role_health(leases, now, config.get("status") or {}, enabled(self._configured.spec))
        return cluster_status(
            config,
            roles,
            version=VERSION,
            kubernetes_version=self._kubernetes,
            nodes=list(self._nodes),
            pods=list(self._pods),
            pools=pools,
            now=now,
            around=self._around,
            operands=operands(deployed),
            troubles={
                "ConfigurationValid": "; ".join(read_config(config)[1]),
                "DefinitionsCurrent": self._definitions or "",
                "RightsSufficient": self._rights,
            },
        )

    async def _look_around(self) -> None:
        """What else is installed, once a minute."""
        if time.monotonic() - self._looked < LOOK_AROUND_S:
            return
        self._looked = time.monotonic()
        self._kubernetes = self._kubernetes or await self._version()
        self._around = await surroundings(self._context.kube)

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


async def surroundings(kube: Kube) -> Surroundings:
    """Which other operators and controllers the cluster has. What may not be read counts as not there."""
    kinds = set()
    for name in OTHERS:
        try:
            await kube.get(CRD, name)
            kinds.add(name)
        except (NotFound, Forbidden):
            continue
    try:
        classes = len((await kube.list(INGRESS_CLASS)).items)
    except (NotFound, Forbidden):
        classes = 0
    return Surroundings(frozenset(kinds), classes)
