"""HTTP/1.1 as an API server speaks it: answers whole however they are cut, connections kept, ends told apart."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from agent.kube.http import Answer, Broken, NotConnected, Pool, Reader

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"


def answer(body: bytes, *, chunks: int = 0, zipped: bool = False, interim: bool = False) -> bytes:
    raw = gzip.compress(body) if zipped else body
    head = (b"HTTP/1.1 100 Continue\r\n\r\n" if interim else b"") + OK
    head += b"Content-Encoding: gzip\r\n" if zipped else b""
    if not chunks:
        return head + b"Content-Length: %d\r\n\r\n" % len(raw) + raw
    parts = [raw[at : at + chunks] for at in range(0, len(raw), chunks)]
    coded = b"".join(b"%x;note=1\r\n%b\r\n" % (len(part), part) for part in parts)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\nX-Trailer: 1\r\n\r\n"


@given(
    bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    chunks=st.integers(0, 70),
    zipped=st.booleans(),
    interim=st.booleans(),
    cut=st.integers(1, 60),
)
def test_answers_are_whole_however_they_are_cut(bodies, chunks, zipped, interim, cut):
    reader = Reader()
    for body in bodies:
        raw, found = answer(body, chunks=chunks, zipped=zipped, interim=interim), []
        for at in range(0, len(raw), cut):
            assert not found
            got = reader.feed(raw[at : at + cut])
            found += [got] if got is not None else []
        assert [item.body for item in found] == [body]
        assert reader.fresh


def test_an_answer_without_a_length_ends_with_the_connection():
    reader = Reader()
    assert reader.feed(OK + b"\r\nab") is None
    got = reader.end()
    assert got is not None
    assert (got.status, got.body, reader.fresh) == (200, b"ab", False)


@pytest.mark.parametrize(
    "raw", [OK + b"Content-Length: 5\r\n\r\nab", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab"]
)
def test_an_answer_that_is_cut_off_is_none(raw):
    reader = Reader()
    assert reader.feed(OK + raw) is None
    assert reader.end() is None


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-x\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
        b"x" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(raw):
    with pytest.raises(ValueError):
        Reader().feed(raw)


@pytest.mark.parametrize(("status", "head"), [(204, b""), (304, b"Transfer-Encoding: chunked\r\n")])
def test_some_answers_have_no_body(status, head):
    got = Reader().feed(b"HTTP/1.1 %d x\r\n%b\r\n" % (status, head))
    assert got == Answer(status, {"transfer-encoding": "chunked"} if head else {}, b"")


@asynccontextmanager
async def serving(talk: Talk, *, limit: int = 8, timeout_s: float = 5.0) -> AsyncIterator[tuple[Pool, list[int]]]:
    """A pool to a server that ``talk``s on each connection; with the ports that connected."""
    peers: list[int] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[1])
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Pool(f"http://127.0.0.1:{port}/base", False, limit=limit, timeout_s=timeout_s) as pool:
        yield pool, peers
    server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = next((int(line.split(": ")[1]) for line in head.split("\r\n") if line.startswith("Content-Length")), 0)
        await reader.readexactly(size)
        writer.write(answer(head.split("\r\n")[0].encode()))


async def test_requests_after_each_other_share_a_connection():
    async with serving(echo) as (pool, peers):
        first = await pool.request("PATCH", "/a b", params={"x": "1&2"}, headers={"Content-Type": "t"}, body=b"{}")
        await pool.request("GET", "/c", headers={})
    assert first.body == b"PATCH /base/a%20b?x=1%262 HTTP/1.1"
    assert len(peers) == 1


async def test_no_more_connections_than_the_limit():
    async with serving(echo, limit=3) as (pool, peers):
        await asyncio.gather(*(pool.request("GET", f"/{n}", headers={}) for n in range(20)))
    assert len(peers) <= 3


async def test_a_request_that_is_cancelled_takes_its_answer_along():
    go = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await go.wait()
        writer.write(answer(b"late"))
        await echo(reader, writer)

    async with serving(late) as (pool, peers):
        first = asyncio.create_task(pool.request("GET", "/1", headers={}))
        while not peers:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        go.set()
        assert (await pool.request("GET", "/2", headers={})).body == b"late"  # of its own connection
        assert len(peers) == 2


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def test_an_end_without_an_answer_is_told_from_a_server_that_is_not_there():
    async with serving(hang_up) as (pool, _):
        with pytest.raises(Broken):
            await pool.request("GET", "/", headers={})
    with pytest.raises(NotConnected):
        await pool.request("GET", "/", headers={})


async def test_a_server_that_says_nothing_times_out():
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10_000)

    async with serving(silent, timeout_s=0.05) as (pool, _):
        with pytest.raises(TimeoutError):
            await pool.request("GET", "/", headers={})


async def test_a_connection_that_the_server_ends_is_not_used_again():
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n")

    async with serving(once) as (pool, peers):
        for _ in range(3):
            assert (await pool.request("GET", "/", headers={})).status == 200
    assert len(peers) == 3


def test_it_runs_on_the_loop_that_the_agent_uses():
    async def asking() -> bytes:
        async with serving(echo) as (pool, _):
            return (await pool.request("GET", "/x", headers={})).body

    assert uvloop.run(asking()) == b"GET /base/x HTTP/1.1"
