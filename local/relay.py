"""``python -m local.relay LISTEN_HOST PORT TO_HOST TO_PORT``: hand TCP connections on, as a load balancer would.

The link listens on loopback only; a cluster in its own network namespace reaches the host's end of its veth pair and
nothing else. TLS goes through untouched: the link's certificate holds that address.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

CHUNK = 65536


async def relay(listen: tuple[str, int], to: tuple[str, int]) -> None:
    """Until SIGTERM or SIGINT. Connections still open then are cut."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        for each in (writer, far_writer):
            each.close()

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await asyncio.start_server(serve, *listen)
    await stop.wait()
    server.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(CHUNK):
            sink.write(chunk)
            await sink.drain()
    with contextlib.suppress(OSError, RuntimeError):
        sink.write_eof()  # the other direction may still have something to say


def main(arguments: list[str]) -> int:
    if len(arguments) != 4:
        print("usage: python -m local.relay LISTEN_HOST PORT TO_HOST TO_PORT", file=sys.stderr)
        return 2
    asyncio.run(relay((arguments[0], int(arguments[1])), (arguments[2], int(arguments[3]))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
