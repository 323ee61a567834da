"""The long poll: what wakes it, what it costs, how it ends."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import uuid

import aiohttp
import httpx
import pytest
import redis
from django.conf import settings

from agent.link.client import LinkClient, LinkError
from agent.wire.codec import to_json
from agent.wire.messages import (
    PollRequest,
)
from link import services, sweeping
from link.services.sql import execute, query
from local.files import free_ports
from tests.link.linkrig import Rig, Server, eventually, in_db
from tests.link.linktalk import poll, send_command, session

pytestmark = [pytest.mark.services, pytest.mark.django_db]


async def test_a_wake_up_ends_a_hold(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        waiting = asyncio.create_task(poll(link, made.epoch, 1, wait_ms=25_000))
        await eventually(lambda: len(rig.server.app.desk.hub) >= 1)
        await asyncio.sleep(0.2)
        await send_command(cluster_id)
        answer = await asyncio.wait_for(waiting, 10)
    assert len(answer.commands) == 1


async def test_a_lost_wake_up_costs_the_hold_at_most(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        waiting = asyncio.create_task(poll(link, made.epoch, 1, wait_ms=2_000))
        await asyncio.sleep(0.5)
        monkeypatch.setattr("link.wake._publisher.publish", lambda ids: False)
        await send_command(cluster_id)
        answer = await asyncio.wait_for(waiting, 10)
    assert len(answer.commands) == 1


async def test_the_sweeper_wakes_what_is_owed(rig: Rig) -> None:
    cluster_id, _ = await rig.enrolled()
    await send_command(cluster_id)
    client = redis.Redis.from_url(settings.REDIS_URL)
    channel = client.pubsub()
    channel.subscribe("link:wake")
    await in_db(sweeping.wake_owed)
    ours = {str(item).encode() for item in rig.clusters}  # the sweeper also wakes what other tests left owed
    assert await eventually(lambda: next((m for m in iter(channel.get_message, None) if m["data"] in ours), None))
    channel.close()
    client.close()


async def test_a_flushed_redis_loses_nothing(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    client = redis.Redis.from_url(settings.REDIS_URL)
    async with rig.client(identity) as link:
        made = await session(link)
        waiting = asyncio.create_task(poll(link, made.epoch, 1, wait_ms=3_000))
        await asyncio.sleep(0.2)
        client.flushdb()
        await send_command(cluster_id)
        client.flushdb()
        answer = await asyncio.wait_for(waiting, 10)
        assert len(answer.commands) == 1
        assert (await link.token("report")) is not None
    client.close()


async def test_a_newer_poll_takes_the_place_of_a_held_one(rig: Rig) -> None:
    _, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        older = asyncio.create_task(poll(link, made.epoch, 1, wait_ms=25_000))
        await asyncio.sleep(0.3)
        newer = asyncio.create_task(poll(link, made.epoch, 2, wait_ms=1_000))
        with pytest.raises(LinkError) as refused:
            await asyncio.wait_for(older, 10)
        assert refused.value.code == "superseded"
        assert await asyncio.wait_for(newer, 10) is None


MANY = 1000


async def test_a_thousand_held_polls_hold_no_connection(rig: Rig) -> None:
    """A thousand agents wait on one process: its few connections are all free, and all are answered when it ends."""
    ids = [uuid.uuid4() for _ in range(MANY)]
    await in_db(lambda: enrol_many(rig, ids))
    before = settings.LINK_URL
    server = await asyncio.to_thread(Server.start)
    desk = server.app.desk
    body = to_json(PollRequest(session="s", epoch=0, poll_seq=1, wait_ms=25_000))
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            tokens = [desk.tokens.make(name, rig.schema_name, 0, ("poll",), 0) for name in ids]
            polls = [asyncio.create_task(raw_poll(http, server.url, token, body)) for token in tokens]
            await eventually(lambda: len(desk.hub) == MANY, within_s=60)
            await eventually(lambda: idle(desk.pool.get_stats()), within_s=20)
            assert desk.pool.get_stats()["pool_size"] <= 10
            server.server.servers[0].get_loop().call_soon_threadsafe(server.app.drain)
            answers = await asyncio.gather(*polls)
        assert set(answers) == {204}
    finally:
        await asyncio.to_thread(server.stop)
        settings.LINK_URL = before


def idle(stats: dict[str, int]) -> bool:
    return stats.get("requests_waiting", 0) == 0 and stats["pool_available"] == stats["pool_size"]


def enrol_many(rig: Rig, ids: list[uuid.UUID]) -> None:
    rig.clusters.extend(ids)
    for name in ids:
        services.register_cluster(cluster_id=name, schema_name=rig.schema_name, name="many")
    execute("UPDATE public.link_cluster SET state = 'enrolled' WHERE id = ANY(%s)", [ids])


async def raw_poll(http: aiohttp.ClientSession, url: str, token: str, body: bytes) -> int:
    """Comes back when it is sent away because so many come at once."""
    headers = {"Authorization": f"Bearer {token}"}
    while True:
        async with http.post(f"{url}/agent/v1/poll", data=body, headers=headers) as answer:
            if answer.status != 503:
                return answer.status
        await asyncio.sleep(random.uniform(0.1, 1.0))


async def test_a_broken_connection_shows_within_seconds(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        waiting = asyncio.create_task(poll(link, made.epoch, 1, wait_ms=25_000))
        await asyncio.sleep(0.3)
        waiting.cancel()
    await eventually(
        lambda: rig.server.app.desk.hub.heard.get(str(cluster_id), _Never).dropped_at or dropped(cluster_id)
    )


class _Never:
    dropped_at = None


async def dropped(cluster_id: uuid.UUID) -> bool:
    rows = await in_db(lambda: query("SELECT dropped_at FROM public.link_liveness WHERE cluster_id = %s", [cluster_id]))
    return bool(rows and rows[0].dropped_at)


async def test_sigterm_answers_held_polls(rig: Rig) -> None:
    """A process of its own, since a signal goes to a process."""
    _, identity = await rig.enrolled()
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    name = await in_db(lambda: query("SELECT current_database() AS name")[0].name)
    database = settings.DATABASES["default"]
    where = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{name}"
    environment = {**os.environ, "RUNAI_LINK_URL": url, "RUNAI_DATABASE_URL": where}
    command = [sys.executable, "-m", "uvicorn", "link.asgi:app", "--port", str(port), "--log-level", "error"]
    process = subprocess.Popen(command, env=environment)
    try:
        async with LinkClient(url) as link:
            link.identity = identity
            await eventually(lambda: answers(url), within_s=30)
            made = await session(link, "i-term")
            request = PollRequest(session="s", epoch=made.epoch, poll_seq=1, wait_ms=25_000)
            waiting = asyncio.create_task(link.send("POST", "poll", to_json(request), timeout_s=40))
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            reply = await asyncio.wait_for(waiting, 10)
        assert (reply.status, reply.headers["runai-spread-ms"]) == (204, "5000")
        assert await asyncio.to_thread(process.wait, 15) in (0, -signal.SIGTERM)
    finally:
        process.kill()


async def answers(url: str) -> bool:
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(f"{url}/agent/v1/version")).status_code == 200
        except httpx.HTTPError:
            return False
