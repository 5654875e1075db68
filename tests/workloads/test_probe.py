"""One request through everything, and the numbers by which a release is judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from emulator.postgres import free_port
from tests.workloads import programs
from tests.workloads.asking import NEW
from tests.workloads.doubles import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_product import Product
    from tests.workloads.doubles import FakeService
    from tests.workloads.programs import Program, RunApp

BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
NOWHERE = {"DATABASE_URL": "postgresql://u:CANARY@127.0.0.1:9/d"}


class TestProbe:
    """GET /api/probe of the app, GET /probe of the agent."""

    def test_a_complete_stack_answers(self, app: Program) -> None:
        """The answer names the code on both sides."""
        response = app.get("/api/probe")

        assert response.status_code == 200
        assert response.json() == {"status": "ok", "version": "v-app", "agent_version": "v-agent"}

    def test_the_agent_asks_for_the_secret(self, agent: Program) -> None:
        """The agent's part is for callers with the secret."""
        assert agent.get("/probe").status_code == 401
        assert agent.get("/probe", headers=NEW).json() == {"status": "ok", "version": "v-agent"}

    def test_a_lost_agent_is_named(self, run_app: RunApp) -> None:
        """503: nobody answers at the agent's address."""
        response = run_app(AGENT_URL=f"http://127.0.0.1:{free_port()}").get("/api/probe")

        assert (response.status_code, response.json()["status"]) == (503, "failed")
        assert "the agent does not answer" in response.json()["error"]

    def test_a_refused_secret_is_named(self, run_app: RunApp, agent: Program) -> None:
        """502: the two do not agree on the secret; the answer has no value of it."""
        secret = json.dumps({"2": "CANARY-other"})
        response = run_app(AGENT_URL=agent.url, AGENT_SHARED_SECRET=secret).get("/api/probe")

        assert response.status_code == 502
        assert "accepted version of the shared secret" in response.json()["error"]
        assert "CANARY" not in response.text

    def test_an_agent_without_its_database_is_named(
        self, run_app: RunApp, agent_environment: dict[str, str], tmp_path: Path
    ) -> None:
        """503: the agent is there, and what it says of its database is passed on."""
        with programs.running("agent", agent_environment | NOWHERE, tmp_path / "agent.log") as agent:
            response = run_app(AGENT_URL=agent.url).get("/api/probe")

        assert response.status_code == 503
        assert "the agent: no session with the database" in response.json()["error"]
        assert "CANARY" not in response.text

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
    def test_something_else_at_the_agents_address(
        self, run_app: RunApp, outside: FakeService, body: bytes
    ) -> None:
        """502: an answer that no agent gives."""
        outside.answers["/probe"] = Answer(200, [body])
        response = run_app(AGENT_URL=outside.url).get("/api/probe")

        assert (response.status_code, "is no agent" in response.json()["error"]) == (502, True)

    @pytest.mark.parametrize(("drops", "status"), [(1, 200), (2, 503)])
    def test_a_connection_that_ends_is_tried_once_more(
        self, run_app: RunApp, outside: FakeService, drops: int, status: int
    ) -> None:
        """An agent that stops may close a connection under a request; the next one gets it, once."""
        outside.answers["/probe"] = Answer(200, [b'{"version": "v"}'], drops=drops)
        response = run_app(AGENT_URL=outside.url).get("/api/probe")

        assert response.status_code == status
        assert [path for path, _, _ in outside.requests] == ["/probe"] * 2

    def test_sessions_that_ended_are_replaced(self, app: Program, product: Product) -> None:
        """The database ends every session of the services, and the next request is served."""
        app.get("/api/probe")
        ended = product.owner(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where application_name in ('app', 'agent') and datname = current_database()"
        )

        assert (True,) in ended
        assert app.get("/api/probe").status_code == 200
        assert app.get("/api/health").json()["checks"]["database"]["ok"]


class TestTraffic:
    """What health says of the requests so far."""

    def test_requests_errors_and_times_are_counted(
        self, agent_environment: dict[str, str], tmp_path: Path
    ) -> None:
        """Each request counts once, 5xx as an error too; the questions after health count nothing."""
        with programs.running("agent", agent_environment | NOWHERE, tmp_path / "agent.log") as agent:
            agent.get("/health")
            refused, failed = agent.get("/probe"), agent.get("/probe", headers=NEW)
            traffic = agent.get("/health").json()["traffic"]

        assert (refused.status_code, failed.status_code) == (401, 503)
        assert (traffic["requests"], traffic["errors"]) == (2, 1)
        assert traffic["seconds"]["le"] == BOUNDS
        # The refusal is quick; the other waited 2.5 s for a session.
        assert _at(traffic, 1) == 1
        assert _at(traffic, 10) == 2

    @pytest.mark.usefixtures("outside")
    def test_the_app_counts_alike(self, run_app: RunApp) -> None:
        """Pages count, health does not; nothing has failed."""
        app = run_app()
        app.get("/")
        first, second = (app.get("/api/health").json() for _ in range(2))

        assert (first["traffic"]["requests"], first["traffic"]["errors"]) == (1, 0)
        assert second["traffic"] == first["traffic"]

    def test_a_broken_request_is_an_error(self, run_app: RunApp, outside: FakeService) -> None:
        """What the app answers with 503 counts as failed."""
        app = run_app(AGENT_URL=outside.url)
        app.get("/api/probe")

        assert app.get("/api/health").json()["traffic"]["errors"] == 1

    @pytest.mark.usefixtures("outside")
    def test_a_process_has_a_name(self, app: Program, run_app: RunApp) -> None:
        """Numbers of two reads belong together when instance and start are the same."""
        first, second = (app.get("/api/health").json() for _ in range(2))
        other = run_app().get("/api/health").json()

        assert first["instance"] == second["instance"] != other["instance"]
        assert first["started_at"] == second["started_at"] < other["started_at"]


def _at(traffic: dict[str, Any], seconds: float) -> int:
    """Give how many requests took no longer."""
    return int(traffic["seconds"]["counts"][BOUNDS.index(seconds)])
