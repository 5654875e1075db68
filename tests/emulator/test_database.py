"""What `emulator.database.prepare` makes of a server: roles, grants, schemas, passwords."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors

from emulator import database, extensions

if TYPE_CHECKING:
    from pathlib import Path

# Login, superuser, inherit, createdb, createrole, replication, bypassrls (Supabase docs, "Postgres Roles").
ROLES = {
    "anon": (False, False, True, False, False, False, False),
    "authenticated": (False, False, True, False, False, False, False),
    "service_role": (False, False, True, False, False, False, True),
    "authenticator": (True, False, False, False, False, False, False),
    "postgres": (True, False, True, True, True, True, True),
    "supabase_admin": (True, True, True, True, True, True, True),
    "supabase_auth_admin": (True, False, False, False, False, False, False),
    "supabase_storage_admin": (True, False, False, False, True, False, False),
    "supabase_functions_admin": (True, False, False, False, True, False, False),
    "supabase_replication_admin": (True, False, True, False, False, True, False),
    "supabase_etl_admin": (True, False, True, False, False, True, False),
    "supabase_read_only_user": (True, False, True, False, False, False, True),
    "supabase_realtime_admin": (False, False, False, False, False, False, False),
    "dashboard_user": (False, False, True, True, True, True, False),
    "pgbouncer": (True, False, True, False, False, False, False),
}
# member: {role: admin option}
MEMBERS = {
    "authenticator": {"anon": False, "authenticated": False, "service_role": False},
    "postgres": {
        "anon": True,
        "authenticated": True,
        "service_role": True,
        "authenticator": True,
        "pg_read_all_data": True,
        "pg_signal_backend": True,
        "pg_monitor": True,
        "pg_create_subscription": False,
        "supabase_storage_admin": False,
    },
    "supabase_etl_admin": {"pg_read_all_data": False},
    "supabase_read_only_user": {"pg_read_all_data": False},
    "supabase_storage_admin": {"authenticator": False},
}


def _as(session: psycopg.Connection, role: str, claims: str = "") -> None:
    """Act as a request of the Data API does, until the end of the transaction."""
    session.execute(f"set local role {role}".encode())
    session.execute("select set_config('request.jwt.claims', %s, true)", [claims])


def _one(session: psycopg.Connection, query: str, *values: object) -> Any:
    row = session.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


class TestRoles:
    """Who exists and what they may."""

    def test_attributes(self, admin: psycopg.Connection) -> None:
        """Every role of the platform exists with its attributes, and no other role does."""
        rows = admin.execute(
            "select rolname, rolcanlogin, rolsuper, rolinherit, rolcreatedb, rolcreaterole, rolreplication,"
            " rolbypassrls from pg_roles where rolname !~ '^(pg_|[tg]_)'"
        )
        assert {row[0]: tuple(row[1:]) for row in rows} == ROLES

    def test_memberships(self, admin: psycopg.Connection) -> None:
        """Roles are members of one another as on a project of PostgreSQL 16 or later, with admin options."""
        rows = admin.execute(
            "select member::regrole::text, roleid::regrole::text, bool_or(admin_option) from pg_auth_members"
            " where member::regrole::text = any(%s) group by 1, 2",
            [list(ROLES)],
        )
        found: dict[str, dict[str, bool]] = {}
        for member, role, option in rows:
            found.setdefault(member, {})[role] = option
        assert found == MEMBERS

    @pytest.mark.parametrize(
        ("role", "settings"),
        [
            ("anon", ["statement_timeout=3s"]),
            ("authenticated", ["statement_timeout=8s"]),
            ("authenticator", ["statement_timeout=8s", "lock_timeout=8s"]),
            ("service_role", None),
        ],
    )
    def test_time_limits(self, admin: psycopg.Connection, role: str, settings: list[str] | None) -> None:
        """The roles of the Data API have the platform's time limits."""
        assert _one(admin, "select rolconfig from pg_roles where rolname = %s", role) == settings

    def test_owner_hands_out_api_roles(self, trial: psycopg.Connection) -> None:
        """The owner can make a role and give it membership in the Data API's roles."""
        trial.execute("create role g_app nologin noinherit; grant anon, authenticated to g_app")
        trial.execute(
            "create role g_app_a login noinherit; grant g_app to g_app_a with inherit true, set true"
        )
        assert _one(trial, "select pg_has_role('g_app_a', 'authenticated', 'member')") is True

    def test_owner_is_no_superuser(self, owner: psycopg.Connection) -> None:
        """What needs a superuser is refused to the owner."""
        with pytest.raises(errors.InsufficientPrivilege):
            owner.execute("alter system set work_mem = '8MB'")


