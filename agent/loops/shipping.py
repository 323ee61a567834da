"""Posts samples to the link, oldest first, from a bounded buffer. A batch is sent again until it is taken or refused.

Sending twice is harmless: the other end keeps one sample per series and moment. What does not fit the buffer while the
link is away is dropped, oldest first, and counted; a process that dies loses what it had not sent yet, which shows as
a gap and is never filled in.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import gzip
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import structlog
from prometheus_client import Counter

from agent.kube.errors import KubeError, NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import CONFIG_MAP, SECRET
from agent.wire import labels
from agent.wire.codec import to_json
from agent.wire.samples import Sample, SampleBatch

log = structlog.get_logger(__name__)

BATCH = 5_000
MAX_BUFFERED = 16 * 1024 * 1024
"""Bytes of compressed batches: hours for a small cluster, minutes for a big one."""
POST_S = 15.0
CREDENTIAL = "runai-metrics-credential"
LINK = "runai-link"

_SENT = Counter("runai_metrics_samples_sent", "Samples that the link has taken.")
_DROPPED = Counter("runai_metrics_samples_dropped", "Samples given up: buffer full, or refused by the link.")


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    token: str
    tls: ssl.SSLContext | None


@dataclass(frozen=True, slots=True)
class _Parcel:
    body: bytes
    count: int


class Shipper:
    """``put`` never waits; ``ship`` sends what it can and says what is in the way, or ""."""

    def __init__(self, kube: Kube, http: aiohttp.ClientSession, *, max_buffered: int = MAX_BUFFERED) -> None:
        self._kube = kube
        self._http = http
        self._max = max_buffered
        self._waiting: deque[_Parcel] = deque()
        self._bytes = 0
        self._target: Target | None = None
        self._not_before = 0.0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Batches not sent yet."""
        return len(self._waiting)

    def put(self, samples: Sequence[Sample]) -> None:
        """Add a tick's samples; the oldest batches go when there is no room."""
        for start in range(0, len(samples), BATCH):
            part = tuple(samples[start : start + BATCH])
            body = gzip.compress(to_json(SampleBatch(part, dropped=self.dropped)), 6)
            self._waiting.append(_Parcel(body, len(part)))
            self._bytes += len(body)
        while self._bytes > self._max and len(self._waiting) > 1:
            self._drop(self._take_first())

    async def ship(self) -> str:
        """Send all that waits, in order; stops at the first trouble. Returns a sentence about it, or ""."""
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            return "the link asked to wait"
        while self._waiting:
            try:
                target = self._target or await self._find()
            except KubeError as error:
                return f"cannot read the credential: {error.message}"
            except ValueError as error:
                return str(error)
            self._target = target
            if trouble := await self._post(target, self._waiting[0]):
                return trouble
        return ""

    async def _post(self, target: Target, parcel: _Parcel) -> str:
        """Send the first parcel. Empty when it is off the buffer: taken, or refused for good."""
        headers = {
            "Authorization": f"Bearer {target.token}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        timeout = aiohttp.ClientTimeout(total=POST_S)
        try:
            async with self._http.post(
                target.url, data=parcel.body, headers=headers, timeout=timeout, ssl=target.tls or True
            ) as answer:
                text = (await answer.content.read(2000)).decode(errors="replace")
                return self._judge(answer.status, answer.headers.get("Retry-After", ""), text, parcel)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._target = None  # the link may have moved or its certificate changed: read again
            return f"the link does not answer: {type(error).__name__}: {error}"

    def _judge(self, status: int, retry_after: str, text: str, parcel: _Parcel) -> str:
        if status < 300:
            self._take_first()
            _SENT.inc(parcel.count)
            return ""
        if status in (401, 403):
            self._target = None
            return f"the link refuses the credential ({status})"
        if status == 429 or status >= 500:
            wait = float(retry_after) if retry_after.isdecimal() else 0.0
            self._not_before = asyncio.get_running_loop().time() + min(wait, 300.0)
            return f"the link is busy ({status})"
        log.warning("samples_refused", status=status, count=parcel.count, answer=text[:300])
        self._drop(self._take_first())
        return ""

    def _take_first(self) -> _Parcel:
        parcel = self._waiting.popleft()
        self._bytes -= len(parcel.body)
        return parcel

    def _drop(self, parcel: _Parcel) -> None:
        self.dropped += parcel.count
        _DROPPED.inc(parcel.count)

    async def _find(self) -> Target:
        """Address and credential from the objects that the installer and the link role keep. Raises ``ValueError``."""
        try:
            config = await self._kube.get(CONFIG_MAP, LINK, labels.NAMESPACE)
            secret = await self._kube.get(SECRET, CREDENTIAL, labels.NAMESPACE)
        except NotFound as error:
            raise ValueError(f"waiting for the link role: {error.message}") from error
        data = config.get("data") or {}
        try:
            token = base64.b64decode((secret.get("data") or {}).get("token", ""), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            token = ""
        if not data.get("url") or not token:
            raise ValueError(f"ConfigMap {LINK} needs url and Secret {CREDENTIAL} needs token")
        authority = data.get("ca.crt")
        tls = ssl.create_default_context(cadata=authority) if authority else None
        return Target(data["url"].rstrip("/") + "/agent/v1/metrics", token, tls)
