"""The gate in an update: when it acts, what it stores, and what it lets pass."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from engines.release import ReleaseError
from providers.health import HealthGateProvider, release_id

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT: dict[str, Any] = {"checks": {"auth": {"ok": False, "error": "away"}}, "version": "v1"}


@pytest.fixture
def states() -> list[str]:
    """Give the state that both services report; a test puts another in its place."""
    return ["healthy"]


@pytest.fixture
def props(states: list[str]) -> Iterator[dict[str, Any]]:
    """Run app and agent in one server, and give the gate's inputs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path == "/api/probe" else 200)
            self.end_headers()
            self.wfile.write(json.dumps({**DOCUMENT, "status": states[-1]}).encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    what = {"app_release": "a1", "agent_release": "g1", "schema": "001", "secret_versions": {"s": 1}}
    how = {"timeout_s": 0, "window_s": 0.2, "max_error_rate": 0.01, "max_latency_s": 0, "min_requests": 0}
    where = {"app_url": url, "agent_url": url, "app_version": "v1", "agent_version": "v1"}
    ways = {"app_way_back": {}, "agent_way_back": {}, "allow_degraded": False, "accept": "", "log_urn": ""}
    yield {**what, **how, **where, **ways}
    server.shutdown()
    thread.join()
    server.server_close()


def _passed(olds: dict[str, Any], props: dict[str, Any]) -> dict[str, Any]:
    provider = HealthGateProvider()
    return dict((provider.update("health", olds, props) if olds else provider.create(props)).outs or {})


def _acts(olds: dict[str, Any], news: dict[str, Any]) -> bool:
    return bool(HealthGateProvider().diff("health", olds, news).changes)


def test_what_passed_is_stored_and_not_proved_again(props: dict[str, Any]) -> None:
    """Verdict, release and time are outputs; a second update and a refresh have nothing to do."""
    stored = _passed({}, props)

    assert (stored["status"], stored["verdict"]) == ("healthy", "pass")
    assert stored["release"] == release_id(props)
    assert not _acts(stored, props)
    assert HealthGateProvider().read("health", stored).outs == stored


@pytest.mark.parametrize("name", ["app_release", "agent_release", "app_version", "schema", "app_url"])
def test_another_release_is_put_to_the_proof(props: dict[str, Any], name: str) -> None:
    """Code, settings, secrets, schema or address: each makes the gate act."""
    stored = _passed({}, props)

    assert _acts(stored, {**props, name: "other"})


def test_another_manner_of_looking_proves_nothing_again(props: dict[str, Any]) -> None:
    """Limits count from the next release on; also those that a state older than them does not have."""
    stored = _passed({}, props)
    manners = {"timeout_s": 9, "window_s": 9, "max_latency_s": 1, "min_requests": 5, "accept": "r" + "0" * 12}
    del stored["max_error_rate"]

    assert not _acts(stored, {**props, **manners, "allow_degraded": True})


def test_a_release_keeps_the_time_when_it_passed_first(props: dict[str, Any]) -> None:
    """A new schema version is proved again and changes nothing of it; other services begin anew."""
    first = _passed({}, props)
    again = _passed(first, {**props, "schema": "002"})
    other = _passed(again, {**props, "app_release": "a2"})

    assert again["released_at"] == first["released_at"]
    assert again["checked_at"] > first["checked_at"]
    assert other["released_at"] > first["released_at"]


def test_the_shown_id_lets_this_release_pass(props: dict[str, Any], states: list[str]) -> None:
    """What nobody can tell fails the update with an id; that id lets it pass, and no later release."""
    states.append("degraded")
    with pytest.raises(ReleaseError, match=r"nobody can tell") as caught:
        _passed({}, props)
    shown = str(caught.value).rsplit(maxsplit=1)[-1]

    assert shown == release_id(props)
    assert _passed({}, {**props, "accept": shown})["verdict"] == "accepted"
    with pytest.raises(ReleaseError):
        _passed({}, {**props, "accept": shown, "app_release": "a2"})
