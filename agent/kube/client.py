"""The one adapter from ``Kube`` to a real API server: ``http`` for short requests, aiohttp for streams, msgspec.

Everything that talks to Kubernetes goes through here. Requests share one pool; watches and followed logs have their
own, so that they never hold a place which a bind is waiting for. Refusals (429), failures (5xx) and lost connections
are tried again with growing, jittered pauses where repeating is safe; a POST that may have been done is not repeated.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from yarl import URL

from agent.kube import auth, http
from agent.kube.errors import Gone, KubeError, Unauthorized, Unreachable, error_of
from agent.kube.protocol import Kube, Listing, Obj, PatchKind, WatchEvent
from agent.kube.resources import POD, Resource, resource_of

__all__ = ["Kube", "KubeClient"]

PAGE = 500
WATCH_S = 300
"""How long a watch asks the server to last; it then resumes where it was."""
SILENCE_S = 100
"""A watch without even a bookmark (one a minute) for this long is dead, whatever the connection looks like."""
REQUEST_S = 30
RETRY_S = 10
"""How long one call goes on trying before its error reaches the caller."""
_PATCH_TYPES: dict[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"
_UNVALIDATED = {"fieldValidation": "Ignore"}
"""By default the server reads each body twice, to warn of unknown fields; nobody reads those warnings here."""
_RETRY_STATUS = frozenset({429, 500, 502, 503, 504})


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    items: list[dict[str, Any]] | None
    metadata: _ListMeta


class _Event(msgspec.Struct):
    type: str
    object: dict[str, Any]


_decode_page = msgspec.json.Decoder(_Page).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class KubeClient:
    """``async with KubeClient.connect() as kube: …``; implements ``Kube``."""

    def __init__(self, credentials: auth.Credentials, *, user_agent: str = "runai-agent", in_flight: int = 64) -> None:
        self._credentials = credentials
        self._user_agent = user_agent
        self._in_flight = in_flight
        self._short: http.Pool | None = None
        self._streams: aiohttp.ClientSession | None = None
        self.requests: Counter[tuple[str, int]] = Counter()
        """Requests by method and status (0: no answer), for metrics and benchmarks."""
        self.bytes: Counter[str] = Counter()
        """Bytes of bodies, "sent" and "received"."""

    @classmethod
    def connect(cls, kubeconfig: str | None = None, *, user_agent: str = "runai-agent", in_flight: int = 64) -> Self:
        """A client for ``kubeconfig``, ``$KUBECONFIG`` or the pod's service account. Raises ``BadConfig``."""
        return cls(auth.load(kubeconfig), user_agent=user_agent, in_flight=in_flight)

    @property
    def server(self) -> str:
        return self._credentials.server

    async def __aenter__(self) -> Self:
        tls = self._credentials.tls
        self._short = http.Pool(self._credentials.server, tls, limit=self._in_flight, timeout_s=REQUEST_S)
        self._streams = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_S),
            headers={"User-Agent": self._user_agent, "Accept": _JSON},
            read_bufsize=1 << 20,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._short is not None:
            await self._short.__aexit__(kind, error, tb)
        if self._streams is not None:
            await self._streams.close()

    # ---- reading -------------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Obj:
        return _trim(_decode(await self._call("GET", resource.path(namespace, name))), resource)

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing:
        for attempt in (1, 2):
            try:
                return await self._list_pages(resource, namespace, labels, fields)
            except Gone:  # the continue token ran out between two pages: begin again
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    async def _list_pages(self, resource: Resource, namespace: str | None, labels: str, fields: str) -> Listing:
        params = _selectors(labels, fields) | {"limit": str(PAGE)}
        items: list[Obj] = []
        while True:
            page = _decode_page(await self._call("GET", resource.path(namespace), params=params))
            items.extend(_trim(item, resource) for item in page.items or ())
            if not page.metadata.continue_:
                return Listing(items, page.metadata.resource_version)
            params["continue"] = page.metadata.continue_

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
    ) -> AsyncIterator[WatchEvent]:
        params = _selectors(labels, fields) | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(int(WATCH_S * random.uniform(0.8, 1.2))),  # noqa: S311
        }
        async for line in self._lines(resource.path(namespace), params):
            event = _decode_event(line)
            if event.type == "ERROR":
                raise error_of(int(event.object.get("code") or 500), event.object)
            yield WatchEvent(event.type, _trim(event.object, resource))

    async def _lines(self, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The lines of a streamed answer; searches each byte once, however the chunks are cut."""
        buffer, searched = bytearray(), 0
        async for chunk in self._stream(path, params):
            buffer += chunk
            start = 0
            while (end := buffer.find(b"\n", max(start, searched))) >= 0:
                yield bytes(buffer[start:end])
                start = end + 1
            del buffer[:start]
            searched = len(buffer)

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
        wanted = {
            "container": container,
            "follow": "true" if follow else None,
            "previous": "true" if previous else None,
            "tailLines": tail_lines,
            "sinceTime": since_time,
            "limitBytes": limit_bytes,
            "timestamps": "true" if timestamps else None,
        }
        params = {key: str(value) for key, value in wanted.items() if value is not None}
        return self._stream(POD.path(namespace, pod, "log"), params, silence_s=None if follow else REQUEST_S)

    async def raw_get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        return await self._call("GET", path, params=params)

    # ---- writing -------------------------------------------------------------------------------------------------

    async def create(self, obj: Obj) -> Obj:
        resource = resource_of(obj)
        path = resource.path(obj["metadata"].get("namespace"))
        return _trim(_decode(await self._call("POST", path, body=_encode(obj))), resource)

    async def replace(self, obj: Obj, *, subresource: str | None = None) -> Obj:
        resource, meta = resource_of(obj), obj["metadata"]
        path = resource.path(meta.get("namespace"), meta["name"], subresource)
        return _trim(_decode(await self._call("PUT", path, body=_encode(obj))), resource)

    async def apply(self, obj: Obj, *, manager: str, force: bool = True, subresource: str | None = None) -> Obj:
        resource, meta = resource_of(obj), obj["metadata"]
        path = resource.path(meta.get("namespace"), meta["name"], subresource)
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        return _trim(
            _decode(await self._call("PATCH", path, params=params, body=_encode(obj), content=_APPLY)), resource
        )

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        body: Any,
        kind: PatchKind = "merge",
        subresource: str | None = None,
    ) -> Obj:
        path = resource.path(namespace, name, subresource)
        return _trim(_decode(await self._call("PATCH", path, body=_encode(body), content=_PATCH_TYPES[kind])), resource)

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
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: Obj = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {key: value for key, value in preconditions.items() if value} or None,
            "gracePeriodSeconds": grace_s,
            "propagationPolicy": propagation,
        }
        body = _encode({key: value for key, value in options.items() if value is not None})
        await self._call("DELETE", resource.path(namespace, name), body=body)

    async def bind(
        self, namespace: str, pod: str, node: str, *, uid: str, annotations: Mapping[str, str] | None = None
    ) -> None:
        meta: Obj = {"name": pod, "namespace": namespace, "uid": uid}
        if annotations:
            meta["annotations"] = dict(annotations)
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = _encode({"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target})
        await self._call("POST", POD.path(namespace, pod, "binding"), body=body)

    def through(
        self, namespace: str, pod: str, port: int, *, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """A request to a pod through the API server, for processes that do not reach pods themselves. Not repeated.

        ``path`` with its query, as it came. Needs ``pods/proxy``."""
        if self._streams is None:
            raise RuntimeError("KubeClient is used outside of 'async with'")
        url = URL(f"{self._credentials.server}{POD.path(namespace, f'{pod}:{port}', 'proxy')}{path}", encoded=True)
        return self._streams.request(
            method, url, headers={**headers, **self._headers(False)}, data=body, allow_redirects=False
        )

    # ---- the wire ------------------------------------------------------------------------------------------------

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content: str = _JSON,
    ) -> bytes:
        """One request with its retries. The answer's body; raises what ``errors.error_of`` makes of a refusal."""
        give_up, pause = time.monotonic() + RETRY_S, 0.1
        renewed = False
        while True:
            try:
                return await self._once(method, path, params, body, content, renew=renewed)
            except Unauthorized:
                if renewed:
                    raise
                renewed = True
                continue
            except KubeError as error:
                wait = max(error.retry_after or 0.0, pause * random.uniform(0.5, 1.5))  # noqa: S311
                if not _may_repeat(method, error) or time.monotonic() + wait > give_up:
                    raise
            await asyncio.sleep(wait)
            pause = min(pause * 2, 2.0)

    async def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        content: str,
        *,
        renew: bool,
    ) -> bytes:
        if self._short is None:
            raise RuntimeError("KubeClient is used outside of 'async with'")
        headers = {"User-Agent": self._user_agent, "Accept": _JSON, **self._headers(renew)}
        if body is not None:
            headers["Content-Type"] = content
            if method != "DELETE":
                params = {**(params or {}), **_UNVALIDATED}
        try:
            status, heads, data = await self._short.request(method, path, params=params, headers=headers, body=body)
        except (TimeoutError, OSError) as error:
            self.requests[method, 0] += 1
            raise _unreachable(error, method, path) from error
        self.requests[method, status] += 1
        self.bytes["sent"] += len(body or b"")
        self.bytes["received"] += len(data)
        if status < 400:
            return data
        raise error_of(status, _status_body(data), _retry_after(heads))

    async def _stream(
        self, path: str, params: Mapping[str, str], *, silence_s: float | None = SILENCE_S
    ) -> AsyncIterator[bytes]:
        if self._streams is None:
            raise RuntimeError("KubeClient is used outside of 'async with'")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence_s)
        url = self._credentials.server + path
        try:
            async with self._streams.get(url, params=params, headers=self._headers(False), timeout=timeout) as response:
                self.requests["STREAM", response.status] += 1
                if response.status >= 400:
                    raise error_of(response.status, _status_body(await response.read()), _retry_after(response.headers))
                async for chunk in response.content.iter_any():
                    self.bytes["received"] += len(chunk)
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.requests["STREAM", 0] += 1
            raise _unreachable(error, "GET", path) from error

    def _headers(self, renew: bool) -> dict[str, str]:
        token = self._credentials.bearer(refresh=renew)
        return {"Authorization": f"Bearer {token}"} if token else {}


