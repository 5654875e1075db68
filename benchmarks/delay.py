"""A TCP proxy on loopback that makes a line long: what arrives goes on half a round trip later."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 1 << 16


@dataclass
class Line:
    """A line that is open.

    Attributes:
        port: where it begins.
        round_trips: how often a client has sent something after an answer, opening a connection left out.
    """

    port: int = 0
    round_trips: int = 0


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_s: float, seen: Callable[[], None]
) -> None:
    """Pass bytes on in order, each chunk `delay_s` after it came; chunks overlap, as on a line."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(_CHUNK):
            seen()
            loop.call_later(delay_s, _write, sink, chunk)
    loop.call_later(delay_s, sink.close)


def _write(sink: asyncio.StreamWriter, chunk: bytes) -> None:
    if not sink.is_closing():
        sink.write(chunk)


def _counters(line: Line) -> tuple[Callable[[], None], Callable[[], None]]:
    """Give what notes a chunk of the client and one of the server, for one connection."""
    waiting = False

    def asked() -> None:
        nonlocal waiting
        line.round_trips += not waiting
        waiting = True

    def answered() -> None:
        nonlocal waiting
        waiting = False

    return asked, answered


async def _serve(port: int, half_s: float, ready: queue.Queue[Line], stop: asyncio.Event) -> None:
    """Accept connections until told to stop, and end what is open then."""
    open_ones: set[asyncio.Task[None]] = set()
    line = Line()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        asked, answered = _counters(line)
        for pump in (_pump(reader, forth, half_s, asked), _pump(back, writer, half_s, answered)):
            open_ones.add(asyncio.create_task(pump))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    line.port = int(server.sockets[0].getsockname()[1])
    ready.put(line)
    await stop.wait()
    server.close()
    for task in open_ones:
        task.cancel()
    await asyncio.gather(*open_ones, return_exceptions=True)


@contextmanager
def far_away(port: int, round_trip_s: float) -> Iterator[Line]:
    """Give a line whose connections reach `port` with that round trip time; for the block."""
    ready: queue.Queue[Line] = queue.Queue()
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()
    serving = _serve(port, round_trip_s / 2, ready, stop)
    thread = threading.Thread(target=loop.run_until_complete, args=[serving], daemon=True)
    thread.start()
    try:
        yield ready.get(timeout=10)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
