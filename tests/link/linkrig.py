"""A real link server (uvicorn in a thread) on the session's PostgreSQL and Valkey, and real agents on clusters in
memory.

What a test writes is committed, since the server has connections of its own; the rig removes its clusters at the end.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from django.conf import settings
from django.db import connection, transaction

from agent.config import Settings
from agent.kube.watch import Informers
from agent.link.client import LinkClient
from agent.link.identity import Identity
from agent.loops import link as link_role
from agent.loops.context import Context, RoleState
from link import services
from link.agent_api.app import LinkApp
from link.models import Cluster, Inbox
from link.services.sql import execute, query
from tests.agent.fake_kube import FakeKube


@dataclass
class Server:
    """One link process, in a thread."""

    app: LinkApp
    url: str
    server: uvicorn.Server
    thread: threading.Thread

    @classmethod
    def start(cls) -> Server:
        listening = socket.create_server(("127.0.0.1", 0))
        settings.LINK_URL = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = LinkApp()
        config = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started, "the link did not start"
        return cls(app, settings.LINK_URL, server, thread)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=15)


async def in_db(work: Callable[[], Any]) -> Any:
    """Run ORM work in a thread, in the public schema, committed."""

    def run() -> Any:
        try:
            connection.set_schema_to_public()
            return work()
        finally:
            connection.close()

    return await asyncio.to_thread(run)


@dataclass
class Rig:
    server: Server
    schema_name: str
    clusters: list[uuid.UUID] = field(default_factory=list)

    async def cluster(self, name: str = "one") -> uuid.UUID:
        cluster_id = uuid.uuid4()
        self.clusters.append(cluster_id)
        await in_db(lambda: services.register_cluster(cluster_id=cluster_id, schema_name=self.schema_name, name=name))
        return cluster_id

    async def token(self, cluster_id: uuid.UUID) -> str:
        return str(await in_db(lambda: services.mint_enrolment(cluster_id=cluster_id)))

    async def enrolled(self) -> tuple[uuid.UUID, Identity]:
        """A cluster with an identity, without an agent."""
        cluster_id = await self.cluster()
        token, identity = await self.token(cluster_id), Identity.new()
        async with LinkClient(self.server.url) as link:
            answer = await link.enrol(token, identity.enrol_request(f"kube-{cluster_id}", "test"))
        return cluster_id, identity.enrolled(answer.cluster_id, answer.server_generation)

    @asynccontextmanager
    async def client(self, identity: Identity) -> AsyncIterator[LinkClient]:
        async with LinkClient(self.server.url) as link:
            link.identity = identity
            yield link

    async def inbox(self, cluster_id: uuid.UUID, kind: str = "") -> list[Any]:
        rows = await in_db(
            lambda: query(
                "SELECT topic, kind, uid, op, body, schema_name FROM public.link_inbox WHERE cluster_id = %s "
                "ORDER BY id",
                [cluster_id],
            )
        )
        return [row for row in rows if not kind or row.kind == kind]

    def remove(self) -> None:
        Inbox.objects.filter(cluster_id__in=self.clusters).delete()
        execute(
            "DELETE FROM public.link_logchunk c USING public.link_logstream s WHERE s.id = c.stream_id "
            "AND s.cluster_id = ANY(%s)",
            [self.clusters],
        )
        with transaction.atomic():
            # Locked first: the server still notes when it heard of them, and a row that came between would forbid it.
            list(Cluster.objects.select_for_update().filter(id__in=self.clusters))
            Cluster.objects.filter(id__in=self.clusters).delete()


def kube_for(url: str, cluster_id: uuid.UUID, token: str) -> FakeKube:
    """A cluster to which somebody applied the console's manifest."""
    kube = FakeKube()
    kube.seed(obj("v1", "Namespace", "kube-system"))
    kube.seed(obj("v1", "Namespace", "runai"))
    data = {"url": url, "ca.crt": "", "cluster-id": str(cluster_id), "cluster-name": "one"}
    kube.seed(obj("v1", "ConfigMap", "runai-link", "runai", data=data))
    kube.seed(
        obj("v1", "Secret", "runai-enrolment", "runai", data={"token": base64.b64encode(token.encode()).decode()})
    )
    kube.raw["/version"] = b'{"gitVersion": "v1.34.0"}'
    return kube


def obj(api: str, kind: str, name: str, namespace: str | None = None, **rest: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    meta.update(rest.pop("meta", {}))
    return {"apiVersion": api, "kind": kind, "metadata": meta, **rest}


@asynccontextmanager
async def agent(kube: FakeKube) -> AsyncIterator[RoleState]:
    """The real link role, running until the block ends. Dies with it, as a killed process would."""
    informers, health = Informers(kube), RoleState("link")
    context = Context("link", kube, informers, Settings(roles=("link", "operator")), health)
    task = asyncio.create_task(link_role.run(context))
    try:
        yield health
        if task.done():
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await informers.close()


async def eventually(check: Callable[[], Any], *, within_s: float = 15.0) -> Any:
    """The first true answer of ``check`` (sync or async)."""
    deadline = time.monotonic() + within_s
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found or time.monotonic() > deadline:
            assert found, "it did not happen in time"
            return found
        await asyncio.sleep(0.03)
