"""A running agent and a running app. The tests of a module share them; each has people of its own."""

from __future__ import annotations

import contextlib
import json
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.fix_product import Product
from tests.fix_supabase import GROUPS
from tests.workloads import doubles, programs
from tests.workloads.browser import Browse, Browser
from tests.workloads.programs import AI_KEY, BILLING, MAIL_KEY, SESSION_KEYS, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fix_product import Person
    from tests.fix_supabase import Project
    from tests.workloads.doubles import FakeService
    from tests.workloads.programs import Program, RunApp


@pytest.fixture(scope="module")
def product(supabase_project: Project) -> Iterator[Product]:
    """Give a database of the product to the module."""
    name = f"w_{secrets.token_hex(6)}"
    supabase_project.copy("product", name)
    yield Product(supabase_project.dsn(name), lambda group: supabase_project.dsn(name, GROUPS[group]))
    supabase_project.drop(name)


@pytest.fixture
def alice(product: Product) -> Person:
    """Sign up somebody who owns an organization with 100 credits."""
    return product.sign_up(f"alice-{secrets.token_hex(6)}@example.org")


@pytest.fixture
def mallory(product: Product) -> Person:
    """Sign up a stranger, with an organization of their own."""
    return product.sign_up(f"mallory-{secrets.token_hex(6)}@example.org")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the module's log files."""
    return tmp_path_factory.mktemp("workloads")


@pytest.fixture(scope="module")
def agent_environment(product: Product) -> dict[str, str]:
    """Give the agent's variables for the echo model, in the middle of a rotation."""
    return {
        "DATABASE_URL": product.runtime_dsn("agent_runtime"),
        "AGENT_SHARED_SECRET": json.dumps(SHARED),
        "ENVIRONMENT": "test",
        "SERVICE_VERSION": "v-agent",
    }


@pytest.fixture(scope="module")
def agent(agent_environment: dict[str, str], folder: Path) -> Iterator[Program]:
    """Run the agent with the echo model."""
    with programs.running("agent", agent_environment, folder / "agent.log") as program:
        yield program


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeService]:
    """Run a server that plays whatever is outside of the product."""
    with doubles.fake_service() as service:
        yield service


@pytest.fixture
def outside(fake: FakeService) -> FakeService:
    """Give the played outside, with auth and storage in order and nothing else set up."""
    fake.answers.clear()
    fake.requests.clear()
    fake.answers["/auth/v1/health"] = doubles.Answer(200, [b"{}"])
    fake.answers["/storage/v1/status"] = doubles.Answer(200, [b"{}"])
    return fake


@pytest.fixture(scope="module")
def ai_environment(agent_environment: dict[str, str], fake: FakeService) -> dict[str, str]:
    """Give the agent's variables for an OpenAI-compatible model that the test plays."""
    where = {"AI_PROVIDER": "openai", "AI_BASE_URL": f"{fake.url}/v1"}
    return agent_environment | where | {"AI_MODEL": "m-1", "AI_API_KEY": AI_KEY}


@pytest.fixture(scope="module")
def ai_agent(ai_environment: dict[str, str], folder: Path) -> Iterator[Program]:
    """Run the agent on the played model."""
    with programs.running("agent", ai_environment, folder / "ai-agent.log") as program:
        yield program


@pytest.fixture(scope="module")
def app_environment(product: Product, fake: FakeService) -> dict[str, str]:
    """Give the app's variables; an agent is not there."""
    product.owner("select set_demo_accounts(true)")
    return {
        "DATABASE_URL": product.runtime_dsn("app_runtime"),
        "AGENT_URL": "http://127.0.0.1:9",
        "AGENT_SHARED_SECRET": json.dumps({"2": SHARED["2"]}),
        "SUPABASE_URL": fake.url,
        "SUPABASE_ANON_KEY": "anon-key",
        "SESSION_KEY": SESSION_KEYS,
        "BILLING_WEBHOOK_SECRET": json.dumps(BILLING),
        "MAIL_API_KEY": MAIL_KEY,
        "DEMO_ACCOUNTS": "true",
        "ENVIRONMENT": "test",
        "SERVICE_VERSION": "v-app",
    }


@pytest.fixture(scope="module")
def app(app_environment: dict[str, str], agent: Program, folder: Path) -> Iterator[Program]:
    """Run the app with the agent."""
    environment = app_environment | {"AGENT_URL": agent.url}
    with programs.running("app", environment, folder / "app.log") as program:
        yield program


@pytest.fixture
def run_app(app_environment: dict[str, str], tmp_path: Path) -> Iterator[RunApp]:
    """Give a function that runs another app with changed variables until the end of the test."""
    with contextlib.ExitStack() as stack:

        def run(**changes: str) -> Program:
            context = programs.running("app", app_environment | changes, tmp_path / "app.log")
            return stack.enter_context(context)

        yield run


@pytest.fixture
def browse() -> Iterator[Browse]:
    """Give a function that opens a browser, which is closed after the test."""
    with contextlib.ExitStack() as stack:

        def open_browser(app: Program, person: Person | None = None) -> Browser:
            one = Browser(app, person)
            stack.enter_context(one.client)
            return one

        yield open_browser


@pytest.fixture
def browser(app: Program, browse: Browse) -> Browser:
    """Open a browser that nobody used before."""
    return browse(app)


@pytest.fixture
def signed_in(app: Program, alice: Person, browse: Browse) -> Browser:
    """Open a browser in which Alice is signed in."""
    return browse(app, alice)
