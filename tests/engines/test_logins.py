"""Logins alternate on a real server, as its owner who is no superuser."""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
import pytest
from psycopg import conninfo, sql

from engines import logins
from engines.logins import LoginError, LoginSpec, drop_login, ensure_login

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def owner(empty_project: str) -> str:
    """Give the owner's DSN of a new project's database."""
    return empty_project


@pytest.fixture
def spec(owner: str) -> Iterator[LoginSpec]:
    """Give a login of a group that may use one table; both roles and the group go afterwards."""
    tag = secrets.token_hex(4)
    group, role = f"group_{tag}", f"svc_{tag}"
    with psycopg.connect(owner, autocommit=True) as session:
        session.execute(
            f"create role {group} nologin noinherit; create table public.things (id int); "
            f"grant select on public.things to {group}"
        )
    yield LoginSpec(role, group, 1, "first-password")
    drop_login(owner, role)
    with psycopg.connect(owner, autocommit=True) as session:
        session.execute(f"drop table public.things; drop role {group}")


def version(spec: LoginSpec, number: int, *accept: int) -> LoginSpec:
    """Give the spec of another version, with a password of its own."""
    return LoginSpec(spec.role, spec.group, number, f"password {number}!'", accept)


def opened(owner: str, user: str, password: str) -> psycopg.Connection[tuple[object, ...]]:
    """Log in to the same database as another user."""
    return psycopg.connect(conninfo.make_conninfo(owner, user=user, password=password), autocommit=True)


def opens(owner: str, spec: LoginSpec) -> bool:
    """Tell whether a version's password opens the database."""
    name = f"{spec.role}_{'a' if spec.version % 2 else 'b'}"
    try:
        opened(owner, name, spec.password).close()
    except psycopg.OperationalError as error:
        if re.search("password authentication failed|not permitted to log in", str(error)):
            return False
        raise
    return True


def test_login_has_the_rights_of_its_group(owner: str, spec: LoginSpec) -> None:
    """The role opens, reads what the group may, and can step into the group."""
    name = ensure_login(owner, spec)

    with opened(owner, name, spec.password) as session:
        session.execute("select * from public.things")
        session.execute(sql.SQL("set role {}").format(sql.Identifier(spec.group)))

    assert name == f"{spec.role}_a"


def test_login_has_no_other_rights(owner: str, spec: LoginSpec) -> None:
    """The role is nothing more than a member of its group."""
    name = ensure_login(owner, spec)

    with psycopg.connect(owner) as session:
        query = """
            select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolinherit,
                array(select roleid::regrole::text from pg_auth_members where member = r.oid)
            from pg_roles as r where rolname = %s
        """
        row = session.execute(query, [name]).fetchone()

    assert row == (False, False, False, False, False, False, [spec.group])


def test_versions_alternate(owner: str, spec: LoginSpec) -> None:
    """A new version takes the other role; the old one works while it is accepted, and not after."""
    one, two = version(spec, 1), version(spec, 2, 1)
    names = [ensure_login(owner, one), ensure_login(owner, two)]
    while_accepted = (opens(owner, one), opens(owner, two))

    ensure_login(owner, version(spec, 2))

    assert names == [f"{spec.role}_a", f"{spec.role}_b"]
    assert while_accepted == (True, True)
    assert (opens(owner, one), opens(owner, two)) == (False, True)


def test_retired_role_comes_back_with_a_new_password(owner: str, spec: LoginSpec) -> None:
    """Version 3 uses the role of version 1 again, with its own password only."""
    for each in (version(spec, 1), version(spec, 2), version(spec, 3, 2)):
        ensure_login(owner, each)

    found = [opens(owner, version(spec, number)) for number in (2, 3)]

    assert found == [True, True]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        opened(owner, f"{spec.role}_a", version(spec, 1).password)


def test_open_sessions_of_a_retired_version_go_on(owner: str, spec: LoginSpec) -> None:
    """Closing a login cuts nobody off."""
    name = ensure_login(owner, spec)

    with opened(owner, name, spec.password) as session:
        ensure_login(owner, version(spec, 2))
        row = session.execute("select count(*) from public.things").fetchone()

    assert row == (0,)


def test_doing_it_again_changes_nothing(owner: str, spec: LoginSpec) -> None:
    """The same login twice is one login, which opens as before."""
    names = {ensure_login(owner, spec) for _ in range(3)}

    assert names == {f"{spec.role}_a"}
    assert opens(owner, spec)


def test_two_at_once_agree(owner: str, spec: LoginSpec) -> None:
    """Concurrent updates of one login do not disturb each other."""
    with ThreadPoolExecutor() as pool:
        names = set(pool.map(lambda _: ensure_login(owner, spec), range(4)))

    assert names == {f"{spec.role}_a"}


