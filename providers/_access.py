"""How providers come into a project's database: with a login that the platform makes for a while.

A login of a kind is asked for once in a process, and shared by all resources and threads until shortly before
its end. Whoever asks next, elsewhere, ends it: then a new one is asked for, and what was begun is done again,
which all operations of the engines bear.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import engines
from providers import _cloud
from providers._crud import EngineProvider, Props, log, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

ADDRESS = ("host", "port", "database", "user_suffix")
REACH = (*_cloud.REACH, *ADDRESS)
SOFT = frozenset({*REACH, "owner_password"})
_OWNER = "postgres"
# A login is made while the platform is asked for it.
_GLANCE_S = 10.0
# A pooler may know neither the password nor a new project for a moment. One more try than pauses.
_PAUSES_S = (1.0, 5.0)
# A login is not used for longer than that before its end: an operation opens more than one session.
_MARGIN_S = 60.0
_MARGIN_PART = 5
# Where the platform makes no logins it is not asked again so soon.
_REFUSED_S = 600.0


class DatabaseProvider(EngineProvider):
    """A provider of something inside the database.

    Its inputs have what `REACH` names, and `owner_password` where the stack keeps it; all of them say how to
    reach the database, not what is wanted in it.
    """

    soft = SOFT


@dataclass(frozen=True)
class _Held:
    """A login that was asked for.

    Attributes:
        user: its name; empty: the platform makes none.
        password: its password.
        until: when it is given up, by the monotonic clock.
        refusal: why there is none.
    """

    user: str
    password: str = field(repr=False)
    until: float
    refusal: str = ""


class _Logins:
    """The logins of this process, by API, project and kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str, bool], threading.Lock] = {}
        self._held: dict[tuple[str, str, bool], _Held] = {}

    def take(self, props: Props, *, read_only: bool) -> tuple[_Held, bool]:
        """Give a login, and whether it is new; of several threads that want one, one asks."""
        key = _key(props, read_only=read_only)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            held = self._held.get(key)
            if held and time.monotonic() < held.until:
                return held, False
            held = self._held[key] = _ask(props, read_only=read_only)
            return held, True

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._held.clear()

    def drop(self, props: Props, held: _Held, *, read_only: bool) -> None:
        """Forget a login that was refused, unless another thread has a new one already."""
        key = _key(props, read_only=read_only)
        with self._lock:
            if self._held.get(key) is held:
                del self._held[key]


def _key(props: Props, *, read_only: bool) -> tuple[str, str, bool]:
    return props["api_url"], props["project_ref"], read_only


def _refusals() -> tuple[type[engines.supabase.SupabaseError], ...]:
    """Give the errors by which the platform says that it makes no logins; loaded when they are needed."""
    kinds = engines.supabase
    return kinds.RejectedError, kinds.ForbiddenError, kinds.NotFoundError


def _ask(props: Props, *, read_only: bool) -> _Held:
    """Ask the platform for a login; that it makes none is an answer, too."""
    # A preview, which only reads, must not wait long for an API that is not there.
    timing = engines.supabase.default_timing(timeout_s=_GLANCE_S, attempts=2) if read_only else None
    with _cloud.client(props, timing) as client:
        try:
            login = client.database.temporary_login(props["project_ref"], read_only=read_only)
        except _refusals() as error:
            # That the project is gone or sleeps is no refusal.
            project = client.projects.get(props["project_ref"])
            if not project.is_active:
                raise engines.postgres.DatabaseUnreachableError(
                    f"project {project.ref} is {project.status}, so its database cannot be reached; run this "
                    "again when it is active (groundwork:supabase.paused: false wakes one that is paused)"
                ) from None
            return _Held("", "", time.monotonic() + _REFUSED_S, str(error))
    margin = min(_MARGIN_S, login.ttl_seconds / _MARGIN_PART)
    return _Held(login.role, login.password, time.monotonic() + login.ttl_seconds - margin)


_logins = _Logins()


