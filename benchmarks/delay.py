"""A TCP proxy on loopback that makes a line long: what arrives goes on half a round trip later."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 16


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_s: float) -> None:
    """Pass bytes on in order, each chunk `delay_s` after it came; chunks overlap, as on a line."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(_CHUNK):
            loop.call_later(delay_s, _write, sink, chunk)
    loop.call_later(delay_s, sink.close)


def _write(sink: asyncio.StreamWriter, chunk: bytes) -> None:
    if not sink.is_closing():
        sink.write(chunk)


async def _serve(port: int, half_s: float, ready: queue.Queue[int], stop: asyncio.Event) -> None:
    """Accept connections until told to stop, and end what is open then."""
    open_ones: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        for pump in (_pump(reader, forth, half_s), _pump(back, writer, half_s)):
            open_ones.add(asyncio.create_task(pump))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    ready.put(int(server.sockets[0].getsockname()[1]))
    await stop.wait()
    server.close()
    for task in open_ones:
        task.cancel()
    await asyncio.gather(*open_ones, return_exceptions=True)


@contextmanager
def far_away(port: int, round_trip_s: float) -> Iterator[int]:
    """Give a port whose connections reach `port` with that round trip time; for the block."""
    ready: queue.Queue[int] = queue.Queue()
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