def test_version_in_use_is_not_overwritten(owner: str, spec: LoginSpec) -> None:
    """A jump by two, which would take the password of an accepted version, is refused."""
    ensure_login(owner, version(spec, 1))

    with pytest.raises(LoginError, match=r"version 3 of .* would replace version 1, which is still accepted"):
        ensure_login(owner, version(spec, 3, 1))

    assert opens(owner, version(spec, 1))


def test_sessions_of_a_stolen_version_end_where_the_new_one_takes_its_role(
    owner: str, spec: LoginSpec
) -> None:
    """Both have the same role: the thief's sessions end, and nobody's who came by the new version."""
    ensure_login(owner, spec)
    new = replace(version(spec, 3), cut_off=True)
    with opened(owner, f"{spec.role}_a", spec.password) as stolen:
        ensure_login(owner, new)
        with pytest.raises(psycopg.errors.AdminShutdown):
            stolen.execute("select 1")
    with opened(owner, f"{spec.role}_a", new.password) as session:
        ensure_login(owner, new)
        session.execute("select 1")


def test_a_stolen_versions_sessions_end_before_anything_can_fail(owner: str, spec: LoginSpec) -> None:
    """An update that ends half way is done again, and then nobody could tell a thief's session."""
    ensure_login(owner, spec)
    with opened(owner, f"{spec.role}_a", spec.password) as stolen:
        with pytest.raises(LoginError, match="apply the migrations first"):
            ensure_login(owner, replace(version(spec, 3), cut_off=True, group="no_such_group"))
        with pytest.raises(psycopg.errors.AdminShutdown):
            stolen.execute("select 1")

    assert not opens(owner, spec)


def test_role_of_somebody_else_is_left_alone(owner: str, spec: LoginSpec) -> None:
    """A role of the same name without our mark is neither changed nor dropped."""
    name = f"{spec.role}_a"
    with psycopg.connect(owner, autocommit=True) as session:
        session.execute(f"create role {name} login password 'theirs'")

        with pytest.raises(LoginError, match=f"the role {name} exists, but was not made by Groundwork"):
            ensure_login(owner, spec)
        drop_login(owner, spec.role)

        opened(owner, name, "theirs").close()
        session.execute(f"drop role {name}")


def test_missing_group_is_named(owner: str) -> None:
    """Without the migrations there is no group: the text says so."""
    with pytest.raises(LoginError, match=r"the role no_such_group, .*apply the migrations first"):
        ensure_login(owner, LoginSpec("svc", "no_such_group", 1, "x"))


@pytest.mark.parametrize("name", ["", "a;drop", "A", "x" * 80, "a\n"])
def test_odd_names_are_refused(owner: str, name: str) -> None:
    """What is no plain role name is refused before anything is sent."""
    with pytest.raises(LoginError, match="is no name for a role"):
        drop_login(owner, name)


def test_password_stays_here(owner: str, spec: LoginSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """No statement that is sent has the password, only its verifier."""
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def record(session: psycopg.Connection, query: sql.Composable | str, *rest: object) -> object:
        sent.append(query.as_string(session) if isinstance(query, sql.Composable) else query)
        return execute(session, query, *rest)  # type: ignore[call-overload]  # passed on as it came

    monkeypatch.setattr(psycopg.Connection, "execute", record)
    ensure_login(owner, spec)

    assert [text for text in sent if "SCRAM-SHA-256$" in text]
    assert not [text for text in sent if spec.password in text]
    assert spec.password not in repr(spec)


def test_drop_removes_both_roles(owner: str, spec: LoginSpec) -> None:
    """After the drop neither role is there; a second drop is no error."""
    ensure_login(owner, version(spec, 1))
    ensure_login(owner, version(spec, 2, 1))

    drop_login(owner, spec.role)
    drop_login(owner, spec.role)

    with psycopg.connect(owner) as session:
        query = "select count(*) from pg_roles where starts_with(rolname, %s)"
        assert session.execute(query, [f"{spec.role}_"]).fetchone() == (0,)


def test_drop_names_what_depends(owner: str, spec: LoginSpec) -> None:
    """A role that owns something is kept, and what it owns is named."""
    name = ensure_login(owner, spec)
    with psycopg.connect(owner, autocommit=True) as session:
        session.execute(f"grant {name} to postgres; create schema theirs authorization {name}")

        with pytest.raises(LoginError, match=r"something depends on it: .*schema theirs"):
            drop_login(owner, spec.role)
        session.execute("drop schema theirs")


def test_password_is_not_in_errors(owner: str) -> None:
    """A refused login of ours does not show anybody's password."""
    dsn = conninfo.make_conninfo(owner, password=quote("canary-password"))

    with pytest.raises(Exception, match="password authentication failed") as caught:
        ensure_login(dsn, LoginSpec("svc", "grp", 1, "canary-secret"))

    assert "canary" not in str(caught.value)


def test_names_fit_the_mark() -> None:
    """The mark that tells our roles is read back as it was written."""
    mark = logins._MARK.fullmatch("groundwork: login of app, version 12")

    assert mark is not None
    assert (mark["role"], mark["version"]) == ("app", "12")
