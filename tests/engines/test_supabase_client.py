"""The client against a real process of the stand-in; what it sends keeps to the published contract."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema
import psycopg
import pytest

from engines import supabase
from engines.supabase import CreateProject, ManagementClient, Timing
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_contract import Contract
    from tests.fix_emulator import Emulator, Project


class Recorder(httpx.BaseTransport):
    """Passes requests on to the network and remembers them."""

    def __init__(self) -> None:
        """Begin without requests."""
        self.network = httpx.HTTPTransport()
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Remember a request and send it."""
        self.requests.append(request)
        return self.network.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self.network.close()


def operation(contract: dict[str, Any], request: httpx.Request) -> dict[str, Any]:
    """Find what the contract says of a request; a path without placeholders comes first."""
    for template in sorted(contract["paths"], key=lambda path: path.count("{")):
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
        found = contract["paths"][template].get(request.method.lower())
        if found and re.fullmatch(pattern, request.url.path):
            return dict(found)
    raise AssertionError(f"the contract has no {request.method} {request.url.path}")


def check(contract: dict[str, Any], request: httpx.Request) -> None:
    """Hold one request against the contract: its query parameters and its body."""
    described = operation(contract, request)
    known = {parameter["name"] for parameter in described.get("parameters", []) if parameter["in"] == "query"}
    assert set(request.url.params) <= known
    body = described.get("requestBody")
    assert bool(body) == bool(request.content)
    if body:
        schema = {**body["content"]["application/json"]["schema"], "components": contract["components"]}
        jsonschema.validate(json.loads(request.content), schema)


@pytest.fixture
def recorder(contract: Contract) -> Iterator[Recorder]:
    """Record what a test sends, and hold it against the contract afterwards."""
    recorder = Recorder()
    yield recorder
    assert recorder.requests
    for request in recorder.requests:
        check(contract.document, request)


@pytest.fixture
def client(emulator: Emulator, recorder: Recorder) -> Iterator[ManagementClient]:
    """Give a client of the emulator."""
    with ManagementClient(emulator.api_url, emulator.token, transport=recorder) as client:
        yield client


def test_life_of_a_project(client: ManagementClient, emulator: Emulator) -> None:
    """A project is made, found, waited for, renamed, used and deleted."""
    password = secrets.token_urlsafe(12)
    slug = client.organizations.all()[0].slug
    lines: list[str] = []

    made = client.projects.create(CreateProject("life", slug, "eu-central-1", password))
    ready = client.projects.wait_until_healthy(made.ref, lines.append, 90)
    client.projects.rename(made.ref, "afterlife")
    found = client.projects.find("afterlife", slug)
    address = client.projects.session_pooler(made.ref)
    dsn = f"postgresql://postgres{address.user_suffix}:{password}@{address.host}:{address.port}/{address.database}"
    with psycopg.connect(dsn) as session:
        row = session.execute("select 1").fetchone()
    client.projects.delete(made.ref)

    assert (ready.status, ready.region) == ("ACTIVE_HEALTHY", "eu-central-1")
    assert lines
    assert found is not None
    assert found.ref == made.ref
    assert row == (1,)
    wait_until(lambda: emulator.status(made.ref) == "GONE", "the project to be deleted")
    client.projects.delete(made.ref)


def test_keys_open_the_services(client: ManagementClient, project: Project) -> None:
    """The keys and the URL that the client gives are those that the project's services take."""
    keys = client.keys.pairs(project.ref)
    url = supabase.project_url(client.projects.get(project.ref), str(project.emulator.api_url))

    answers = [
        httpx.get(f"{url}/rest/v1/", headers={"apikey": str(key)}, trust_env=False).status_code
        for key in (keys.anon, keys.service_role, keys.publishable, keys.secret, "wrong")
    ]

    assert answers == [200, 200, 200, 200, 401]


def test_services_of_a_ready_project_are_healthy(client: ManagementClient, project: Project) -> None:
    """Each service that the product needs is asked for and well."""
    found = {one.name: one.healthy for one in client.projects.health(project.ref)}

    assert found == dict.fromkeys(("auth", "db", "rest", "storage"), True)


def test_new_password_closes_the_old_one(client: ManagementClient, project: Project) -> None:
    """After the change the new password opens the database and the old one does not."""
    old, new = project.dsn, secrets.token_urlsafe(12)
    try:
        client.database.set_password(project.ref, new)
        psycopg.connect(project.login("postgres", new)).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(old)
    finally:
        client.database.set_password(project.ref, project.password)


def test_wrong_token_is_told(emulator: Emulator) -> None:
    """A wrong token names its setting and is not shown."""
    with (
        ManagementClient(emulator.api_url, "canary-token") as client,
        pytest.raises(supabase.AuthError, match=r"check `groundwork:supabase.access_token`") as caught,
    ):
        client.organizations.all()

    assert "canary" not in str(caught.value)


def test_unknown_project_is_told(client: ManagementClient) -> None:
    """A reference that is not there is named."""
    with pytest.raises(supabase.NotFoundError, match="reading the project zzzzzzzzzzzzzzzzzzzz failed"):
        client.projects.get("z" * 20)


def test_unreachable_service_is_told() -> None:
    """Nothing listens: the address and the setting are named."""
    timing = Timing(lambda _: None, lambda: 0.0, 5)
    with (
        ManagementClient("http://127.0.0.1:1", "some-token", timing=timing) as client,
        pytest.raises(supabase.UnavailableError, match=r"cannot reach http://127.0.0.1:1"),
    ):
        client.organizations.all()
