"""Runs this folder's service, and lets it go without a failed request.

Run in this folder: python serve.py --host 127.0.0.1 --port 8000

`GET /ready` says whether new work may come: 200, and 404 from SIGTERM on. DRAIN_S seconds long (0 without the
variable) all is served as before, so that a proxy which asks there sends its requests elsewhere (HAProxy:
`http-check disable-on-404`). Then running requests get time to end, and the process ends with 0. A second
signal ends the drain at once, a third one everything. SIGINT, as from a terminal, does not drain.

App and agent have the same module: each image is built from its own folder alone.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # In a container this is process 1, for which the kernel ignores a signal that nobody handles, and the
    # imports below take a while.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

import argparse
import asyncio
import math
import os
import time
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.responses import JSONResponse
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAIN = "DRAIN_S"
# Longer than callers keep an unused connection, so that it is they who close it: a request that meets the
# server's close on its way fails. httpx keeps them 5 s; a proxy in front has to close sooner than this, too.
KEEP_ALIVE_S = 75
# What running requests have to end, after the drain. The agent's answers get 8 s more; hosts kill after 30 s.
GRACE_S = 15
READY = JSONResponse({"status": "ready"})
DRAINING = JSONResponse({"status": "draining"}, 404)


class Ready:
    """Answers `/ready`, before anything else looks at the request: no secret, no database, no log line."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap a whole application."""
        self._app = app
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == "/ready":
            await (DRAINING if self.draining else READY)(scope, receive, send)
            return
        await self._app(scope, receive, _closing(send) if self.draining else send)


def _closing(send: Send) -> Send:
    """Let a client leave its connection with this answer, in place of finding it closed later."""

    async def last(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        await send(message)

    return last


class InOnePiece(HttpToolsProtocol):
    """Sends what is written at one moment, head and body of an answer, as one piece.

    A process that is killed between the two would leave half an answer, which no proxy can repeat.
    """

    def connection_made(self, transport: Any) -> None:
        """Take a connection."""
        super().connection_made(_Gathering(transport))  # type: ignore[arg-type]  # delegates the rest


class _Gathering:
    """A transport that sends at the end of the event loop's turn; all else is the real one's."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._parts:
            asyncio.get_running_loop().call_soon(self._send)
        self._parts.append(data)

    def _send(self) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Server(uvicorn.Server):
    """Drains before it shuts down."""

    def __init__(self, config: uvicorn.Config, ready: Ready, drain_s: float) -> None:
        """Take what answers `/ready`, and for how long it says 404 before the end."""
        super().__init__(config)
        self._ready = ready
        self._drain_s = drain_s
        self._end = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; unlike the base class, let none of them be the exit code."""
        del frame
        if sig == signal.SIGTERM and self._drain_s > 0 and self.started and not self._ready.draining:
            self._ready.draining = True
            self._end = time.monotonic() + self._drain_s
        elif self.should_exit:
            self.force_exit = True
        else:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Tell whether it is time to shut down."""
        self.should_exit = self.should_exit or time.monotonic() >= self._end
        return await super().on_tick(counter)


def drain_seconds() -> float:
    """Read DRAIN_S.

    Raises:
        SystemExit: it is no number of seconds.
    """
    text = os.environ.get(DRAIN) or "0"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SystemExit(f"{DRAIN}: expected seconds, 0 or more")
    return seconds


def serve(host: str, port: int) -> None:
    """Serve until a signal comes.

    Raises:
        SystemExit: the configuration is wrong, or the port is taken.
    """
    drain_s = drain_seconds()
    from main import app  # noqa: PLC0415 - reads the configuration, which is not for --help

    ready = Ready(app)
    config = uvicorn.Config(
        ready,
        http=InOnePiece,
        host=host,
        port=port,
        log_config=None,  # logs.configure has the last word
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    Server(config, ready, drain_s).run()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Serve until a signal comes.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, required=True, help="TCP port to listen at; 0: any free one")
    options = parser.parse_args(arguments)
    serve(options.host, options.port)


if __name__ == "__main__":
    main()
