"""The agent's health, who may call it, and its jobs: over HTTP, on the product's real schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from emulator.postgres import free_port
from engines.proofs import fingerprint
from tests.polling import until
from tests.workloads import programs
from tests.workloads.asking import NEW, ask
from tests.workloads.doubles import Answer, Gate
from tests.workloads.programs import AI_KEY, SHARED, Program

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.fix_product import Person, Product
    from tests.workloads.doubles import FakeService


class TestHealth:
    """GET /health."""

    def test_a_working_agent_is_healthy(self, agent: Program) -> None:
        """Every check passes with its latency, and the document says which code and stack it is."""
        response = agent.get("/health")
        document = response.json()

        assert (response.status_code, document["status"]) == (200, "healthy")
        assert {name: check["ok"] for name, check in document["checks"].items()} == {
            "database": True,
            "ai": True,
        }
        assert all(check["latency_ms"] >= 0 for check in document["checks"].values())
        assert (document["version"], document["environment"]) == ("v-agent", "test")
        assert document["timestamp"].endswith("+00:00")

    def test_a_nonce_is_answered_with_fingerprints(self, agent: Program) -> None:
        """Each accepted version is proved by its HMAC of the nonce, and no value is shown."""
        response = agent.get("/health?nonce=n-12345678")
        expected = {version: fingerprint(value, "n-12345678") for version, value in SHARED.items()}

        found = response.json()["secrets"]["agent_shared_secret"]
        assert (found["versions"], found["fingerprint"]) == (["2", "1"], expected)
        assert "CANARY" not in response.text

    def test_a_lost_database_makes_it_unhealthy_until_it_is_back(
        self, agent_environment: dict[str, str], supabase_project: Any, tmp_path: Path
    ) -> None:
        """The agent starts without its database, says so, finds it, and loses and finds it again."""
        gate = Gate(free_port(), supabase_project.port)
        url = agent_environment["DATABASE_URL"].replace(f":{supabase_project.port}/", f":{gate.port}/")
        with programs.running("agent", agent_environment | {"DATABASE_URL": url}, tmp_path / "log") as agent:
            before = agent.get("/health")
            gate.open()
            until(lambda: agent.get("/health").status_code == 200)
            gate.shut()
            after = agent.get("/health")
            gate.open()
            until(lambda: agent.get("/health").json()["status"] == "healthy")
            gate.shut()

        assert [before.status_code, after.status_code] == [503, 503]
        assert before.json()["status"] == after.json()["status"] == "unhealthy"
        assert "refused" in before.json()["checks"]["database"]["error"]
        assert supabase_project.password not in before.text + after.text

    @pytest.mark.parametrize(("status", "words"), [(401, "refuses the key"), (503, "failed (HTTP 503)")])
    def test_a_broken_ai_service_degrades(
        self, ai_agent: Program, outside: FakeService, status: int, words: str
    ) -> None:
        """The agent still works with its database, so it is degraded, and the check says what to look at."""
        outside.answers["/v1/models"] = Answer(status, [AI_KEY.encode()])
        response = ai_agent.get("/health")

        assert (response.status_code, response.json()["status"]) == (200, "degraded")
        assert words in response.json()["checks"]["ai"]["error"]
        assert AI_KEY not in response.text


class TestAccess:
    """Who may call."""

    @pytest.mark.parametrize("version", ["1", "2"])
    def test_both_versions_are_accepted_during_a_rotation(
        self, agent: Program, alice: Person, version: str
    ) -> None:
        """Old and new value work side by side, and the log shows which one a caller used."""
        body = {"organization_id": str(alice.organization), "user_id": str(alice.id), "message": "hi"}
        headers = {"Authorization": f"Bearer {SHARED[version]}"}
        response = agent.post("/reply", json=body, headers=headers)

        assert response.status_code == 200
        assert _logged(agent, response)["secret_version"] == version

    @pytest.mark.parametrize("path", ["/reply", "/jobs/run", "/jobs/purge"])
    @pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {SHARED['2']}", SHARED["2"], "Bearer"])
    def test_nobody_else_is_let_in(self, agent: Program, path: str, header: str | None) -> None:
        """Without an accepted version there is a 401, which comes before any look at the request."""
        response = agent.post(path, headers={"Authorization": header} if header else {})

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"

    def test_no_secret_reaches_the_log(
        self, agent_environment: dict[str, str], alice: Person, tmp_path: Path
    ) -> None:
        """Refusals, failures and successes leave no secret, no query string and no user's text in the log."""
        with programs.running("agent", agent_environment, tmp_path / "agent.log") as agent:
            ask(agent, alice, "CANARY-message")
            agent.post("/reply?token=CANARY-query", headers={"Authorization": "Bearer CANARY-wrong"})
            agent.post("/reply", content=b"{CANARY-broken", headers=NEW)
            agent.get("/health?nonce=CANARY-nonce")

        assert "CANARY" not in agent.log.read_text()
        assert {line["path"] for line in agent.lines() if line["event"] == "request"} >= {"/reply", "/health"}


def _logged(agent: Program, response: httpx.Response) -> dict[str, Any]:
    """Find the log line of a request."""
    number = response.headers["x-request-id"]
    until(lambda: number in agent.log.read_text())
    [line] = [line for line in agent.lines() if line.get("request_id") == number]
    return line


class TestJobs:
    """POST /jobs/run and /jobs/purge."""

    @pytest.fixture(autouse=True)
    def _empty_queue(self, product: Product) -> None:
        product.owner("delete from jobs")

    def test_a_reply_leads_to_a_summary(self, agent: Program, product: Product, alice: Person) -> None:
        """The job that a reply asked for is run once and leaves one summary, which its user can read."""
        ask(agent, alice, "Remember me")
        product.owner("update jobs set run_at = now()")
        first, second = (agent.post("/jobs/run", headers=NEW).json() for _ in range(2))

        assert (first["done"], second["done"]) == (1, 0)
        [(summary,)] = product.user(alice, "select summary from memory_summaries")
        assert "Remember me" in summary

    def test_a_batch_is_bounded(self, agent: Program, product: Product) -> None:
        """No more jobs are claimed than the caller asks for."""
        payload = json.dumps({"conversation_id": str(uuid4()), "user_id": str(uuid4())})
        for _ in range(3):
            product.agent("select enqueue_job('summarize_conversation', %s)", [payload])
        counts = agent.post("/jobs/run", json={"limit": 2}, headers=NEW).json()

        assert counts == {"done": 2, "queued": 0, "failed": 0, "lost": 0}
        assert product.owner("select count(*) from jobs where status = 'queued'") == [(1,)]

    def test_a_failing_job_is_tried_again(self, agent: Program, product: Product) -> None:
        """It goes back into the queue with the reason, which quotes no data."""
        product.agent("select enqueue_job('summarize_conversation', '{\"user_id\": \"CANARY\"}')")
        counts = agent.post("/jobs/run", headers=NEW).json()

        assert counts["queued"] == 1
        assert product.owner("select status, last_error from jobs") == [("queued", "KeyError")]

    def test_old_jobs_are_purged(self, agent: Program, product: Product) -> None:
        """Finished ones beyond the schema's limit are deleted and counted."""
        product.agent("select enqueue_job('summarize_conversation')")
        product.owner("update jobs set status = 'failed', finished_at = now() - interval '1 year'")

        assert agent.post("/jobs/purge", headers=NEW).json() == {"purged": 1}
