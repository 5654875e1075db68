"""The load that other tests and benchmarks put on the product must notice what it is there to notice."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from tests import load
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Sometimes(BaseHTTPRequestHandler):
    """Answers 200, and every tenth time 500."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append(1)
        self.send_response(200 if len(self.asked) % 10 else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """Run a server that fails now and then."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sometimes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_every_bad_answer_is_a_failure(address: str) -> None:
    """Each request is on record once, and what was not answered with 200 is named."""
    since = time.monotonic()
    with load.running(address, 100) as running:
        until(lambda: len(_Sometimes.asked) >= 50)
        running.stop()
        found = running.phase(since, time.monotonic())

    assert found.requests == len(_Sometimes.asked)
    assert len(found.failed) == found.requests // 10
    assert {shot.answer for shot in found.failed} == {"500"}
    assert found.p99 > 0


def test_a_server_that_is_away_is_a_failure() -> None:
    """Who cannot connect has no answer."""
    with load.running("http://127.0.0.1:1/", 50) as running:
        found = until(running.shots)

    assert {shot.answer for shot in found} == {"ClientConnectorError"}


def test_load_goes_to_this_machine_only() -> None:
    """Another machine is never a target."""
    with pytest.raises(AssertionError, match="this machine only"), load.running("http://example.com/", 1):
        pass