class TestExposure:
    """What the Data API reaches."""

    @pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
    def test_new_table_is_closed(self, trial: psycopg.Connection, role: str) -> None:
        """Without a grant, no role of the Data API reads a table that the owner made."""
        trial.execute("create table public.t_closed (id int)")
        _as(trial, role)
        with pytest.raises(errors.InsufficientPrivilege, match="t_closed"):
            trial.execute("select from public.t_closed")

    def test_grant_opens(self, trial: psycopg.Connection) -> None:
        """With a grant, the Data API's role reads what policies let it."""
        trial.execute("create table public.t_open (id int); grant select on public.t_open to anon")
        with trial.transaction(force_rollback=True):
            _as(trial, "anon")
            assert _one(trial, "select count(*) from public.t_open") == 0

    def test_new_sequence_is_closed(self, trial: psycopg.Connection) -> None:
        """Sequences are not handed out either."""
        trial.execute("create sequence public.t_numbers")
        assert _one(trial, "select has_sequence_privilege('anon', 'public.t_numbers', 'usage')") is False

    def test_old_projects_expose(self, fresh_server: Any) -> None:
        """With the flag of old projects, a new table is reachable at once."""
        database.prepare(fresh_server.admin_dsn, owner_password="p", exposed_by_default=True)
        with psycopg.connect(fresh_server.dsn("postgres", "p"), autocommit=True) as session:
            session.execute("create table public.t (id int)")
            assert _one(session, "select has_table_privilege('anon', 'public.t', 'select')") is True


class TestAuth:
    """The schema auth."""

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("request.jwt.claims", '{"sub": "6f1d2c3e-0000-4000-8000-000000000001"}'),
            ("request.jwt.claim.sub", "6f1d2c3e-0000-4000-8000-000000000001"),
        ],
    )
    def test_uid(self, trial: psycopg.Connection, setting: str, value: str) -> None:
        """auth.uid() reads the caller from either form of the claims."""
        trial.execute("select set_config(%s, %s, true)", [setting, value])
        _as_authenticated = "set local role authenticated"
        trial.execute(_as_authenticated)
        assert str(_one(trial, "select auth.uid()")) == "6f1d2c3e-0000-4000-8000-000000000001"

    @pytest.mark.parametrize("function", ["uid", "role", "email", "jwt"])
    def test_nobody(self, trial: psycopg.Connection, function: str) -> None:
        """Without claims, or with empty ones, every function gives NULL."""
        assert _one(trial, f"select auth.{function}()") is None
        _as(trial, "anon", "")
        assert _one(trial, f"select auth.{function}()") is None

    def test_all_claims(self, trial: psycopg.Connection) -> None:
        """Role, e-mail and the whole token come from the claims."""
        _as(trial, "authenticated", '{"role": "authenticated", "email": "a@b.test", "x": 1}')
        query = "select array[auth.role(), auth.email(), auth.jwt() ->> 'x']"
        assert _one(trial, query) == ["authenticated", "a@b.test", "1"]

    def test_owner_builds_on_users(self, trial: psycopg.Connection) -> None:
        """The owner may reference accounts, put a trigger on them and insert into them."""
        trial.execute(
            "create table public.profiles (id uuid primary key references auth.users on delete cascade)"
        )
        trial.execute(
            "create function public.on_user() returns trigger language plpgsql security definer"
            " set search_path = ''"
            " as $$ begin insert into public.profiles values (new.id); return new; end $$"
        )
        trial.execute(
            "create trigger on_user after insert on auth.users for each row execute function public.on_user()"
        )
        trial.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'a@b.test')")
        assert _one(trial, "select count(*) from public.profiles") == 1

    @pytest.mark.parametrize(
        "statement", ["create table auth.mine (id int)", "alter table auth.users add column mine int"]
    )
    def test_owner_does_not_change_auth(self, trial: psycopg.Connection, statement: str) -> None:
        """The owner may neither add to the schema auth nor change its tables."""
        with pytest.raises(errors.InsufficientPrivilege):
            trial.execute(statement.encode())

    def test_api_does_not_see_users(self, trial: psycopg.Connection) -> None:
        """Accounts are out of reach of the Data API's roles."""
        _as(trial, "authenticated")
        with pytest.raises(errors.InsufficientPrivilege):
            trial.execute("select from auth.users")


class TestStorage:
    """The schema storage."""

    def test_policy_opens_objects(self, trial: psycopg.Connection) -> None:
        """The owner's policy decides which objects a caller sees; without one there are none."""
        trial.execute("insert into storage.buckets (id, name) values ('b', 'b')")
        trial.execute(
            "insert into storage.objects (bucket_id, name) values ('b', 'u1/a.txt'), ('b', 'u2/a.txt')"
        )
        with trial.transaction(force_rollback=True):
            _as(trial, "anon")
            assert _one(trial, "select count(*) from storage.objects") == 0
        trial.execute(
            "create policy mine on storage.objects for select to anon"
            " using ((storage.foldername(name))[1] = 'u1')"
        )
        with trial.transaction(force_rollback=True):
            _as(trial, "anon")
            assert _one(trial, "select array_agg(name) from storage.objects") == ["u1/a.txt"]

    def test_name_functions(self, owner: psycopg.Connection) -> None:
        """Folder, file name and extension are taken from an object's name."""
        query = (
            "select storage.foldername(name), storage.filename(name), storage.extension(name)"
            " from (values ('a/b/c.tar.gz')) as v (name)"
        )
        assert owner.execute(query).fetchone() == (["a", "b"], "c.tar.gz", "gz")


