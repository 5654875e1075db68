"""What a stack keeps inside the database, made by temporary logins of a real stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from pulumi.output import Unknown

from engines import cron, postgres, vault
from providers import _cloud
from providers.database import LoginProvider, VaultSecretProvider
from providers.migrations import MigrationsProvider
from providers.schedule import CronJobProvider, CronRosterProvider
from tests.fix_management import PROJECT, REF, Service, answer
from tests.providers.fix_reach import reach

if TYPE_CHECKING:
    from pathlib import Path

    from pulumi.dynamic import CreateResult, UpdateResult

    from tests.fix_emulator import Project

pytestmark = pytest.mark.usefixtures("fresh_logins")
CANARY = "CANARY-vault-19"


def outs(result: CreateResult | UpdateResult) -> dict[str, Any]:
    """Give what a provider stored."""
    assert result.outs is not None
    return dict(result.outs)


def migrations(project: Project, folder: Path) -> dict[str, Any]:
    """Give the inputs of a folder of migrations."""
    fixed = {
        "disposable": True,
        "verify": True,
        "allow_out_of_order": False,
        "stack": "test",
        "layout": "auto",
    }
    where = {**reach(project), "folder": str(folder), "files": {}}
    return {**where, **fixed, "phase": "expand", "lock_wait_s": 5, "lock_timeout_s": 0.1}


def test_migrations_are_previewed_by_a_reader_and_applied_as_the_owner(
    reached_project: Project, tmp_path: Path
) -> None:
    """What is made belongs to `postgres`, and the history names `postgres` as its login."""
    provider = MigrationsProvider()
    (tmp_path / "001_a.sql").write_text(
        "create table public.by_login (n int); alter table public.by_login enable row level security;"
        "set role service_role; reset role;",
        encoding="utf-8",
    )
    news = migrations(reached_project, tmp_path)

    checked = provider.check({}, news)
    assert (checked.inputs["pending"], checked.failures) == ({"001_a.sql": "expand"}, [])
    made = outs(provider.create(checked.inputs))
    assert provider.check(made, news).inputs["pending"] == {}
    seen = provider.read("id", made)

    assert seen.outs is not None
    assert (made["applied"], seen.outs["applied"]) == (1, 1)
    owner = reached_project.sql("select tableowner from pg_tables where tablename = 'by_login'")
    assert owner == [{"tableowner": "postgres"}]
    assert reached_project.sql("select login from groundwork.migrations") == [{"login": "postgres"}]
    assert "dsn" not in made


def test_preview_beside_a_rotation_names_what_is_pending(reached_project: Project, tmp_path: Path) -> None:
    """The next password is not known yet, nor is anything of the project; the preview sees all the same."""
    provider = MigrationsProvider()
    (tmp_path / "777_b.sql").write_text("select 1", encoding="utf-8")
    olds = {**migrations(reached_project, tmp_path), "owner_password": reached_project.password}
    waiting = dict.fromkeys(("owner_password", "host", "port", "project_ref"), Unknown())
    news = {**olds, **waiting}

    checked = provider.check(olds, news)
    assert "777_b.sql" in checked.inputs["pending"]
    assert provider.diff("id", olds, checked.inputs).changes
    assert not provider.diff("id", olds, {**news, "pending": {}}).changes


def test_sleeping_project_is_as_stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A refresh of a paused project changes nothing; what would write fails, and says what to do."""
    refused, paused = answer(400, {"message": "no"}), answer(200, {**PROJECT, "status": "INACTIVE"})
    service = Service(*[refused, paused, paused] * 2, refused, paused)
    monkeypatch.setattr(_cloud, "client", lambda *_: service.client())
    reached = {"api_url": "https://api.test", "access_token": "t", "project_ref": REF}
    folder = {**reached, "folder": str(tmp_path), "layout": "auto", "latest": "001", "applied": 1.0}
    job = {**reached, "job": "tick", "schedule": "* * * * *"}

    for provider, stored in ((MigrationsProvider(), folder), (CronJobProvider(), job)):
        seen = provider.read("id", stored)
        assert (seen.id, seen.outs) == ("id", stored)
    with pytest.raises(postgres.DatabaseUnreachableError, match=r"groundwork:supabase\.paused: false"):
        CronJobProvider().delete("tick", job)


def test_login_of_a_service_is_its_own(reached_project: Project) -> None:
    """A service gets its own role and password; the login that made it is in no output."""
    reached_project.sql("create role shop_runtime")
    props = {
        **reach(reached_project),
        "role": "shop",
        "group": "shop_runtime",
        "version": 1.0,
        "passwords": {"1": "pw of the shop"},
        "schema": "001",
    }
    made = outs(LoginProvider().create(props))

    with psycopg.connect(made["url"]) as session:
        assert session.execute("select current_user::text").fetchone() == ("shop_a",)
    assert "cli_login" not in str(made)
    # An address that is not known yet is no change; another one is: it is part of what the service gets.
    assert not LoginProvider().diff("shop", made, {**props, "host": Unknown(), "port": Unknown()}).changes
    assert LoginProvider().diff("shop", made, {**props, "port": 1.0}).changes
    LoginProvider().delete("shop", made)
    assert reached_project.sql("select 1 from pg_roles where rolname = 'shop_a'") == []


def test_vault_secret(reached_project: Project) -> None:
    """A secret is put, replaced and removed."""
    props = {**reach(reached_project), "secret_name": "s", "value": CANARY, "description": "d"}
    provider = VaultSecretProvider()
    made = outs(provider.create(props))
    made = outs(provider.update("s", made, {**props, "value": "other"}))
    shown = reached_project.sql("select decrypted_secret as v from vault.decrypted_secrets where name = 's'")

    assert shown == [{"v": "other"}]
    provider.delete("s", made)
    assert vault.fingerprint(reached_project.dsn, "s", "n") is None


def test_cron_jobs_belong_to_the_owner(reached_project: Project) -> None:
    """Jobs run as `postgres`; a refresh sees them, and the roster removes what the stack does not name."""
    job = {
        "job": "tick",
        "schedule": "0 0 1 1 *",
        "url": "http://127.0.0.1:1/x",
        "secret_name": "s",
        "body": {},
        "timeout_s": 5.0,
        "active": True,
    }
    props = {**reach(reached_project), **job}
    VaultSecretProvider().create({**props, "secret_name": "s", "value": "v", "description": ""})
    made = outs(CronJobProvider().create(props))

    assert reached_project.sql("select distinct username from cron.job") == [{"username": "postgres"}]
    assert (CronJobProvider().read("tick", made).outs or {})["schedule"] == "0 0 1 1 *"
    CronRosterProvider().create({**reach(reached_project), "jobs": []})
    assert cron.read_jobs(reached_project.dsn) == ()
    assert CronJobProvider().read("tick", made).outs == {}
    CronJobProvider().delete("tick", {"dsn": reached_project.dsn, "job": "tick"})
