"""Which secrets a workload holds, the proof of each, and the record of their use in the database."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from emulator.postgres import free_port
from engines.proofs import fingerprint
from tests.polling import until
from tests.workloads import programs
from tests.workloads.doubles import Gate
from tests.workloads.programs import AI_KEY, BILLING, MAIL_KEY, SESSION_KEY, SHARED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_product import Person, Product
    from tests.workloads.browser import Browse
    from tests.workloads.programs import Program, RunApp

NONCE = "nonce-12345678"


def proofs(values: dict[str, str]) -> dict[str, str]:
    """Give what a holder of the values answers to the nonce."""
    return {version: fingerprint(value, NONCE) for version, value in values.items()}


def fingerprints(program: Program, path: str, nonce: str = NONCE) -> dict[str, dict[str, str]]:
    """Read the proofs of every secret that a program holds; no value of one comes along."""
    response = program.get(path, params={"nonce": nonce})

    assert "CANARY" not in response.text
    return {name: one["fingerprint"] for name, one in response.json()["secrets"].items()}


def noted(product: Product, secret: str, version: int) -> list[str]:
    """Read which services used a version."""
    query = "select service from private.secret_use where secret = %s and version = %s order by 1"
    return [service for (service,) in product.owner(query, [secret, version])]


def call(agent: Program, version: str) -> int:
    """Call the agent with a version of the shared secret."""
    return agent.get("/probe", headers={"Authorization": f"Bearer {SHARED[version]}"}).status_code


class TestFingerprints:
    """What a nonce is answered with."""

    def test_the_agent_proves_each_of_its_secrets(self, ai_agent: Program, supabase_project: Any) -> None:
        """Accepted versions by their number, others as `current`."""
        assert fingerprints(ai_agent, "/health") == {
            "agent_shared_secret": proofs(SHARED),
            "database_password": proofs({"current": supabase_project.password}),
            "ai_api_key": proofs({"current": AI_KEY}),
        }

    @pytest.mark.usefixtures("outside")
    def test_the_app_proves_each_of_its_secrets(self, app: Program, supabase_project: Any) -> None:
        """The presented version, every accepted one, and `current` for the others."""
        assert fingerprints(app, "/api/health") == {
            "agent_shared_secret": proofs({"2": SHARED["2"]}),
            "session_key": proofs({"1": f"{SESSION_KEY}-old", "2": SESSION_KEY}),
            "billing_webhook_secret": proofs(BILLING),
            "mail_api_key": proofs({"current": MAIL_KEY}),
            "database_password": proofs({"current": supabase_project.password}),
        }

    @pytest.mark.usefixtures("outside")
    def test_without_a_nonce_there_is_no_proof(self, run_app: RunApp) -> None:
        """Versions are for everybody, and secrets that the stack has not are not named."""
        app = run_app(BILLING_WEBHOOK_SECRET="", MAIL_API_KEY="")
        found = app.get("/api/health").json()["secrets"]

        assert set(found) == {"agent_shared_secret", "session_key", "database_password"}
        assert set(found["session_key"]) == {"versions", "last_used_s"}
        assert found["session_key"]["versions"] == ["2", "1"]

    @pytest.mark.usefixtures("outside")
    def test_a_nonce_has_a_length(self, app: Program) -> None:
        """A short one, which others could have tried before, is refused."""
        assert app.get("/api/health?nonce=short").status_code == 422


class TestForgery:
    """A nonce is anybody's choice: its fingerprint is worth nothing where the same secret signs."""

    @pytest.mark.usefixtures("outside")
    def test_it_signs_no_session(self, app: Program, alice: Person) -> None:
        """Who asks with the beginning of a session gets no end that fits."""
        claims = {"jti": "x", "aud": "app-session", "exp": 4102444800, "sub": str(alice.id)}
        begun = jwt.encode(claims, "x" * 32, headers={"kid": "2"}).rpartition(".")[0]
        proof = fingerprints(app, "/api/health", begun)["session_key"]["2"]
        signed = base64.urlsafe_b64encode(bytes.fromhex(proof)).decode().rstrip("=")

        assert app.get("/export.zip", cookies={"session": f"{begun}.{signed}"}).status_code == 401

    @pytest.mark.usefixtures("outside")
    def test_it_signs_no_delivery(self, app: Program) -> None:
        """Nor does who asks with an event become the billing provider."""
        event = '{"meta": {"event_name": "order_created"}}'
        proof = fingerprints(app, "/api/health", event)["billing_webhook_secret"]["2"]
        response = app.post("/webhooks/billing", content=event, headers={"X-Signature": proof})

        assert response.status_code == 401