class TestPrepare:
    """Repeating, passwords, and damage."""

    def test_twice_changes_nothing(
        self, admin: psycopg.Connection, project_server: Any, owner_password: str
    ) -> None:
        """A second call leaves roles, objects and the owner's password as they are, whatever it is given."""
        query = (
            "select (select sum(xmin::text::bigint) from pg_authid), (select count(*) from pg_class),"
            " (select sum(xmin::text::bigint) from pg_proc)"
        )
        before = admin.execute(query).fetchone()
        database.prepare(project_server.admin_dsn, owner_password="another")
        assert admin.execute(query).fetchone() == before
        psycopg.connect(project_server.dsn("postgres", owner_password)).close()

    def test_two_at_once(self, fresh_server: Any) -> None:
        """Of two callers at the same time one waits; both return, and the work is done once."""
        with ThreadPoolExecutor(2) as pool:
            calls = [
                pool.submit(database.prepare, fresh_server.admin_dsn, owner_password="p") for _ in range(2)
            ]
        assert [call.result() for call in calls] == [None, None]

    def test_half_done_is_finished(
        self, fresh_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A script that fails leaves nothing behind, so that the next call succeeds."""
        scripts = database.SCRIPTS
        for script in scripts.glob("*.sql"):
            (tmp_path / script.name).write_bytes(script.read_bytes())
        (tmp_path / "99_broken.sql").write_text("select broken")
        monkeypatch.setattr(database, "SCRIPTS", tmp_path)
        with pytest.raises(psycopg.Error, match="broken"):
            database.prepare(fresh_server.admin_dsn, owner_password="p")
        monkeypatch.setattr(database, "SCRIPTS", scripts)
        database.prepare(fresh_server.admin_dsn, owner_password="p")
        psycopg.connect(fresh_server.dsn("postgres", "p")).close()

    def test_password_change(self, fresh_server: Any) -> None:
        """A new password works, the old one no longer does, and neither is in the server's log."""
        database.prepare(fresh_server.admin_dsn, owner_password="canary-old")
        with psycopg.connect(fresh_server.admin_dsn, autocommit=True) as session:
            session.execute("alter system set log_statement = 'all'")
            session.execute("select pg_reload_conf()")
        database.set_owner_password(fresh_server.admin_dsn, "canary-new'")
        psycopg.connect(
            host="127.0.0.1", port=fresh_server.server.port, user="postgres", password="canary-new'"
        ).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(fresh_server.dsn("postgres", "canary-old"))
        assert "canary" not in fresh_server.server.log.read_text()

    def test_failing_statement_is_not_logged(self, owner: psycopg.Connection, project_server: Any) -> None:
        """The text of a statement that fails, which may hold a secret, does not reach the server's log."""
        with pytest.raises(psycopg.Error, match="no_such_role"):
            owner.execute("alter role no_such_role password 'canary-5521'")
        log = project_server.server.log.read_text()
        assert "no_such_role" in log
        assert "canary-5521" not in log

    def test_colon_in_path(self, odd_server: Any) -> None:
        """A data folder that PostgreSQL could not look for extensions in is refused with a way out."""
        with pytest.raises(OSError, match="move the data to a path without ':'"):
            database.prepare(odd_server.admin_dsn, owner_password="p")

    def test_planted_function(self, owner: psycopg.Connection, project_server: Any) -> None:
        """A function that the project plants under a name that prepare calls does not run as superuser."""
        owner.execute("create function public.pg_advisory_lock(int) returns int return 1 / 0")
        owner.execute("create function public.pg_reload_conf() returns int return 1 / 0")
        try:
            database.prepare(project_server.admin_dsn, owner_password="x")
        finally:
            owner.execute("drop function public.pg_advisory_lock, public.pg_reload_conf")

    def test_key_is_not_replaced(self, project_server: Any) -> None:
        """Vault's key survives a second call, is the server's alone, and belongs to its account."""
        key = project_server.server.data / extensions.VAULT_KEY
        before = key.read_bytes()
        database.prepare(project_server.admin_dsn, owner_password="x")
        assert key.read_bytes() == before
        assert key.stat().st_mode & 0o777 == 0o600
        assert key.stat().st_uid == project_server.server.data.stat().st_uid

    @pytest.mark.parametrize("role", ["authenticator", "supabase_auth_admin", "supabase_read_only_user"])
    def test_no_login_without_password(self, project_server: Any, role: str) -> None:
        """Service roles have no password, so nobody logs in as one over TCP."""
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(project_server.dsn(role, "guess"))
