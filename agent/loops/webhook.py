"""The webhook role: answers the API server over TLS and keeps its certificate and registration right.

Everything it knows is in the cluster: the certificate in Secret ``runai-webhook-tls``, the projects in its caches. It
may die at any line: the API server goes on without it, and the next start registers its own address and certificate.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import web
from prometheus_client import Counter, Histogram

from agent.admission import objects, registration
from agent.admission.certificates import Pair, is_good, make
from agent.admission.pods import Space, Supply, review_pod
from agent.admission.review import ALLOWED, Answer, Request, read, write
from agent.kube.cache import Change
from agent.kube.convert.nodes import gpu_memory_mib
from agent.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from agent.kube.protocol import Obj
from agent.kube.reach import source_address
from agent.kube.resources import MUTATING_WEBHOOK, NAMESPACE, NODE, PROJECT, SECRET, VALIDATING_WEBHOOK
from agent.loops.configured import Configured, effective
from agent.loops.context import Context
from agent.operator.reconcile import contains
from agent.wire import labels
from agent.wire.codec import from_dict
from agent.wire.objects import NodeTypes

log = structlog.get_logger(__name__)

SECRET_NAME = "runai-webhook-tls"  # noqa: S105
MANAGER = "runai-webhook"
CHECK_S = 20.0
LARGEST_BODY = 8 << 20
SECONDS = Histogram(
    "runai_webhook_seconds", "Time to answer.", buckets=(0.001, 0.003, 0.005, 0.01, 0.015, 0.03, 0.1, 1)
)
ANSWERS = Counter("runai_webhook_answers", "Answers by kind and outcome.", ["kind", "outcome"])
_encode, _decode = msgspec.json.encode, msgspec.json.decode


async def run(context: Context) -> None:
    """The role; ends only by an error."""
    await Webhook(context).run()


class Webhook:
    """``port`` is known once it listens."""

    def __init__(self, context: Context, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._context, self._kube, self._now = context, context.kube, now
        informers = context.informers
        self._namespaces = informers.store(NAMESPACE)
        self._projects = informers.store(PROJECT, optional=True)
        self._nodes = informers.store(NODE)
        self._configured = Configured(informers)
        self._configured.on_change(self._refresh)
        self._supply = Supply(scheduler_names=context.settings.scheduler_names)
        self._devices: dict[str, int] = {}
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._pair: Pair | None = None
        self._old_ca = b""
        self.port = 0
        self._nodes.on_change(self._node_changed)

    def _node_changed(self, change: Change) -> None:
        """A heartbeat is no change: nodes tell more than anybody asks here."""
        before = self._devices.pop(change.key, None)
        if change.new is not None:
            self._devices[change.key] = gpu_memory_mib(change.new["metadata"].get("labels") or {})
        if self._devices.get(change.key) != before:
            self._refresh()

    def _refresh(self) -> None:
        spec = self._configured.spec
        self._supply = Supply(
            device_mib=max(self._devices.values(), default=0),
            scheduler_names=effective(self._context.settings, spec).scheduler_names,
            cpu_per_gpu_milli=spec.defaults.cpu_per_gpu_milli,
            memory_per_gpu_mib=spec.defaults.memory_per_gpu_mib,
        )

    # -- deciding ----------------------------------------------------------------------------------------------------

    def decide(self, request: Request) -> Answer:
        match request.kind:
            case "Pod":
                return review_pod(request, self._space(request.namespace), self._supply)
            case "Workload":
                return objects.review_workload(
                    request, self._space(request.namespace), self._supply, protect=self._protects()
                )
            case "Queue":
                return objects.review_queue(request)
            case "Topology":
                return objects.review_topology(request)
        return ALLOWED

    def _space(self, namespace: str) -> Space | None:
        found = self._namespaces.get(namespace)
        name = ((found or {}).get("metadata", {}).get("labels") or {}).get(labels.PROJECT)
        if not name:
            return None
        project = self._projects.get(name)
        spec = (project or {}).get("spec") or {}
        pools = [str(quota.get("nodePool")) for quota in spec.get("quotas") or ()] or [labels.DEFAULT_NODE_POOL]
        queues = frozenset(labels.queue_name(name, pool) for pool in pools) if project else frozenset()
        return Space(name, spec.get("enforceRunaiScheduler", True) is not False, queues, _node_types(spec))

    def _protects(self) -> bool:
        return self._configured.spec.ownership_protection

    def _handler(self, mutating: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(http: web.Request) -> web.Response:
            with SECONDS.time():
                try:
                    request = read(_decode(await http.read()))
                except (ValueError, msgspec.DecodeError) as error:
                    return web.Response(status=400, text=f"{error}\n")
                found = self._answer(request, mutating)
                return web.Response(body=_encode(write(request, found)), content_type="application/json")

        return answer

    def _answer(self, request: Request, mutating: bool) -> Answer:
        """Refusals come from both doors (the first spares the rest), changes from the mutating one only. A defect in
        a rule lets the object pass: better unchecked than stuck."""
        try:
            found = self.decide(request)
        except Exception:
            log.exception("rule_broken", kind=request.kind, name=request.name, namespace=request.namespace)
            found = ALLOWED
        ANSWERS.labels(request.kind, "refused" if found.problems else "allowed").inc()
        return found if mutating or not found.patch else Answer(found.problems, (), found.warnings)

    # -- serving -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        await self._context.informers.synced()
        await self._ensure_certificate()
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_post("/mutate", self._handler(True))
        app.router.add_post("/validate", self._handler(False))
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=600)
        await runner.setup()
        settings = self._context.settings
        site = web.TCPSite(runner, self._listen_on(), settings.webhook_port, ssl_context=self._tls)
        try:
            await site.start()
            self.port = _port_of(site)
            await self._keep()
        finally:
            await runner.cleanup()

    async def _keep(self) -> None:
        """Certificate and registration, looked at again and again."""
        while True:
            try:
                await self._ensure_certificate()
                await self._register()
                self._context.health.set(True, f"answering on port {self.port}")
            except KubeError as error:
                self._context.health.set(False, f"not registered: {error.message}")
                log.warning("not_registered", error=error.message)
            await asyncio.sleep(CHECK_S)

    def _in_cluster(self) -> bool:
        return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and not self._context.settings.webhook_host

    def _host(self) -> str:
        """Where the API server finds a process outside of the cluster: the end of our line to it."""
        if self._context.settings.webhook_host:
            return self._context.settings.webhook_host
        return source_address(urlsplit(str(getattr(self._kube, "server", ""))))

    def _listen_on(self) -> str:
        return "0.0.0.0" if self._in_cluster() else self._host()  # noqa: S104

    def _hosts(self) -> tuple[str, ...]:
        service = f"{registration.SERVICE}.{labels.NAMESPACE}.svc"
        return (service,) if self._in_cluster() else (service, self._host())

    # -- certificate -------------------------------------------------------------------------------------------------

    async def _ensure_certificate(self) -> None:
        """The one in the Secret, or a new one when that is missing, old, broken or for other names."""
        secret = await self._secret()
        pair = _pair_of(secret)
        if pair is None or not is_good(pair, self._hosts(), self._now()):
            pair = await self._renew(secret)
        if pair != self._pair:
            self._old_ca = self._pair.ca if self._pair is not None else b""
            self._pair = pair
            _load(self._tls, pair)

    async def _secret(self) -> Obj | None:
        try:
            return await self._kube.get(SECRET, SECRET_NAME, labels.NAMESPACE)
        except NotFound:
            return None

    async def _renew(self, secret: Obj | None) -> Pair:
        pair = make(self._hosts(), self._now())
        log.info("certificate_made", hosts=self._hosts())
        data = {"ca.crt": pair.ca, "tls.crt": pair.certificate, "tls.key": pair.key}
        meta: Obj = {"name": SECRET_NAME, "namespace": labels.NAMESPACE}
        if secret is not None:
            meta["resourceVersion"] = secret["metadata"]["resourceVersion"]
        obj = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": meta,
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
        }
        try:
            await (self._kube.replace(obj) if secret is not None else self._kube.create(obj))
        except (AlreadyExists, Conflict):  # another process was quicker: take its own
            return _pair_of(await self._secret()) or pair
        return pair

    async def _register(self) -> None:
        """Our address and CA in both configurations; while a renewal spreads, the CA before it too."""
        assert self._pair is not None
        url = "" if self._in_cluster() else f"https://{_bracketed(self._host())}:{self.port}"
        for wanted in registration.configurations(self._pair.ca + self._old_ca, url=url):
            resource = MUTATING_WEBHOOK if wanted["kind"] == MUTATING_WEBHOOK.kind else VALIDATING_WEBHOOK
            try:
                have = await self._kube.get(resource, registration.NAME)
            except NotFound:
                have = {}
            if not contains(have, wanted):
                await self._kube.apply(wanted, manager=MANAGER)
                log.info("registered", kind=wanted["kind"], url=url or "service")


def _node_types(spec: Obj) -> NodeTypes:
    try:
        return from_dict(NodeTypes, spec.get("nodeTypes") or {})
    except ValueError:
        return NodeTypes()


def _pair_of(secret: Obj | None) -> Pair | None:
    data = (secret or {}).get("data") or {}
    try:
        return Pair(*(base64.b64decode(data[name]) for name in ("ca.crt", "tls.crt", "tls.key")))
    except (KeyError, ValueError):
        return None


def _load(tls: ssl.SSLContext, pair: Pair) -> None:
    """New connections use it at once. OpenSSL reads files only: they exist for a moment, for us alone."""
    with tempfile.TemporaryDirectory(prefix="runai-webhook-") as folder:
        certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        certificate.write_bytes(pair.certificate)
        key.touch(mode=0o600)
        key.write_bytes(pair.key)
        tls.load_cert_chain(certificate, key)


def _port_of(site: Any) -> int:
    sockets: list[socket.socket] = list(site._server.sockets)
    return int(sockets[0].getsockname()[1])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
