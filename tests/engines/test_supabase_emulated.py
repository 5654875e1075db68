"""The client's parts against a real process of the stand-in: what was written is read back."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from engines import postgres, supabase
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    from engines.supabase import ManagementClient
    from tests.fix_emulator import Emulator, Project


@pytest.fixture(scope="module")
def own_project(emulator: Emulator) -> Project:
    """Make a project that these tests may change."""
    return emulator.create("emulated")


def test_settings_are_changed_one_by_one(management_client: ManagementClient, own_project: Project) -> None:
    """A change leaves what it does not name as it was."""
    configuration = management_client.configuration
    before = configuration.read(own_project.ref, supabase.PostgrestSettings)

    changed = configuration.change(own_project.ref, supabase.PostgrestSettings.of({"max_rows": 77}))
    found = configuration.read(own_project.ref, supabase.PostgrestSettings)
    configuration.change(own_project.ref, supabase.PostgrestSettings.of({"max_rows": before.max_rows}))

    assert changed.max_rows == found.max_rows == 77
    assert {**found.values(), "max_rows": before.max_rows} == before.values()


def test_secret_setting_is_not_shown(management_client: ManagementClient, own_project: Project) -> None:
    """What the service shows of a secret setting is not the secret, and changes when the secret does."""
    configuration = management_client.configuration
    shown = [
        configuration.change(own_project.ref, supabase.AuthSettings.of({"smtp_pass": value})).smtp_pass
        for value in ("canary-one", "canary-two")
    ]
    configuration.change(own_project.ref, supabase.AuthSettings.of({"smtp_pass": None}))

    assert "canary" not in str(shown)
    assert len(set(shown)) == 2


def test_pooler_settings_are_the_primary_s(management_client: ManagementClient, own_project: Project) -> None:
    """Of the list of addresses, the settings of the primary's are read and changed."""
    configuration = management_client.configuration
    before = configuration.read(own_project.ref, supabase.PoolerSettings)

    changed = configuration.change(own_project.ref, supabase.PoolerSettings.of({"default_pool_size": 21}))
    configuration.change(own_project.ref, before)

    assert before.values().keys() == {"default_pool_size", "pool_mode"}
    assert changed.default_pool_size == 21


def test_life_of_a_key(management_client: ManagementClient, own_project: Project) -> None:
    """A key is made, found in plain, renamed and deleted; what is gone is no error."""
    keys = management_client.keys
    made = keys.create(own_project.ref, "secret", "for_jobs", "nightly")
    keys.change(own_project.ref, str(made.id), name="for_other_jobs")
    found = keys.find(own_project.ref, "secret", "for_other_jobs")
    keys.delete(own_project.ref, str(made.id), reason="test")
    keys.delete(own_project.ref, str(made.id))

    assert found is not None
    assert (found.id, found.api_key, found.description) == (made.id, made.api_key, "nightly")
    assert str(made.api_key).startswith("sb_secret_")
    assert str(made.api_key) not in repr(made)
    assert keys.find(own_project.ref, "secret", "for_other_jobs") is None


def test_legacy_keys_are_switched(management_client: ManagementClient, own_project: Project) -> None:
    """The pair of JSON Web Tokens is refused and accepted again."""
    management_client.keys.enable_legacy(own_project.ref, enabled=False)
    off = management_client.keys.legacy_enabled(own_project.ref)
    management_client.keys.enable_legacy(own_project.ref, enabled=True)

    assert off is False
    assert management_client.keys.legacy_enabled(own_project.ref) is True


def test_function_secrets_are_digests(management_client: ManagementClient, own_project: Project) -> None:
    """Secrets are set, shown as digests that follow the value, and removed by name."""
    part = management_client.function_secrets
    part.put(own_project.ref, {"MAIL_KEY": "canary-1", "OTHER": "canary-2"})
    first = part.digests(own_project.ref)
    part.put(own_project.ref, {"MAIL_KEY": "canary-3"})
    second = part.digests(own_project.ref)
    part.delete(own_project.ref, ["MAIL_KEY", "OTHER", "NEVER_THERE"])

    assert "canary" not in str(first)
    assert first["OTHER"] == second["OTHER"]
    assert first["MAIL_KEY"] != second["MAIL_KEY"]
    assert not {"MAIL_KEY", "OTHER"} & part.digests(own_project.ref).keys()


