"""What services say of themselves is read as it is, and what is wrong has a name; with real HTTP services."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from engines import health, ports
from engines.health import Targets
from engines.release.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

WELL = {"status": "healthy", "checks": {"database": {"ok": True, "latency_ms": 1.5}}, "version": "v2"}
AUTH_GONE = {"ok": False, "latency_ms": 1, "error": "no answer within 4 s"}
WORSE = {**WELL, "status": "degraded", "checks": {"auth": AUTH_GONE}}
GONE = {**WELL, "status": "unhealthy", "checks": {"database": {"ok": False, "error": "refused"}}}


class Service:
    """Serves health documents in turn, the last one for ever; 503 for an unhealthy one."""

    def __init__(self) -> None:
        """Listen on a free port, and be well."""
        self.answers: dict[str, list[Any]] = {"/health": [WELL], "/api/health": [WELL]}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                queue = service.answers[self.path]
                document = queue.pop(0) if len(queue) > 1 else queue[0]
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(503 if b"unhealthy" in body else 200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.02])
        self.thread.start()

    def targets(self) -> Targets:
        """Give both services' address."""
        url = f"http://127.0.0.1:{self.server.server_port}"
        return Targets(app_url=url, agent_url=url, app_version="v2", agent_version="v2")

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    """Run app and agent in one server."""
    service = Service()
    yield service
    service.close()


def test_healthy_services_pass(service: Service) -> None:
    """Both well: the report has every check of both, by service."""
    found = health.check(service.targets())

    assert found.status == "healthy"
    assert [(one.name, one.ok, one.latency_ms) for one in found.checks] == [
        ("agent.database", True, 1.5),
        ("app.database", True, 1.5),
    ]
    assert found.timestamp.endswith("+00:00")


@pytest.mark.parametrize(
    ("path", "document", "status", "text"),
    [
        ("/api/health", WORSE, "degraded", "app.auth: no answer within 4 s"),
        ("/health", GONE, "unhealthy", "agent.database: refused"),
        ("/health", {**WELL, "version": "v1"}, "unhealthy", "agent.version: 'v1' runs, 'v2' was rolled out"),
        ("/api/health", {**WELL, "status": "odd"}, "unhealthy", "app.status: reports 'odd'"),
        ("/health", {**WELL, "status": "degraded"}, "degraded", "agent.status: reports 'degraded'"),
        ("/health", b"<html>", "unhealthy", "/health answers without a health document"),
        ("/health", [], "unhealthy", "/health answers without a health document"),
        ("/api/health", {}, "unhealthy", "/api/health answers without a health document"),
        (
            "/api/health",
            {**WELL, "checks": {"a": {"ok": False}}, "status": "degraded"},
            "degraded",
            "app.a: failed",
        ),
    ],
)
def test_failing_check_is_named(service: Service, path: str, document: Any, status: str, text: str) -> None:
    """Whatever is wrong is a check with a name and a reason, and decides the status."""
    service.answers[path] = [document]

    found = health.check(service.targets())

    assert found.status == status
    assert text in found.failures()


def test_unreachable_service_is_named() -> None:
    """Nothing listens: the URL is named."""
    url = f"http://127.0.0.1:{ports.free_port()}"

    found = health.check(Targets(app_url=url, agent_url=url))

    assert found.status == "unhealthy"
    assert f"app.answer: {url}/api/health cannot be reached" in found.failures()


def test_slow_service_is_named() -> None:
    """A request that gets no answer is a failing check, not an exception."""

    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)

    found = health.check(Targets("http://a", "http://b"), transport=httpx.MockTransport(slow))

    assert "agent.answer: http://b/health cannot be reached: timed out" in found.failures()


def test_what_a_document_says_beside_its_checks_is_read(service: Service) -> None:
    """Instance, age (by the service's own clock) and traffic are read; a document without them is as good."""
    seconds = {"le": [0.1, 1], "counts": [3, 4]}
    more = {
        "instance": "i1",
        "started_at": "2026-01-01T00:00:00+00:00",
        "timestamp": "2026-01-01T00:00:09Z",
        "traffic": {"requests": 5, "errors": 1, "seconds": seconds},
    }
    service.answers["/api/health"] = [{**WELL, **more}]

    agent, app = health.check(service.targets()).looks

    assert (app.instance, app.age_s, app.traffic) == ("i1", 9, Traffic(5, 1, (0.1, 1), (3, 4)))
    assert (agent.instance, agent.age_s, agent.traffic) == ("", None, None)


@pytest.mark.parametrize(
    "traffic",
    [
        None,
        [],
        {"requests": 1},
        {"requests": 1, "errors": 0, "seconds": {"le": [1, 2], "counts": [1]}},
        {"requests": 1, "errors": 0, "seconds": {"le": [2, 1], "counts": [1, 1]}},
        {"requests": "many", "errors": 0, "seconds": {"le": [], "counts": []}},
    ],
)
def test_counters_that_cannot_be_read_are_none(service: Service, traffic: Any) -> None:
    """A service with odd counters is judged without them."""
    service.answers["/health"] = [{**WELL, "traffic": traffic, "started_at": 5}]

    found = health.check(service.targets())

    assert found.status == "healthy"
    assert found.looks[0].traffic is None
