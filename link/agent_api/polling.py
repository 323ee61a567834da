"""The long poll (agent-link.md section 3.4): while it waits it holds no thread and no database connection."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import Any

from agent.wire.digest import differing
from agent.wire.messages import Directives, PollRequest
from link.agent_api.desk import Desk
from link.agent_api.http import Disconnected, Request, Response, answer
from link.hub import Reason, Waiter
from link.protocol.pace import hold_ms
from link.protocol.state import DigestWatch, due
from link.refusal import Refused
from link.store import exchange
from link.store.exchange import Caller, Exchange
from link.store.state import digest_of


async def poll(desk: Desk, request: Request) -> Response:
    """``POST poll``: apply acks, offer what is owed, or hold until there is something."""
    caller = desk.caller(request, "poll")
    message = await request.message(PollRequest)
    cluster_id = str(caller.cluster_id)
    # Registered before anything is read: a wake-up that comes in between is not lost.
    waiter = desk.hub.register(cluster_id, message.epoch, message.poll_seq)
    if waiter is None:
        raise _superseded()
    try:
        found = await exchange.poll(desk.pool, caller, message, desk.directives(), first=True)
        directives = await _compare(desk, caller, message, found)
        found = replace(found, answer=replace(found.answer, directives=directives))
        if found.news or directives.resync or message.wait_ms <= 0:
            return answer(found.answer)
        return await _hold(desk, caller, message, waiter, request)
    finally:
        desk.hub.unregister(waiter)


async def _hold(desk: Desk, caller: Caller, message: PollRequest, waiter: Waiter, request: Request) -> Response:
    """Wait for a wake-up, the end of the hold, a newer poll, the end of this process or of the connection."""
    end = time.monotonic() + hold_ms(message.wait_ms, random.random()) / 1000  # noqa: S311
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        while True:
            reason = await _next(waiter, end, gone)
            if reason is None:
                desk.hub.drop(str(caller.cluster_id))
                raise Disconnected
            if reason is Reason.SUPERSEDED:
                raise _superseded()
            if reason is Reason.DRAIN:
                return _nothing(desk)
            found = await exchange.poll(desk.pool, caller, message, desk.directives(), first=False)
            if found.news:
                return answer(found.answer)
            if reason is Reason.TIMEOUT:
                return answer(found.answer) if message.acks else _nothing(desk)
    finally:
        gone.cancel()


async def _next(waiter: Waiter, end: float, gone: asyncio.Future[None]) -> Reason | None:
    """The waiter's reason; None when the connection broke first."""
    waiting = asyncio.ensure_future(waiter.wait(max(0.0, end - time.monotonic())))
    try:
        both: set[asyncio.Future[Any]] = {waiting, gone}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _superseded() -> Refused:
    return Refused(409, "superseded", "a newer poll of this session is here")


def _nothing(desk: Desk) -> Response:
    """204: nothing is owed. ``Runai-Spread-Ms``: come back within a random part of it."""
    spread = desk.directives().spread_ms
    headers = ((b"runai-spread-ms", str(spread).encode()),) if spread else ()
    return Response(204, headers=headers)


async def _compare(desk: Desk, caller: Caller, message: PollRequest, found: Exchange) -> Directives:
    """Anti-entropy: two differing digests in a row ask for buckets, differing buckets for their snapshot."""
    directives, digest, cluster_id = found.answer.directives, message.digest, str(caller.cluster_id)
    watch = desk.watches.get(cluster_id, DigestWatch())
    now = int(time.monotonic() * 1000)
    if digest is None or not due(watch, digest, found.box.report_seq, now):
        return directives
    mine = await digest_of(desk.pool, caller.cluster_id)
    if mine.root() == digest.root:
        desk.watches[cluster_id] = DigestWatch(0, now)
        return directives
    misses = watch.misses + 1
    desk.watches[cluster_id] = DigestWatch(misses, now)
    if digest.buckets:
        desk.watches[cluster_id] = DigestWatch(0, now)
        try:
            return replace(directives, resync="snapshot", resync_buckets=differing(mine.buckets(), digest.buckets))
        except ValueError as error:
            raise Refused(422, "bad_message", str(error), permanent=True) from error
    return replace(directives, resync="buckets") if misses >= 2 else directives