def test_sql_gives_rows(management_client: ManagementClient, own_project: Project) -> None:
    """SQL answers its rows, and PostgreSQL's own words when it is wrong."""
    database = management_client.database

    assert database.query(own_project.ref, "select 1 as one, null as none") == [{"one": 1, "none": None}]
    assert database.read_only_query(own_project.ref, "select 2 as two") == [{"two": 2}]
    with pytest.raises(supabase.RejectedError, match='relation "nowhere" does not exist'):
        database.query(own_project.ref, "select * from nowhere")
    with pytest.raises(supabase.SupabaseError, match="read-only transaction"):
        database.read_only_query(own_project.ref, "create table public.never (id int)")


@pytest.mark.parametrize("read_only", [True, False])
def test_temporary_login_opens_the_database(
    management_client: ManagementClient, own_project: Project, *, read_only: bool
) -> None:
    """A temporary login opens the database, and writes only when that was asked for."""
    login = management_client.database.temporary_login(own_project.ref, read_only=read_only)
    table = f"t_{secrets.token_hex(4)}"

    with postgres.connect(own_project.login(login.role, login.password)) as session:
        session.execute("select 1")
        if read_only:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                session.execute(f"create table public.{table} (id int)".encode())

    assert login.ttl_seconds > 0
    assert login.password not in repr(login)


def test_project_sleeps_and_wakes(management_client: ManagementClient, own_project: Project) -> None:
    """A project is paused and restored; to ask for what it is already is no error."""
    other = own_project.emulator.create("sleeper")
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
    wait_until(lambda: own_project.emulator.status(other.ref) == "GONE", "the project to be deleted")


def test_organization_is_read(management_client: ManagementClient) -> None:
    """The plan and the regions of the organization are told."""
    slug = management_client.organizations.all()[0].slug

    assert management_client.organizations.get(slug).plan == "pro"
    assert "eu-central-1" in {one.code for one in management_client.organizations.regions(slug)}


def test_parts_are_read_together(management_client: ManagementClient, own_project: Project) -> None:
    """Every part of a project is read in one go."""
    found = supabase.read_project(management_client, own_project.ref)

    assert found["project"] == management_client.projects.get(own_project.ref)
    assert found["auth"] == management_client.configuration.read(own_project.ref, supabase.AuthSettings)
    assert found.keys() == supabase.PARTS.keys()
    assert [name for name, value in found.items() if isinstance(value, supabase.SupabaseError)] == []


SETTINGS: dict[str, dict[str, Any]] = {
    "postgres": {"statement_timeout": "45s", "max_wal_senders": 12, "pg_net.batch_size": 7},
    "storage": {"fileSizeLimit": 1234, "features": {"imageTransformation": {"enabled": False}}},
    "realtime": {"max_concurrent_users": 345, "private_only": True},
    "ssl": {"database": True},
    "network": {"dbAllowedCidrs": ["203.0.113.0/24"]},
}


@pytest.mark.parametrize("section", SETTINGS)
def test_section_is_changed_and_read_back(
    section: str, management_client: ManagementClient, own_project: Project
) -> None:
    """What is set is there, what is not set is as it was, and it can be set back."""
    kind = supabase.SECTIONS[section]
    configuration = management_client.configuration
    before = configuration.read(own_project.ref, kind)
    wanted = kind.of(SETTINGS[section]).values()

    configuration.change(own_project.ref, kind.of(SETTINGS[section]))
    found = configuration.read(own_project.ref, kind).values()
    back = kind.of(
        {name: value for name, value in before.values().items() if name in kind.names() and value is not None}
    )
    restored = configuration.change(own_project.ref, back, drop=wanted.keys() - before.values().keys())

    assert {name: found[name] for name in wanted if name != "features"} == {
        name: value for name, value in wanted.items() if name != "features"
    }
    assert restored.values().keys() == before.values().keys()
    assert found.keys() - wanted.keys() == before.values().keys() - wanted.keys()


