"""App and agent for the gate: two small HTTP servers that a test lets be well, slow, failing, or gone."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from engines import ports
from engines.health import Targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUNDS = [0.1, 1.0]


class Service:
    """One service.

    Attributes:
        version: what it reports.
        change: changes the document before each answer; called with it.
        requests, errors: what its counters gain with each look.
        slow: how many of the gained ones took longer than 0.1 s.
        crashes: it is another process at each look.
        probe: status of /api/probe; 404: it has none.
    """

    def __init__(self, port: int = 0) -> None:
        """Listen, and be well."""
        self.version, self.instance, self.probe = "v2", 1, 200
        self.requests, self.errors, self.slow, self.crashes = 10, 0, 0, False
        self.change: Callable[[dict[str, Any]], Any] = lambda _: None
        self._began, self._totals, self._lock = datetime.now(UTC), [0, 0, 0], threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_probe = self.path == "/api/probe"
                status, body = service.probed() if is_probe else (200, service.document())
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.02])
        self.thread.start()

    def restart(self) -> None:
        """Be a new process, which has counted nothing."""
        self.instance += 1
        self._began, self._totals = datetime.now(UTC), [0, 0, 0]

    def probed(self) -> tuple[int, dict[str, str]]:
        """Answer a probe."""
        return self.probe, {"error": "the agent answers 500"}

    def document(self) -> dict[str, Any]:
        """Count, and say how it is."""
        with self._lock:
            if self.crashes:
                self.restart()
            for place, gain in enumerate((self.requests, self.errors, self.slow)):
                self._totals[place] += gain
        requests, errors, slow = self._totals
        document = {
            "status": "healthy",
            "checks": {"database": {"ok": True, "latency_ms": 1}},
            "version": self.version,
            "instance": f"i{self.instance}",
            "started_at": self._began.isoformat(),
            "timestamp": datetime.now(UTC).isoformat(),
            "traffic": {
                "requests": requests,
                "errors": errors,
                "seconds": {"le": BOUNDS, "counts": [requests - slow, requests]},
            },
        }
        self.change(document)
        return document

    def age(self, **ago: float) -> None:
        """Have begun long ago."""
        self._began = datetime.now(UTC) - timedelta(**ago)

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def app() -> Iterator[Service]:
    """Run an app."""
    service = Service()
    yield service
    service.close()


@pytest.fixture
def agent() -> Iterator[Service]:
    """Run an agent."""
    service = Service()
    yield service
    service.close()


@pytest.fixture
def targets(app: Service, agent: Service) -> Targets:
    """Ask both for the version v2."""
    return Targets(app_url=app.url, agent_url=agent.url, app_version="v2", agent_version="v2")


@pytest.fixture
def nowhere() -> str:
    """Give a URL where nothing listens."""
    return f"http://127.0.0.1:{ports.free_port()}"
