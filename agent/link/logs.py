"""Streams container logs up: read from the API server, sent in order by offset, byte for byte.

The offset is the contract: what the server has is never sent twice, and after a restart a log that was read from its
beginning goes on at the exact byte. Where that is impossible (only the tail was asked for), a line marks the seam.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from agent.kube.errors import Invalid, KubeError, NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import POD
from agent.link.client import LinkClient, LinkError
from agent.link.pace import Move, react
from agent.wire import limits
from agent.wire.codec import to_json
from agent.wire.messages import LogAnswer, LogEnd, LogOrder

log = structlog.get_logger(__name__)

MAX_STREAMS = 50
WAIT_FOR_START_S = 600.0
SEAM = b"\n--- the log continues after an interruption; lines may be missing or repeated here ---\n"


@dataclass(slots=True)
class _Stream:
    order: LogOrder
    offset: int
    """What the server has."""
    read: int = 0
    """Bytes of the log read so far in this opening, the skipped ones included."""
    buffer: bytearray = field(default_factory=bytearray)
    finished: bool = False
    error: str = ""
    more: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Event = field(default_factory=asyncio.Event)


class StreamClosed(Exception):
    """Nobody reads it any more."""


class LogStreams:
    """All open streams of this process. ``flush_ms`` is read at every flush, since the server sets the pace."""

    def __init__(self, kube: Kube, link: LinkClient, flush_ms: Callable[[], int]) -> None:
        self._kube = kube
        self._link = link
        self._flush_ms = flush_ms
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def open(self, order: LogOrder) -> None:
        """Start a stream; one that runs already goes on. Raises ``ValueError`` when there are too many."""
        if order.stream_id in self._tasks:
            return
        if len(self._tasks) >= MAX_STREAMS:
            raise ValueError(f"{len(self._tasks)} log streams are open, at most {MAX_STREAMS} are allowed")
        task = asyncio.create_task(self._run(order), name=f"log-{order.stream_id}")
        self._tasks[order.stream_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(order.stream_id, None))

    def close(self, stream_id: str) -> None:
        task = self._tasks.get(stream_id)
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- one stream

    async def _run(self, order: LogOrder) -> None:
        stream = _Stream(order, order.next_offset)
        stream.room.set()
        if order.tail is None:
            stream.read = stream.offset  # resume at the exact byte
        reader = asyncio.create_task(self._read(stream))
        try:
            await self._send_all(stream)
        except StreamClosed:
            log.debug("log_closed", stream=order.stream_id)
        except LinkError as error:
            log.warning("log_given_up", stream=order.stream_id, error=str(error))
            stream.error = f"the log cannot be sent: {error}"
            await self._end(stream)
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    async def _read(self, stream: _Stream) -> None:
        """Fill the buffer until the log ends; opens it again when the connection to the API server breaks."""
        try:
            if stream.offset and stream.order.tail is not None:
                await self._add(stream, SEAM)
            failures = 0
            while not await self._read_once(stream):
                failures += 1
                await asyncio.sleep(min(5.0, 0.2 * 2**failures))
        except KubeError as error:
            stream.error = error.message
        finally:
            stream.finished = True
            stream.more.set()

    async def _read_once(self, stream: _Stream) -> bool:
        """True when the log is complete. Raises ``KubeError`` when it never will be."""
        order, position = stream.order, 0
        skip = stream.read if order.tail is None else 0
        try:
            async for chunk in self._open(order):
                fresh = chunk[max(0, skip - position) :] if position < skip else chunk
                position += len(chunk)
                if fresh:
                    await self._add(stream, fresh)
        except NotFound as error:
            raise KubeError("the pod is gone", status=404) from error
        except Invalid as error:
            await self._wait_for_start(order, error)
            return False
        except KubeError:
            if order.tail is not None and stream.read:
                await self._add(stream, SEAM)
            return False
        return True

    def _open(self, order: LogOrder) -> AsyncIterator[bytes]:
        target = order.target
        return self._kube.logs(
            target.namespace,
            target.pod,
            container=target.container,
            follow=order.follow,
            previous=target.previous,
            tail_lines=order.tail,
        )

    async def _wait_for_start(self, order: LogOrder, refusal: Invalid) -> None:
        """The container has not started. Without following there is nothing to wait for."""
        pod = await self._kube.get(POD, order.target.pod, order.target.namespace)
        if not order.follow or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            raise KubeError(refusal.message, status=400)
        await asyncio.sleep(0.5)

    async def _add(self, stream: _Stream, data: bytes) -> None:
        """Into the buffer; waits while it is full, so that a fast log does not fill the memory."""
        while len(stream.buffer) >= 2 * limits.MAX_LOG_CHUNK:
            stream.room.clear()
            await stream.room.wait()
        stream.buffer += data
        stream.read += len(data)
        stream.more.set()

    async def _send_all(self, stream: _Stream) -> None:
        failures = 0
        while True:
            await stream.more.wait()
            stream.more.clear()
            if not stream.finished and len(stream.buffer) < limits.MAX_LOG_CHUNK:
                await asyncio.sleep(self._flush_ms() / 1000)
            while stream.buffer:
                failures = await self._send_chunk(stream, failures)
            if stream.finished and not stream.buffer:
                await self._end(stream)
                return

    async def _send_chunk(self, stream: _Stream, failures: int) -> int:
        """Send the front of the buffer; returns failures in a row. Raises ``StreamClosed``, ``LinkError``."""
        chunk = bytes(stream.buffer[: limits.MAX_LOG_CHUNK])
        path = f"logs/{stream.order.stream_id}?offset={stream.offset}"
        try:
            reply = await self._link.send("POST", path, chunk, content_type="application/octet-stream")
            answer = self._link.read(LogAnswer, reply)
        except LinkError as error:
            return await self._after_failure(stream, error, failures + 1)
        if answer.closed:
            raise StreamClosed
        self._advance(stream, answer.next)
        return 0

    def _advance(self, stream: _Stream, next_offset: int) -> None:
        del stream.buffer[: max(0, next_offset - stream.offset)]
        stream.offset = max(stream.offset, next_offset)
        stream.room.set()

    async def _after_failure(self, stream: _Stream, error: LinkError, failures: int) -> int:
        if error.status == 409 and error.problem is not None and error.problem.next is not None:
            if error.problem.next < stream.offset:
                raise StreamClosed from error  # the server forgot bytes we no longer have: it must ask anew
            self._advance(stream, error.problem.next)
            return failures
        reaction = react(error.status, error.problem, failures, random.random())  # noqa: S311
        if reaction.move in (Move.DROP_ITEM, Move.STOP, Move.REVOKED) or error.status == 404 or failures > 20:
            raise error
        await asyncio.sleep(max(0.2, reaction.wait_ms / 1000))
        return failures

    async def _end(self, stream: _Stream) -> None:
        path = f"logs/{stream.order.stream_id}/end"
        for failures in range(1, 10):
            try:
                await self._link.send("POST", path, to_json(LogEnd(stream.offset, stream.error)))
                return
            except LinkError as error:
                if error.status in (404, 409, 410):
                    return
                await asyncio.sleep(react(error.status, error.problem, failures, random.random()).wait_ms / 1000)  # noqa: S311