class TestUse:
    """What is remembered of a use."""

    def test_a_process_tells_how_long_ago_each_version_was_used(
        self, agent_environment: dict[str, str], tmp_path: Path
    ) -> None:
        """Seconds for the version that a caller had, null for the other."""
        with programs.running("agent", agent_environment, tmp_path / "log") as agent:
            call(agent, "1")
            found = agent.get("/health").json()["secrets"]

        assert found["agent_shared_secret"]["last_used_s"]["1"] >= 0
        assert found["agent_shared_secret"]["last_used_s"]["2"] is None
        assert found["database_password"]["last_used_s"]["current"] >= 0

    def test_every_replica_notes_in_the_database(
        self, agent: Program, agent_environment: dict[str, str], product: Product, tmp_path: Path
    ) -> None:
        """Two of them share one row for a version; what nobody used has none."""
        with programs.running("agent", agent_environment, tmp_path / "log") as other:
            call(agent, "1")
            call(other, "1")
            until(lambda: noted(product, "agent_shared_secret", 1))

        assert noted(product, "agent_shared_secret", 1) == ["agent"]

    def test_a_use_before_the_end_is_noted(
        self, agent_environment: dict[str, str], product: Product, tmp_path: Path
    ) -> None:
        """What a process has not written when it stops, it writes then."""
        secret = json.dumps({"11": SHARED["1"], "12": SHARED["2"]})
        environment = agent_environment | {"AGENT_SHARED_SECRET": secret}
        with programs.running("agent", environment, tmp_path / "log") as agent:
            call(agent, "1")
            until(lambda: noted(product, "agent_shared_secret", 11))
            call(agent, "2")

        assert noted(product, "agent_shared_secret", 12) == ["agent"]

    def test_both_sides_of_a_call_are_noted(self, app: Program, product: Product) -> None:
        """The app presents, the agent accepts."""
        app.get("/api/probe")

        assert until(lambda: noted(product, "agent_shared_secret", 2) == ["agent", "app"])

    def test_the_session_keys_version_in_use_is_noted(
        self, app: Program, browse: Browse, product: Product
    ) -> None:
        """A page signs with it."""
        browse(app).client.get("/")

        assert until(lambda: noted(product, "session_key", 2) == ["app"])

    @pytest.mark.usefixtures("outside")
    def test_without_its_database_requests_go_on(
        self, run_app: RunApp, app_environment: dict[str, str], supabase_project: Any, product: Product
    ) -> None:
        """The page comes, one line says that uses are not noted, and they are once the database is back."""
        gate = Gate(free_port(), supabase_project.port)
        url = app_environment["DATABASE_URL"].replace(f":{supabase_project.port}/", f":{gate.port}/")
        keys = json.dumps({"use": "21", "values": {"21": SESSION_KEY}})
        app = run_app(DATABASE_URL=url, SESSION_KEY=keys)
        pages = [app.get("/").status_code for _ in range(3)]
        lines = until(lambda: [line for line in app.lines() if line["logger"] == "uses"])
        gate.open()
        until(lambda: noted(product, "session_key", 21))
        gate.shut()

        assert pages == [200] * 3
        assert (len(lines), lines[0]["error"]) == (1, "store.StoreUnavailableError")

    def test_no_secret_is_in_the_record(self, app: Program, product: Product) -> None:
        """Names, versions and times are all that is written."""
        app.get("/api/probe")
        until(lambda: noted(product, "agent_shared_secret", 2))

        assert "CANARY" not in json.dumps(product.owner("select * from private.secret_use"), default=str)
