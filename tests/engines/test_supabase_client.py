"""The client against a real process of the stand-in; what it sends keeps to the published contract."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from engines import supabase
from engines.supabase import CreateProject, ManagementClient, Timing
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator, Project


def test_life_of_a_project(management_client: ManagementClient, emulator: Emulator) -> None:
    """A project is made, found, waited for, renamed, used and deleted."""
    password = secrets.token_urlsafe(12)
    slug = management_client.organizations.all()[0].slug
    lines: list[str] = []

    made = management_client.projects.create(CreateProject("life", slug, "eu-central-1", password))
    ready = management_client.projects.wait_until_healthy(made.ref, lines.append, 90)
    management_client.projects.rename(made.ref, "afterlife")
    found = management_client.projects.find("afterlife", slug)
    address = management_client.projects.session_pooler(made.ref)
    dsn = f"postgresql://postgres{address.user_suffix}:{password}@{address.host}:{address.port}/{address.database}"
    with psycopg.connect(dsn) as session:
        row = session.execute("select 1").fetchone()
    management_client.projects.delete(made.ref)

    assert (ready.status, ready.region) == ("ACTIVE_HEALTHY", "eu-central-1")
    assert lines
    assert found is not None
    assert found.ref == made.ref
    assert row == (1,)
    wait_until(lambda: emulator.status(made.ref) == "GONE", "the project to be deleted")
    management_client.projects.delete(made.ref)


def test_keys_open_the_services(management_client: ManagementClient, project: Project) -> None:
    """The keys and the URL that the client gives are those that the project's services take."""
    keys = management_client.keys.pairs(project.ref)
    url = supabase.project_url(management_client.projects.get(project.ref), str(project.emulator.api_url))

    answers = [
        httpx.get(f"{url}/rest/v1/", headers={"apikey": str(key)}, trust_env=False).status_code
        for key in (keys.anon, keys.service_role, keys.publishable, keys.secret, "wrong")
    ]

    assert answers == [200, 200, 200, 200, 401]


def test_services_of_a_ready_project_are_healthy(
    management_client: ManagementClient, project: Project
) -> None:
    """Each service that the product needs is asked for and well."""
    found = {one.name: one.healthy for one in management_client.projects.health(project.ref)}

    assert found == dict.fromkeys(("auth", "db", "rest", "storage"), True)


def test_new_password_closes_the_old_one(management_client: ManagementClient, project: Project) -> None:
    """After the change the new password opens the database and the old one does not."""
    old, new = project.dsn, secrets.token_urlsafe(12)
    try:
        management_client.database.set_password(project.ref, new)
        psycopg.connect(project.login("postgres", new)).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(old)
    finally:
        management_client.database.set_password(project.ref, project.password)


def test_wrong_token_is_told(emulator: Emulator) -> None:
    """A wrong token names its setting and is not shown."""
    with (
        ManagementClient(emulator.api_url, "canary-token") as client,
        pytest.raises(supabase.AuthError, match=r"check `groundwork:supabase.access_token`") as caught,
    ):
        client.organizations.all()

    assert "canary" not in str(caught.value)


def test_unknown_project_is_told(management_client: ManagementClient) -> None:
    """A reference that is not there is named."""
    with pytest.raises(supabase.NotFoundError, match="reading the project zzzzzzzzzzzzzzzzzzzz failed"):
        management_client.projects.get("z" * 20)


def test_unreachable_service_is_told() -> None:
    """Nothing listens: the address and the setting are named."""
    timing = Timing(lambda _: None, lambda: 0.0, 5)
    with (
        ManagementClient("http://127.0.0.1:1", "some-token", timing=timing) as client,
        pytest.raises(supabase.UnavailableError, match=r"cannot reach http://127.0.0.1:1"),
    ):
        client.organizations.all()
