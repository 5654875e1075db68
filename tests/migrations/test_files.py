"""The files as a whole: they apply to a new project, again, and to an old one, with the same result."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from emulator import postgres
from engines import migrations
from tests import fix_supabase

if TYPE_CHECKING:
    from collections.abc import Callable

ACCESS = """
    select c.relname, a.grantee::regrole::text, a.privilege_type
    from pg_class c, lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
    where c.relnamespace = 'public'::regnamespace and a.grantee <> c.relowner
    union all
    select p.oid::regprocedure::text, case a.grantee when 0 then 'PUBLIC' else a.grantee::regrole::text end,
        a.privilege_type
    from pg_proc p, lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and a.grantee <> p.proowner
    order by 1, 2, 3
"""


def dump(dsn: str) -> str:
    """Describe the schemas of the product as pg_dump does."""
    program = postgres.installation() / "bin" / "pg_dump"
    # The key of \restrict is random unless it is given.
    options = [
        "--schema-only",
        "--schema=public",
        "--schema=private",
        "--restrict-key=test",
        f"--dbname={dsn}",
    ]
    environment = {"PATH": os.defpath}
    done = subprocess.run([program, *options], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def access(dsn: str) -> list[tuple[str, str, str]]:
    """List who has which right to what."""
    with psycopg.connect(dsn) as session:
        return session.execute(ACCESS).fetchall()


def test_numbers_have_no_gap() -> None:
    """Files are numbered from 001 on, each number once."""
    numbers = [int(file.name[:3]) for file in fix_supabase.migration_files()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 11


def test_the_owner_is_no_superuser(empty_project: str) -> None:
    """The role that applies the files has the powers of a hosted project's owner, no more."""
    with psycopg.connect(empty_project) as session:
        row = session.execute(
            "select current_user, rolsuper from pg_roles where rolname = current_user"
        ).fetchone()
    assert row == ("postgres", False)
    fix_supabase.migrate(empty_project)


def test_all_files_twice(supabase_database: str) -> None:
    """A second run of every file changes nothing."""
    before = dump(supabase_database)
    fix_supabase.migrate(supabase_database)
    assert dump(supabase_database) == before
    assert "create policy" in before.lower()


def test_second_run_keeps_data(supabase_database: str) -> None:
    """A second run touches no settings that somebody changed and no credits."""
    with psycopg.connect(supabase_database, autocommit=True) as session:
        session.execute("update private.product_settings set value = '7' where name = 'signup_credits'")
        session.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'x@example.org')")
        fix_supabase.migrate(supabase_database)
        rows = session.execute("select balance from credit_balances").fetchall()
    assert rows == [(7,)]


def test_users_from_before_are_provided_for(empty_project: str) -> None:
    """Users of a project that is taken over get a profile, an organization and credits as new ones do."""
    with psycopg.connect(empty_project, autocommit=True) as session:
        session.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'old@example.org')")
        fix_supabase.migrate(empty_project)
        query = "select email, role, balance from organization_members natural join credit_balances"
        assert session.execute(query).fetchall() == [("old@example.org", "owner", 100)]


def test_old_projects_end_with_the_same_rights(supabase_database: str) -> None:
    """A project that exposes new tables by default ends up with exactly the rights of a new one."""
    with fix_supabase.run_project(exposed_by_default=True) as old:
        fix_supabase.migrate(old.dsn("postgres"))
        with psycopg.connect(old.dsn("postgres"), autocommit=True) as session:
            session.execute("create table public.later (id bigint primary key)")
            right = session.execute("select has_table_privilege('anon', 'public.later', 'select')").fetchone()
            session.execute("drop table public.later")
        assert access(old.dsn("postgres")) == access(supabase_database)
    assert right == (False,)


def test_roles_may_be_there_already(supabase_project: fix_supabase.Project, empty_project: str) -> None:
    """A second database on the same server finds the roles made, and that is fine."""
    with psycopg.connect(supabase_project.dsn("product")) as session:
        assert session.execute("select to_regrole('app_runtime')::text").fetchone() == ("app_runtime",)
    fix_supabase.migrate(empty_project)


def test_linter_has_no_finding() -> None:
    """Squawk finds nothing with the rules of .squawk.toml."""
    program = Path(sys.executable).parent / "squawk"
    files = [str(file) for file in fix_supabase.migration_files()]
    done = subprocess.run(
        [program, "--reporter", "gcc", *files],
        cwd=fix_supabase.MIGRATIONS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_workload_login_is_limited(runtime_dsn: Callable[[str], str]) -> None:
    """The agent's login can become a signed-in user, but neither a visitor nor the server's role."""
    query = "select r, pg_has_role(current_user, r, 'set') from unnest(%s::text[]) r"
    with psycopg.connect(runtime_dsn("agent_runtime")) as session:
        rows = session.execute(query, [["authenticated", "anon", "service_role", "postgres"]]).fetchall()
    assert dict(rows) == {"authenticated": True, "anon": False, "service_role": False, "postgres": False}


def test_the_runner_applies_and_verifies(empty_project: str) -> None:
    """The migration engine applies every file once, then has nothing to do, and all checks pass."""
    folder = migrations.read_folder(fix_supabase.MIGRATIONS)
    for expected in (len(folder.files), 0):
        options, lines = migrations.Options(), list[str]()
        options = migrations.Options()
        outcome = migrations.apply(empty_project, folder, options=options, report=lines.append)
        assert len(outcome.applied) == expected
    assert [check for check in migrations.verify(empty_project, folder) if not check.ok] == []
