"""The app's health, headers, errors and log: on the product's real schema and with a real agent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from emulator.postgres import free_port
from tests.polling import until
from tests.workloads import programs
from tests.workloads.doubles import Answer, Gate
from tests.workloads.programs import SHARED, Program, RunApp

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_product import Person, Product
    from tests.workloads.browser import Browse, Browser
    from tests.workloads.doubles import FakeService


class TestHealth:
    """GET /api/health."""

    def test_a_complete_stack_is_healthy(self, app: Program, outside: FakeService) -> None:
        """All four checks pass, and auth and storage were asked with the public key."""
        response = app.get("/api/health")
        document = response.json()

        assert (response.status_code, document["status"]) == (200, "healthy")
        assert {name: check["ok"] for name, check in document["checks"].items()} == dict.fromkeys(
            ("database", "auth", "storage", "agent"), True
        )
        assert all(check["latency_ms"] >= 0 for check in document["checks"].values())
        assert (document["version"], document["environment"]) == ("v-app", "test")
        assert {headers["apikey"] for _, headers, _ in outside.requests} == {"anon-key"}

    @pytest.mark.parametrize(
        ("path", "check"), [("/auth/v1/health", "auth"), ("/storage/v1/status", "storage")]
    )
    def test_a_broken_project_service_degrades(
        self, app: Program, outside: FakeService, path: str, check: str
    ) -> None:
        """The page still works, so the answer is 200, and the check names path and status."""
        outside.answers[path] = Answer(503, [b"{}"])
        response = app.get("/api/health")

        assert (response.status_code, response.json()["status"]) == (200, "degraded")
        assert response.json()["checks"][check]["error"] == f"{path} answered with HTTP 503"

    @pytest.mark.usefixtures("outside")
    def test_a_lost_agent_degrades(self, run_app: RunApp) -> None:
        """Without the agent the app is degraded and says that it does not answer."""
        document = run_app(AGENT_URL=f"http://127.0.0.1:{free_port()}").get("/api/health").json()

        assert document["status"] == "degraded"
        assert "the agent does not answer" in document["checks"]["agent"]["error"]

    @pytest.mark.usefixtures("outside")
    @pytest.mark.parametrize("secret", [{"2": "CANARY-other"}, {"3": SHARED["2"]}])
    def test_another_secret_than_the_agents_is_found(
        self, run_app: RunApp, agent: Program, secret: dict[str, str]
    ) -> None:
        """A different value, or a version that the agent does not have, is named without any value."""
        app = run_app(AGENT_URL=agent.url, AGENT_SHARED_SECRET=json.dumps(secret))
        response = app.get("/api/health")

        assert response.json()["status"] == "degraded"
        assert f"does not hold version {next(iter(secret))}" in response.json()["checks"]["agent"]["error"]
        assert "CANARY" not in response.text

    @pytest.mark.usefixtures("outside")
    def test_a_lost_database_makes_it_unhealthy_until_it_is_back(
        self, run_app: RunApp, app_environment: dict[str, str], supabase_project: Any
    ) -> None:
        """The app starts without its database, shows visitors the page, and finds the database by itself."""
        gate = Gate(free_port(), supabase_project.port)
        url = app_environment["DATABASE_URL"].replace(f":{supabase_project.port}/", f":{gate.port}/")
        app = run_app(DATABASE_URL=url)
        before, page = app.get("/api/health"), app.get("/")
        gate.open()
        until(lambda: app.get("/api/health").status_code == 200)
        gate.shut()

        assert (before.status_code, before.json()["status"]) == (503, "unhealthy")
        assert "refused" in before.json()["checks"]["database"]["error"]
        assert supabase_project.password not in before.text
        assert page.status_code == 200


class TestProtection:
    """What every response says to the browser."""

    @pytest.mark.parametrize("path", ["/", "/api/health", "/static/style.css", "/no-such-page"])
    @pytest.mark.usefixtures("outside")
    def test_every_response_has_the_headers(self, app: Program, path: str) -> None:
        """Scripts and styles only from the app itself, no frames, TLS remembered, no type guessing."""
        headers = app.get(path).headers

        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["strict-transport-security"].startswith("max-age=")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"

    def test_the_page_obeys_its_own_policy(self, signed_in: Browser) -> None:
        """No inline script or style and nothing from elsewhere, and everything it names is there."""
        text = signed_in.client.get("/").text
        links = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)

        assert not re.search(r"<style|style=|<script>| on\w+=|https?://", text)
        assert {signed_in.client.get(link).status_code for link in links} == {200}
        assert len(links) == 3

    @pytest.mark.parametrize("headers", [{}, {"X-Forwarded-Proto": "https"}])
    def test_the_cookie_is_for_the_browser_alone(self, app: Program, headers: dict[str, str]) -> None:
        """No script and no other site gets it, and after TLS it travels by TLS only."""
        cookie = app.get("/", headers=headers).headers["set-cookie"]

        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert ("Secure" in cookie) == bool(headers)

    @pytest.mark.parametrize("path", ["/waitlist", "/demo", "/sign-out", "/ask"])
    @pytest.mark.parametrize("token", ["", "0" * 64, "ä"])
    def test_forms_of_other_sites_are_refused(self, browser: Browser, path: str, token: str) -> None:
        """Without this visitor's token nothing happens, and the page says what to do."""
        response = browser.submit(path, form_token=token)

        assert response.status_code == 403
        assert "reload the page" in response.text

    def test_a_forged_cookie_signs_nobody_in(self, app: Program, alice: Person) -> None:
        """A cookie that was signed with another key, or not at all, is a visitor's."""
        for key, algorithm in (("x" * 40, "HS256"), ("", "none")):
            claims = {"jti": "x", "aud": "app-session", "exp": 4102444800, "sub": str(alice.id)}
            forged = jwt.encode(claims, key, algorithm=algorithm)
            response = app.get("/export.zip", cookies={"session": forged})

            assert response.status_code == 401

    def test_a_huge_request_is_stopped(self, app: Program) -> None:
        """More than the limit is refused, with or without a length that was told before."""
        parts = (b"x" * 8192 for _ in range(20))
        told, untold = app.post("/waitlist", content=b"x" * 100_000), app.post("/waitlist", content=parts)

        assert (told.status_code, untold.status_code) == (413, 413)

    def test_an_unknown_page_is_a_page(self, browser: Browser) -> None:
        """404 comes in the product's own words for people, and as JSON for programs."""
        page = browser.client.get("/nowhere")
        data = browser.client.get("/nowhere", headers={"Accept": "application/json"})

        assert (page.status_code, data.status_code) == (404, 404)
        assert "There is no such page." in page.text
        assert data.json() == {"error": "There is no such page."}

    def test_an_unexpected_error_is_a_page_with_a_number(
        self, browse: Browse, run_app: RunApp, product: Product, alice: Person
    ) -> None:
        """500 shows nothing but a number, under which the log has the kind and place of the error."""
        app = run_app()
        product.owner("alter function user_organizations(uuid) rename to gone")
        try:
            response = browse(app, alice).client.get("/")
        finally:
            product.owner("alter function gone(uuid) rename to user_organizations")
        [error] = until(lambda: [line for line in app.lines() if line["level"] == "error"])

        assert response.status_code == 500
        assert error["request_id"] in response.text
        assert error["error"] == "psycopg.errors.UndefinedFunction"
        assert "user_organizations" not in response.text


class TestLog:
    """What is written down."""

    def test_no_secret_reaches_the_log(
        self,
        browse: Browse,
        app_environment: dict[str, str],
        agent: Program,
        alice: Person,
        tmp_path: Path,
    ) -> None:
        """Forms, refusals and cookies leave no secret, no query string and no user's text."""
        environment = app_environment | {"AGENT_URL": agent.url}
        with programs.running("app", environment, tmp_path / "app.log") as app:
            browser = browse(app, alice)
            browser.submit("/ask", message="CANARY-message")
            browser.submit("/waitlist", email="CANARY@example.org")
            browser.client.get("/?notice=CANARY-notice")
            cookie = browser.client.cookies["session"]
        text = app.log.read_text()

        assert "CANARY" not in text
        assert cookie not in text
        assert {line["path"] for line in app.lines() if line["event"] == "request"} >= {"/ask", "/waitlist"}
