"""The client's parts against a real process of the stand-in: what was written is read back."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import psycopg
import pytest

from engines import supabase
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    from engines.supabase import ManagementClient
    from tests.fix_emulator import Project


def test_settings_are_changed_one_by_one(management_client: ManagementClient, project: Project) -> None:
    """A change leaves what it does not name as it was."""
    configuration = management_client.configuration
    before = configuration.read(project.ref, supabase.PostgrestSettings)

    changed = configuration.change(project.ref, supabase.PostgrestSettings.of({"max_rows": 77}))
    found = configuration.read(project.ref, supabase.PostgrestSettings)
    configuration.change(project.ref, supabase.PostgrestSettings.of({"max_rows": before.max_rows}))

    assert changed.max_rows == found.max_rows == 77
    assert {**found.values(), "max_rows": before.max_rows} == before.values()


def test_secret_setting_is_not_shown(management_client: ManagementClient, project: Project) -> None:
    """What the service shows of a secret setting is not the secret, and changes when the secret does."""
    configuration = management_client.configuration
    shown = [
        configuration.change(project.ref, supabase.AuthSettings.of({"smtp_pass": value})).smtp_pass
        for value in ("canary-one", "canary-two")
    ]
    configuration.change(project.ref, supabase.AuthSettings.of({"smtp_pass": None}))

    assert "canary" not in str(shown)
    assert len(set(shown)) == 2


def test_pooler_settings_are_the_primary_s(management_client: ManagementClient, project: Project) -> None:
    """Of the list of addresses, the settings of the primary's are read and changed."""
    configuration = management_client.configuration
    before = configuration.read(project.ref, supabase.PoolerSettings)

    changed = configuration.change(project.ref, supabase.PoolerSettings.of({"default_pool_size": 21}))
    configuration.change(project.ref, before)

    assert before.values().keys() == {"default_pool_size", "pool_mode"}
    assert changed.default_pool_size == 21


def test_life_of_a_key(management_client: ManagementClient, project: Project) -> None:
    """A key is made, found in plain, renamed and deleted; what is gone is no error."""
    keys = management_client.keys
    made = keys.create(project.ref, "secret", "for_jobs", "nightly")
    keys.change(project.ref, str(made.id), name="for_other_jobs")
    found = keys.find(project.ref, "secret", "for_other_jobs")
    keys.delete(project.ref, str(made.id), reason="test")
    keys.delete(project.ref, str(made.id))

    assert found is not None
    assert (found.id, found.api_key, found.description) == (made.id, made.api_key, "nightly")
    assert str(made.api_key).startswith("sb_secret_")
    assert str(made.api_key) not in repr(made)
    assert keys.find(project.ref, "secret", "for_other_jobs") is None


def test_legacy_keys_are_switched(management_client: ManagementClient, project: Project) -> None:
    """The pair of JSON Web Tokens is refused and accepted again."""
    management_client.keys.enable_legacy(project.ref, enabled=False)
    off = management_client.keys.legacy_enabled(project.ref)
    management_client.keys.enable_legacy(project.ref, enabled=True)

    assert off is False
    assert management_client.keys.legacy_enabled(project.ref) is True


def test_function_secrets_are_digests(management_client: ManagementClient, project: Project) -> None:
    """Secrets are set, shown as digests that follow the value, and removed by name."""
    part = management_client.function_secrets
    part.put(project.ref, {"MAIL_KEY": "canary-1", "OTHER": "canary-2"})
    first = part.digests(project.ref)
    part.put(project.ref, {"MAIL_KEY": "canary-3"})
    second = part.digests(project.ref)
    part.delete(project.ref, ["MAIL_KEY", "OTHER", "NEVER_THERE"])

    assert "canary" not in str(first)
    assert first["OTHER"] == second["OTHER"]
    assert first["MAIL_KEY"] != second["MAIL_KEY"]
    assert not {"MAIL_KEY", "OTHER"} & part.digests(project.ref).keys()


def test_sql_gives_rows(management_client: ManagementClient, project: Project) -> None:
    """SQL answers its rows, and PostgreSQL's own words when it is wrong."""
    database = management_client.database

    assert database.query(project.ref, "select 1 as one, null as none") == [{"one": 1, "none": None}]
    assert database.read_only_query(project.ref, "select 2 as two") == [{"two": 2}]
    with pytest.raises(supabase.RejectedError, match='relation "nowhere" does not exist'):
        database.query(project.ref, "select * from nowhere")
    with pytest.raises(supabase.SupabaseError, match="read-only transaction"):
        database.read_only_query(project.ref, "create table public.never (id int)")


@pytest.mark.parametrize("read_only", [True, False])
def test_temporary_login_opens_the_database(
    management_client: ManagementClient, project: Project, *, read_only: bool
) -> None:
    """A temporary login opens the database, and writes only when that was asked for."""
    login = management_client.database.temporary_login(project.ref, read_only=read_only)
    table = f"t_{secrets.token_hex(4)}"

    with psycopg.connect(project.login(login.role, login.password), autocommit=True) as session:
        session.execute("select 1")
        if read_only:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                session.execute(f"create table public.{table} (id int)")

    assert login.ttl_seconds > 0
    assert login.password not in repr(login)


def test_project_sleeps_and_wakes(management_client: ManagementClient, project: Project) -> None:
    """A project is paused and restored; to ask for what it is already is no error."""
    other = project.emulator.create("sleeper")
    projects = management_client.projects
    lines: list[str] = []
    projects.restore(other.ref)
    projects.pause(other.ref)
    projects.wait_until_paused(other.ref, lines.append, 90)
    projects.pause(other.ref)
    projects.restore(other.ref)
    awake = projects.wait_until_healthy(other.ref, lines.append, 90)
    projects.delete(other.ref)

    assert awake.status == "ACTIVE_HEALTHY"
    wait_until(lambda: project.emulator.status(other.ref) == "GONE", "the project to be deleted")


def test_organization_is_read(management_client: ManagementClient) -> None:
    """The plan and the regions of the organization are told."""
    slug = management_client.organizations.all()[0].slug

    assert management_client.organizations.get(slug).plan == "pro"
    assert "eu-central-1" in {one.code for one in management_client.organizations.regions(slug)}


def test_parts_are_read_together(management_client: ManagementClient, project: Project) -> None:
    """What the service has is read in one go; what it does not know is an error of that part alone."""
    found = supabase.read_project(management_client, project.ref)

    assert found["project"] == management_client.projects.get(project.ref)
    assert found["auth"] == management_client.configuration.read(project.ref, supabase.AuthSettings)
    assert found.keys() == supabase.PARTS.keys()
    assert all(
        isinstance(value, supabase.NotFoundError)
        for value in found.values()
        if isinstance(value, supabase.SupabaseError)
    )
