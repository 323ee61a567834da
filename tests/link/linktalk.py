"""What tests say to the link, by the agent's own client."""

from __future__ import annotations

import json
import uuid

from agent.link.client import LinkClient
from agent.wire.codec import from_json, to_json
from agent.wire.messages import (
    PollAnswer,
    PollRequest,
    SessionAnswer,
    SessionRequest,
    StateItem,
)
from link import services
from tests.link.linkrig import in_db

POD = {"namespace": "runai-a", "name": "p"}


async def session(link: LinkClient, instance: str = "i-1") -> SessionAnswer:
    return await link.post("session", SessionRequest(instance), SessionAnswer)


async def poll(link: LinkClient, epoch: int, seq: int, *, wait_ms: int = 0, **more) -> PollAnswer | None:
    request = PollRequest(session="s", epoch=epoch, poll_seq=seq, wait_ms=wait_ms, **more)
    reply = await link.send("POST", "poll", to_json(request), timeout_s=40)
    return from_json(PollAnswer, reply.body) if reply.status == 200 else None


async def send_command(cluster_id: uuid.UUID, **more) -> uuid.UUID:
    options = {"kind": "pod.delete", "body": POD, "delivery": "at_most_once", **more}
    return await in_db(lambda: services.send_command(cluster_id=cluster_id, **options))


def load(body):
    return json.loads(body) if isinstance(body, str) else body


def item(seq: int, uid: str, op: str = "upsert", hash_: str = "h") -> StateItem:
    return StateItem(seq, "Pod", uid, op, hash_ if op == "upsert" else "", {"n": uid} if op == "upsert" else None)
