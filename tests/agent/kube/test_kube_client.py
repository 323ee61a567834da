"""The adapter against a small HTTP server: what is sent, what is repeated, what is raised."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from agent.kube import client as module
from agent.kube import errors
from agent.kube.auth import Credentials
from agent.kube.client import KubeClient
from agent.kube.resources import NODE, POD

Answer = Callable[[web.Request], web.StreamResponse] | web.StreamResponse


class Server:
    """Answers requests in the given order and remembers them; the last answer repeats."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, object, dict[str, str]]] = []
        self.seen: list[tuple[str, str, dict[str, str], bytes, str]] = []

    def say(self, status: int, body: object, **headers: str) -> None:
        self.answers.append((status, body, headers))

    async def handle(self, request: web.Request) -> web.Response:
        kind = request.headers.get("Content-Type", "")
        self.seen.append((request.method, request.path, dict(request.query), await request.read(), kind))
        status, body, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, body=raw, headers=headers)


@asynccontextmanager
async def talking(server: Server) -> AsyncIterator[KubeClient]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with KubeClient(Credentials(f"http://127.0.0.1:{port}", False, token="t")) as kube:
        yield kube
    await runner.cleanup()


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(module.random, "uniform", lambda low, high: 0.01 * low)


def page(*names: str, more: str = "") -> dict[str, object]:
    items = [{"metadata": {"name": name, "managedFields": [{}]}} for name in names]
    return {"metadata": {"resourceVersion": "7", "continue": more}, "items": items}


async def test_a_list_is_read_in_pages_and_trimmed():
    server = Server()
    server.say(200, page("a", more="next"))
    server.say(200, page("b"))
    async with talking(server) as kube:
        listing = await kube.list(NODE, labels="x=1")
    assert [obj["metadata"] for obj in listing.items] == [{"name": "a"}, {"name": "b"}]
    assert {obj["kind"] for obj in listing.items} == {"Node"}
    assert listing.resource_version == "7"
    assert server.seen[1][2] == {"limit": "500", "continue": "next", "labelSelector": "x=1"}


async def test_a_list_whose_token_ran_out_begins_again():
    server = Server()
    server.say(200, page("a", more="next"))
    server.say(410, {"reason": "Expired"})
    server.say(200, page("a"))
    async with talking(server) as kube:
        assert len((await kube.list(NODE)).items) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_get_is_repeated(status):
    server = Server()
    server.say(status, {})
    server.say(200, {"metadata": {"name": "a"}})
    async with talking(server) as kube:
        assert (await kube.get(NODE, "a"))["metadata"]["name"] == "a"


@pytest.mark.parametrize(("status", "tries"), [(429, 2), (500, 1), (503, 1)])
async def test_a_post_is_repeated_only_when_it_was_refused(status, tries):
    server = Server()
    server.say(status, {})
    server.say(201, {"metadata": {"name": "a"}})
    async with talking(server) as kube:
        with suppress(errors.ServerFailed):
            await kube.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}})
    assert len(server.seen) == tries


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {}, errors.NotFound),
        (409, {"reason": "Conflict"}, errors.Conflict),
        (409, {"reason": "AlreadyExists"}, errors.AlreadyExists),
        (403, {}, errors.Forbidden),
        (401, {}, errors.Unauthorized),
        (422, {"message": "spec.x is wrong"}, errors.Invalid),
        (410, {}, errors.Gone),
        (418, b"no json", errors.KubeError),
    ],
)
async def test_refusals_have_names(status, body, expected):
    server = Server()
    server.say(status, body)
    async with talking(server) as kube:
        with pytest.raises(expected) as caught:
            await kube.get(NODE, "a")
    assert caught.value.status == status


async def test_nobody_there(monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.3)
    async with KubeClient(Credentials("http://127.0.0.1:9", False)) as kube:
        with pytest.raises(errors.Unreachable):
            await asyncio.wait_for(kube.raw_get("/version"), 5)


async def test_a_watch_gives_events_and_raises_what_the_server_reports():
    lines = [
        {"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "8"}}},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}},
        {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}},
    ]
    server = Server()
    server.say(200, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    seen = []
    async with talking(server) as kube:
        with pytest.raises(errors.Gone):
            async for event in kube.watch(POD, resource_version="7", fields="spec.nodeName="):
                seen.append((event.type, event.object["metadata"]["resourceVersion"]))
    assert seen == [("ADDED", "8"), ("BOOKMARK", "9")]
    query = server.seen[0][2]
    assert (query["resourceVersion"], query["allowWatchBookmarks"]) == ("7", "true")
    assert query["fieldSelector"] == "spec.nodeName="


async def test_what_writes_send():
    server = Server()
    server.say(200, {"metadata": {"name": "p"}})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}}
    async with talking(server) as kube:
        await kube.apply(pod, manager="me")
        await kube.patch(POD, "p", "ns", body={"status": {}}, kind="strategic", subresource="status")
        await kube.delete(POD, "p", "ns", uid="u", grace_s=0)
        await kube.bind("ns", "p", "n1", uid="u", annotations={"a": "b"})
    applied, patched, deleted, bound = server.seen
    assert (applied[2], applied[4]) == (
        {"fieldManager": "me", "force": "true", "fieldValidation": "Ignore"},
        "application/apply-patch+yaml",
    )
    assert (patched[1], patched[4]) == (
        "/api/v1/namespaces/ns/pods/p/status",
        "application/strategic-merge-patch+json",
    )
    assert json.loads(deleted[3])["preconditions"] == {"uid": "u"}
    assert json.loads(deleted[3])["gracePeriodSeconds"] == 0
    binding = json.loads(bound[3])
    assert bound[1] == "/api/v1/namespaces/ns/pods/p/binding"
    assert (binding["target"]["name"], binding["metadata"]["uid"]) == ("n1", "u")
    assert binding["metadata"]["annotations"] == {"a": "b"}


async def test_a_log_comes_as_it_is():
    server = Server()
    server.say(200, b"one\ntwo\n")
    async with talking(server) as kube:
        chunks = [chunk async for chunk in kube.logs("ns", "p", container="c", tail_lines=5, timestamps=True)]
    assert b"".join(chunks) == b"one\ntwo\n"
    assert server.seen[0][2] == {"container": "c", "tailLines": "5", "timestamps": "true"}
