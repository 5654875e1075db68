"""A project whose cron jobs run, and somebody who is called."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from engines import cron

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Project


class Receiver:
    """An HTTP server that remembers what it got and answers as the path says: `/500` with 500."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.got: list[tuple[str, dict[str, str], Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(int(self.path.strip("/")))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.02])
        self.thread.start()

    def url(self, status: int) -> str:
        """Give a URL that is answered with a status."""
        return f"http://127.0.0.1:{self.server.server_port}/{status}"

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def cron_dsn(project: Project) -> Iterator[str]:
    """Give the owner's DSN of a project whose jobs run, and remove our jobs afterwards."""
    yield project.dsn
    cron.prune(project.dsn, ())
