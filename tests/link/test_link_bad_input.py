"""Bodies that are none: refused by name, alone, without harm to the others."""

from __future__ import annotations

import gzip

import httpx
import pytest

from agent.link.client import LinkError
from agent.wire.messages import (
    StateAnswer,
    StateDelta,
    StateItem,
)
from tests.link.linkrig import Rig
from tests.link.linktalk import item, session

pytestmark = [pytest.mark.services, pytest.mark.django_db]


BAD = [
    ("session", b"{", 422),
    ("session", b"[]", 422),
    ("session", b'{"instanceId": 5}', 422),
    ("session", b'{"instanceId": ""}', 422),
    ("poll", b'{"session": "s"}', 422),
    ("results", b'{"epoch": 1, "items": [{"id": "x", "state": "great"}]}', 422),
    ("state/delta", b'{"epoch": 1, "base": 0, "items": [{"seq": 1, "kind": "Pod", "uid": "", "op": "upsert"}]}', 422),
    ("events", b'{"epoch": 1, "items": [{"uid": "x"}]}', 422),
    ("logs/nonsense?offset=0", b"x", 404),
    ("logs/8d6ab5b5-2c22-4f63-a0ad-5aa1d7d0a5a0?offset=-1", b"x", 422),
    ("nowhere", b"{}", 404),
]


@pytest.mark.parametrize(("path", "body", "status"), BAD)
async def test_bad_requests_are_refused_by_name(rig: Rig, path: str, body: bytes, status: int) -> None:
    _, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        token = await link.token()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        answer = await http.post(f"{rig.server.url}/agent/v1/{path}", content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_gzip_bomb_is_refused(rig: Rig) -> None:
    _, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        token = await link.token()
    bomb = gzip.compress(b"0" * 50_000_000)
    headers = {"Authorization": f"Bearer {token}", "Content-Encoding": "gzip"}
    async with httpx.AsyncClient(headers=headers) as http:
        answer = await http.post(f"{rig.server.url}/agent/v1/session", content=bomb)
    assert (answer.status_code, answer.json()["permanent"]) == (413, True)


async def test_a_value_the_database_cannot_hold_fails_alone(rig: Rig) -> None:
    _, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        poison = StateItem(1, "Pod", "a", "upsert", "h", {"message": "\x00"})
        with pytest.raises(LinkError) as refused:
            await link.post("state/delta", StateDelta(made.epoch, 0, (poison,)), StateAnswer)
        assert refused.value.status == 422
        assert (await link.post("state/delta", StateDelta(made.epoch, 0, (item(1, "b"),)), StateAnswer)).committed == 1