def run(props: Props, operation: Callable[[str], T], *, read_only: bool = False) -> T:
    """Do something with the DSN of a login; it is begun anew, three times in all, when the login has ended.

    Args:
        props: of the resource; those of a state older than temporary logins have a `dsn` instead.
        operation: what to do; safe to be repeated.
        read_only: ask for a login that may only read.

    Raises:
        NotFoundError: there is no such project.
        SupabaseError: the platform gives no login, and the stack keeps no password.
        DatabaseUnreachableError: the database is not reached, or refuses every login.
    """
    if "dsn" in props:
        return operation(props["dsn"])
    for pause_s in (*_PAUSES_S, None):
        held, is_new = _logins.take(props, read_only=read_only)
        try:
            return operation(_dsn(props, held))
        except engines.postgres.LoginRefusedError:
            if pause_s is None:
                raise
            _logins.drop(props, held, read_only=read_only)
            if is_new:
                time.sleep(pause_s)
    raise AssertionError("the last try returns or raises")


def forget() -> None:
    """Forget all logins, as a new process would."""
    _logins.clear()


def remove(props: Props, operation: Callable[[str], None]) -> None:
    """Do something as `run` does that takes things away; nothing is left of a project that is gone."""
    try:
        run(props, operation)
    except engines.supabase.NotFoundError:
        return


def look(props: Props, operation: Callable[[str], T], *, read_only: bool = False) -> T | None:
    """Look as `run` does for a refresh; None: the project sleeps, and what is in it stays as it is.

    Args:
        props: as for `run`.
        operation: what to look at.
        read_only: as for `run`.
    """
    try:
        return run(props, operation, read_only=read_only)
    except engines.postgres.DatabaseUnreachableError:
        if not _is_asleep(props):
            raise
        return None


def _is_asleep(props: Props) -> bool:
    if "dsn" in props:
        return False
    with _cloud.client(props) as client:
        return client.projects.get(props["project_ref"]).is_asleep


def preview(olds: Props, news: Props, operation: Callable[[str], T]) -> T | None:
    """Look at the database before an update, with a login that may only read; None: it cannot be asked.

    Args:
        olds: the inputs of the last update, which stand in for those that wait for one.
        news: the inputs.
        operation: what to look at.
    """
    props = _known(olds, news)
    if props is None:
        return None
    try:
        return run(props, operation, read_only=True)
    except engines.postgres.DatabaseUnreachableError:
        return None
    except engines.supabase.UnavailableError:
        return None
    except engines.supabase.SupabaseError as error:
        log(str(error), str(news.get("log_urn", "")), warning=True)
        return None


def _known(olds: Props, news: Props) -> Props | None:
    """Give how to reach the database, as far as it is known; None: it is not."""
    known = {name: value for name, value in news.items() if name in SOFT and not unknown(value)}
    former = {name: value for name, value in olds.items() if name in SOFT and not unknown(value)}
    props = {**former, **known}
    if props.keys() >= set(REACH):
        return props
    dsn = {**olds, **news}.get("dsn")
    if isinstance(dsn, str):
        return {"dsn": dsn}
    return _located(props) if props.keys() >= set(_cloud.REACH) else None


def _located(props: Props) -> Props | None:
    """Ask where the database of a project listens that is about to be adopted; None: nobody says."""
    try:
        with _cloud.client(props, engines.supabase.default_timing(timeout_s=_GLANCE_S, attempts=2)) as client:
            address = client.projects.session_pooler(props["project_ref"])
    except engines.supabase.SupabaseError:
        return None
    return {**props, **{name: getattr(address, name) for name in ADDRESS}}


def url(props: Props, user: str, password: str | None) -> str:
    """Write a login's DSN; without a password, one that others add theirs to."""
    login = quote(f"{user}{props['user_suffix']}", safe="")
    secret = "" if password is None else f":{quote(password, safe='')}"
    return f"postgresql://{login}{secret}@{props['host']}:{int(props['port'])}/{props['database']}"


def _dsn(props: Props, held: _Held) -> str:
    if held.user:
        return url(props, held.user, held.password)
    password: Any = props.get("owner_password")
    if not password:
        raise engines.supabase.SupabaseError(
            f"{held.refusal}. The platform makes no temporary login here, and the stack keeps no "
            "password of its owner: set groundwork:supabase.owner_password to keep"
        )
    return url(props, _OWNER, password)