def _may_repeat(method: str, error: KubeError) -> bool:
    if error.status == 429:
        return True
    if method == "POST":  # only where it cannot have been done
        return isinstance(error, Unreachable) and error.reason == "ConnectFailed"
    return isinstance(error, Unreachable) or error.status in _RETRY_STATUS


def _unreachable(error: Exception, method: str, path: str) -> Unreachable:
    reason = "ConnectFailed" if isinstance(error, (aiohttp.ClientConnectorError, http.NotConnected)) else "NoAnswer"
    return Unreachable(f"{method} {path}: {type(error).__name__}: {error}", reason=reason)


def _status_body(data: bytes) -> dict[str, Any]:
    try:
        body = _decode(data)
    except msgspec.DecodeError:
        return {"message": data[:300].decode(errors="replace")}
    return body if isinstance(body, dict) else {}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After") or headers.get("retry-after") or ""
    return float(value) if value.isdecimal() else None


def _selectors(labels: str, fields: str) -> dict[str, str]:
    pairs = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in pairs.items() if value}


def _trim(obj: Obj, resource: Resource) -> Obj:
    """Drop what nobody reads and is half of an object's size; lists leave out kind and apiVersion: put them back."""
    meta = obj.get("metadata")
    if meta:
        meta.pop("managedFields", None)
    obj.setdefault("kind", resource.kind)
    obj.setdefault("apiVersion", resource.api_version)
    return obj
