"""Database logins of services: two roles that alternate by version, so that a new password breaks nobody.

Version 1 is `app_a`, version 2 `app_b`, version 3 `app_a` again: while a new version is rolled out, sessions
with the previous one go on and new ones open. Passwords leave this process only as SCRAM-SHA-256 verifiers
(RFC 5803), so no log of the server can show them.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from engines import postgres
from engines.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    Session = psycopg.Connection[tuple[object, ...]]

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,60}")
_MARK = re.compile(r"groundwork: login of (?P<role>\w+), version (?P<version>\d+)")
# Any number: it only has to differ from other advisory locks of ours.
_LOCK = 7_402_001
_GRANT_OPTIONS_SINCE = 160000
_STATE = """
select rolcanlogin, (select count(*) from pg_catalog.pg_stat_activity where usename = rolname)
from pg_catalog.pg_roles where rolname = %s
"""
_CUT = "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where usename = any(%s)"


class LoginError(GroundworkError):
    """A login cannot be made or removed; the text says which role, and why."""


@dataclass(frozen=True)
class LoginSpec:
    """A login to have.

    Attributes:
        role: base name; the roles are `ROLE_a` and `ROLE_b`.
        group: the role that has the rights.
        version: of the password; odd ones are `_a`, even ones `_b`.
        password: of this version.
        accept: older versions whose login stays open.
        cut_off: end the sessions of versions that are not accepted, for somebody else may have them.
    """

    role: str
    group: str
    version: int
    password: str = field(repr=False)
    accept: tuple[int, ...] = ()
    cut_off: bool = False


@dataclass(frozen=True)
class Held:
    """One of the two roles of a login.

    Attributes:
        version: of the password that it has, or had last.
        role: its name.
        is_open: whether it can log in.
        sessions: how many sessions of it there are.
    """

    version: int
    role: str
    is_open: bool
    sessions: int


def ensure_login(dsn: str, spec: LoginSpec) -> str:
    """Make the login of a version, close that of a version no longer accepted, and give the role's name.

    Sessions that are open stay open, unless they are to be cut off. Doing it again changes nothing but the
    stored verifier's salt.

    Args:
        dsn: URL of the owner's login (CREATEROLE, admin of the group).
        spec: what to have.

    Raises:
        LoginError: the role is somebody else's, the group is missing, or the version would take the place
            of one that is still accepted.
    """
    _check_names(spec.role, spec.group)
    name = _role_name(spec.role, spec.version)
    if spec.cut_off:
        _evict(dsn, spec, name)
    with postgres.connect(dsn) as session, _explained(name), session.transaction():
        _lock(session)
        _check_group(session, spec)
        held = _held_version(session, spec.role, name)
        _check_place(spec, name, held)
        _put_role(session, spec, name, exists=held is not None)
        _close_other(session, spec)
    if spec.cut_off:
        _cut_off(dsn, spec)
    return name


def read_held(dsn: str, role: str) -> tuple[Held, ...]:
    """Give what the two roles of a login hold now, newest version first.

    Args:
        dsn: any login, also one that may only read.
        role: base name.

    Raises:
        LoginError: the database refuses.
    """
    _check_names(role)
    with postgres.connect(dsn) as session, _explained(role):
        found = [_held(session, role, name) for name in (f"{role}_a", f"{role}_b")]
    return tuple(sorted(filter(None, found), key=lambda one: -one.version))


def drop_login(dsn: str, role: str) -> None:
    """Remove both roles of a login; roles that are not there, or not ours, are left alone.

    Raises:
        LoginError: something in the database depends on a role.
    """
    _check_names(role)
    with postgres.connect(dsn) as session, _explained(role), session.transaction():
        _lock(session)
        for name in (f"{role}_a", f"{role}_b"):
            if _marked_version(session, role, name) is not None:
                session.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def _held(session: Session, role: str, name: str) -> Held | None:
    version = _marked_version(session, role, name)
    if version is None:
        return None
    row = session.execute(_STATE, [name]).fetchone()
    is_open, sessions = row or (False, 0)
    return Held(version, name, bool(is_open), int(str(sessions)))


def _role_name(role: str, version: int) -> str:
    return f"{role}_{'a' if version % 2 else 'b'}"


def _check_names(*names: str) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise LoginError(f"{name!r} is no name for a role; use lower-case letters, digits and _")


@contextmanager
def _explained(role: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.DependentObjectsStillExist as error:
        detail = error.diag.message_detail or ""
        raise LoginError(f"the role {role} cannot be dropped, something depends on it: {detail}") from None
    except psycopg.Error as error:
        # The primary message only: a context could hold the statement.
        raise LoginError(f"login {role}: {error.diag.message_primary or type(error).__name__}") from None


def _lock(session: Session) -> None:
    session.execute("select pg_advisory_xact_lock(%s)", [_LOCK])


def _check_group(session: Session, spec: LoginSpec) -> None:
    if session.execute("select from pg_roles where rolname = %s", [spec.group]).fetchone() is None:
        raise LoginError(
            f"the role {spec.group}, of which {spec.role} is to be a member, does not exist; "
            "apply the migrations first"
        )


def _held_version(session: Session, role: str, name: str) -> int | None:
    """Give the version that a role holds; None: there is no such role.

    Raises:
        LoginError: the role exists, but it is not ours.
    """
    version = _marked_version(session, role, name)
    exists = session.execute("select from pg_roles where rolname = %s", [name]).fetchone() is not None
    if exists and version is None:
        raise LoginError(
            f"the role {name} exists, but was not made by Groundwork, so it is left alone; drop or rename it"
        )
    return version


def _marked_version(session: Session, role: str, name: str) -> int | None:
    query = "select shobj_description(oid, 'pg_authid') from pg_roles where rolname = %s"
    row = session.execute(query, [name]).fetchone()
    mark = _MARK.fullmatch(str(row[0])) if row else None
    return int(mark["version"]) if mark and mark["role"] == role else None


def _check_place(spec: LoginSpec, name: str, held: int | None) -> None:
    if held is not None and held != spec.version and held in spec.accept:
        raise LoginError(
            f"version {spec.version} of {spec.role} would replace version {held}, which is still accepted: "
            f"both are {name}; raise the version by one at a time"
        )


def _put_role(session: Session, spec: LoginSpec, name: str, *, exists: bool) -> None:
    has_options = session.info.server_version >= _GRANT_OPTIONS_SINCE
    # Before PostgreSQL 16 a membership gives its rights only to a role that inherits.
    options = sql.SQL("login noinherit" if has_options else "login inherit")
    verb = sql.SQL("alter" if exists else "create")
    password = sql.Literal(_verifier(session, name, spec.password))
    role, group = sql.Identifier(name), sql.Identifier(spec.group)
    session.execute(sql.SQL("{} role {} {} password {}").format(verb, role, options, password))
    suffix = sql.SQL(" with inherit true, set true" if has_options else "")
    session.execute(sql.SQL("grant {} to {}").format(group, role) + suffix)
    mark = sql.Literal(f"groundwork: login of {spec.role}, version {spec.version}")
    session.execute(sql.SQL("comment on role {} is {}").format(role, mark))


def _verifier(session: Session, name: str, password: str) -> str:
    secret = session.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return secret.decode()


def _close_other(session: Session, spec: LoginSpec) -> None:
    """Let nobody log in any more with a version that is not accepted."""
    other = _role_name(spec.role, spec.version + 1)
    held = _marked_version(session, spec.role, other)
    if held is not None and held not in spec.accept:
        session.execute(sql.SQL("alter role {} nologin password null").format(sql.Identifier(other)))


def _evict(dsn: str, spec: LoginSpec, name: str) -> None:
    """Close a role that another version has, and end its sessions, before the new version takes it.

    Afterwards nobody could tell whose sessions are whose; if this ends half way, the mark still asks for it.
    """
    with postgres.connect(dsn) as session, _explained(name):
        if _marked_version(session, spec.role, name) not in {None, spec.version}:
            session.execute(sql.SQL("alter role {} nologin").format(sql.Identifier(name)))
            session.execute(_CUT, [[name]])


def _cut_off(dsn: str, spec: LoginSpec) -> None:
    """End the sessions of the other role if its version is not accepted; nobody can open more."""
    with postgres.connect(dsn) as session, _explained(spec.role):
        other = _role_name(spec.role, spec.version + 1)
        if _marked_version(session, spec.role, other) not in {None, *spec.accept}:
            session.execute(_CUT, [[other]])
