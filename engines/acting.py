"""Temporary logins of the platform: they own nothing and inherit nothing, and work as a role of theirs.

Such a login has to take the role in each session, and again after each RESET ROLE: for the server it is
itself (https://github.com/supabase/cli/issues/6236). The role's own settings are not read then, as they are
when a login's session begins (PostgreSQL manual, ALTER ROLE); a session that takes the role takes them, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    Session = psycopg.Connection[tuple[object, ...]]

# Named after the role that they may become; poolers want `.REF` behind it.
_TEMPORARY: Final = re.compile(r"cli_login_(?P<role>[^.]+)(?:\..*)?")
_READER: Final = "read_only"
_MEMBER_OF: Final[LiteralString] = """
select r.rolname::pg_catalog.text
from pg_catalog.pg_auth_members m join pg_catalog.pg_roles r on r.oid = m.roleid
join pg_catalog.pg_roles u on u.oid = m.member where u.rolname = session_user
"""
# What a login may not set for itself stays as it is; settings of one database win over those of all.
_SETTINGS: Final[LiteralString] = """
select pg_catalog.split_part(entry, '=', 1), pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') + 1)
from pg_catalog.pg_db_role_setting d join pg_catalog.pg_roles r on r.oid = d.setrole,
  pg_catalog.unnest(d.setconfig) entry
where r.rolname = %s and (d.setdatabase = 0 or d.setdatabase = (
    select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
  and pg_catalog.split_part(entry, '=', 1) not in ('role', 'session_authorization')
  and not exists (select from pg_catalog.pg_settings s
    where s.name = pg_catalog.split_part(entry, '=', 1) and s.context <> 'user')
order by d.setdatabase
"""


@dataclass(frozen=True)
class Acting:
    """What a temporary login works as.

    Attributes:
        role: the role.
        settings: names and values that sessions of this role begin with.
    """

    role: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def take(self) -> str:
        """Give the statement that takes the role until the session ends or takes another."""
        return sql.SQL("set session role {}").format(sql.Identifier(self.role)).as_string(None)

    @property
    def take_for_now(self) -> str:
        """Give the statement that takes the role until the transaction ends."""
        return sql.SQL("set local role {}").format(sql.Identifier(self.role)).as_string(None)

    @property
    def begin(self) -> str:
        """Give the statements that make a session as one of the role's own begins."""
        return ";".join([self.take, *map(_set, self.settings)])


def role_behind(login: str) -> str | None:
    """Name the role that a temporary login works as; None: a login that works as itself."""
    temporary = _TEMPORARY.fullmatch(login)
    return temporary["role"] if temporary else None


def is_reader(login: str) -> bool:
    """Tell whether a login is a temporary one that is meant to look only."""
    return _READER in (role_behind(login) or "")


def acting(session: Session) -> Acting | None:
    """Say what a session works as; None: as its login.

    Raises:
        psycopg.Error: the server refuses to say.
    """
    role = role_behind(session.info.user)
    if role is None:
        return None
    roles = [str(name) for (name,) in session.execute(_MEMBER_OF).fetchall()]
    # The name is the platform's custom; what counts is what the login may become.
    role = roles[0] if len(roles) == 1 else role
    rows = session.execute(_SETTINGS, [role]).fetchall()
    settings = tuple((str(name), str(value)) for name, value in rows)
    if _takes(session, settings):
        return Acting(role, settings)
    # One that means nothing any more is a mere warning to a session of the role's own.
    return Acting(role, tuple(pair for pair in settings if _takes(session, [pair])))


def _takes(session: Session, settings: Iterable[tuple[str, str]]) -> bool:
    """Set what a session begins with; tell whether the server takes it, all or nothing."""
    text = ";".join(map(_set, settings))
    try:
        if text:
            session.execute(text.encode())
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        return False
    return True


def _set(pair: tuple[str, str]) -> str:
    template = sql.SQL("select pg_catalog.set_config({}, {}, false)")
    return template.format(*map(sql.Literal, pair)).as_string(None)