def test_life_of_a_signing_key(management_client: ManagementClient, own_project: Project) -> None:
    """A key is made in standby, used in the place of another, revoked and deleted."""
    keys, ref = management_client.signing_keys, own_project.ref
    first, second = keys.create(ref, "ES256"), keys.create(ref, "ES256")
    used = keys.change(ref, first.id, "in_use")
    keys.change(ref, second.id, "in_use")
    before = keys.get(ref, first.id)
    keys.change(ref, first.id, "revoked")
    keys.delete(ref, first.id)
    keys.delete(ref, first.id)

    assert (first.status, used.status, before.status) == ("standby", "in_use", "previously_used")
    assert first.public_jwk["crv"] == "P-256"
    assert [key.id for key in keys.all(ref)] == [second.id]
    assert keys.legacy(ref) is None


def test_issuer_is_added_and_removed(management_client: ManagementClient, own_project: Project) -> None:
    """An issuer is found by what it was made from."""
    part, source = management_client.third_parties, {"oidc_issuer_url": "https://issuer.test"}
    made = part.create(own_project.ref, source)
    found = part.find(own_project.ref, source)
    part.delete(own_project.ref, made.id)
    part.delete(own_project.ref, made.id)

    assert found == made
    assert part.find(own_project.ref, source) is None


def test_addons_are_bought_and_given_up(management_client: ManagementClient, own_project: Project) -> None:
    """An add-on takes the place of the one of its type."""
    addons = management_client.addons
    addons.apply(own_project.ref, "pitr", "pitr_7")
    addons.apply(own_project.ref, "pitr", "pitr_14")
    bought = [one.variant for one in addons.all(own_project.ref).selected if one.type == "pitr"]
    backups = management_client.backups.all(own_project.ref)
    addons.remove(own_project.ref, "pitr_14")
    addons.remove(own_project.ref, "pitr_14")

    assert bought == ["pitr_14"]
    assert backups.pitr_enabled
    assert not management_client.backups.all(own_project.ref).pitr_enabled


def test_function_is_deployed_and_given_back(
    management_client: ManagementClient, own_project: Project
) -> None:
    """A function's files come back as they were sent, binary ones too; each deployment has a version."""
    part = management_client.functions
    files = {
        "functions/a/index.ts": "export const ü = 1\r\n".encode(),
        "functions/a/data.bin": bytes(range(256)),
        "functions/a/größe €.txt": b"1",
    }
    first = part.deploy(own_project.ref, supabase.Bundle("a", "functions/a/index.ts", files))
    again = part.deploy(own_project.ref, supabase.Bundle("a", "functions/a/index.ts", files))
    back = part.files(own_project.ref, "a")
    listed = [one.slug for one in part.all(own_project.ref)]
    part.delete(own_project.ref, "a")
    part.delete(own_project.ref, "a")

    assert back == files
    assert (again.id, again.version, again.ezbr_sha256) == (first.id, first.version + 1, first.ezbr_sha256)
    assert "a" in listed
    with pytest.raises(supabase.NotFoundError):
        part.get(own_project.ref, "a")


def test_hostname_goes_its_way(management_client: ManagementClient, own_project: Project) -> None:
    """A name is claimed, verified, put into service and given up."""
    names = management_client.hostnames
    none = names.get(own_project.ref)
    management_client.addons.apply(own_project.ref, "custom_domain", "cd_default")
    claimed = names.claim(own_project.ref, "api.acme.test")
    with pytest.raises(supabase.UnavailableError, match="Delete the custom hostname"):
        names.claim(own_project.ref, "other.acme.test")
    verified, active = names.verify(own_project.ref), names.activate(own_project.ref)
    names.delete(own_project.ref)
    management_client.addons.remove(own_project.ref, "cd_default")

    assert none is None
    assert [one.name for one in claimed.records] == [
        "_cf-custom-hostname.api.acme.test",
        "_acme-challenge.api.acme.test",
    ]
    assert (claimed.status, verified.status, active.status) == (
        "2_initiated",
        "4_origin_setup_completed",
        "5_services_reconfigured",
    )
    assert names.get(own_project.ref) is None
