"""Reads and changes a project's settings, section by section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from engines.supabase.auth_settings import AuthSettings
from engines.supabase.sections import (
    NetworkSettings,
    PoolerSettings,
    PostgresSettings,
    PostgrestSettings,
    RealtimeSettings,
    SslSettings,
    StorageSettings,
)
from engines.supabase.session import Call
from engines.supabase.wire import Settings, project_path

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from engines.supabase.session import Session

S = TypeVar("S", bound=Settings)
Fields = dict[str, Any]

# What answers hold beside settings, and nobody who asks for settings should get.
_KEYS = frozenset({"jwt_secret"})


def _same(fields: Any) -> Any:
    return fields


@dataclass(frozen=True)
class Route:
    """How one section is read and changed.

    Attributes:
        path: below the project's path.
        method: of a change.
        change_path: of a change, where it is another one.
        unwrap: takes the fields out of an answer.
        wrap: makes the body of a change of the fields.
        is_replaced: whether a change replaces all fields, so that those to keep are sent as well.
    """

    path: str
    method: str = "PATCH"
    change_path: str | None = None
    unwrap: Callable[[Any], Any] = _same
    wrap: Callable[[Fields], Fields] = _same
    is_replaced: bool = False


def _pooler_fields(raw: Any) -> Fields:
    """Take the settings out of the list of addresses, or out of the answer to a change."""
    primary = [one for one in raw if one["database_type"] == "PRIMARY"] if isinstance(raw, list) else [raw]
    row = primary[0]
    return {name: row[name] for name in PoolerSettings.names() if name in row}


_ROUTES: dict[type[Settings], Route] = {
    AuthSettings: Route("config/auth"),
    PostgrestSettings: Route("postgrest"),
    PostgresSettings: Route("config/database/postgres", "PUT", is_replaced=True),
    PoolerSettings: Route("config/database/pooler", unwrap=_pooler_fields),
    StorageSettings: Route("config/storage"),
    RealtimeSettings: Route("config/realtime"),
    SslSettings: Route(
        "ssl-enforcement",
        "PUT",
        unwrap=lambda raw: raw["currentConfig"],
        wrap=lambda fields: {"requestedConfig": fields},
        is_replaced=True,
    ),
    NetworkSettings: Route(
        "network-restrictions",
        "POST",
        "network-restrictions/apply",
        unwrap=lambda raw: raw["config"],
        is_replaced=True,
    ),
}
# By their names in a stack's configuration.
SECTIONS: dict[str, type[Settings]] = {kind.section: kind for kind in _ROUTES}


class Configuration:
    """The settings of projects."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def read(self, ref: str, kind: type[S]) -> S:
        """Read a section: all its fields as they are in force; of PostgreSQL's, those that were ever set.

        Raises:
            SupabaseError: one of its kinds.
        """
        call = Call("GET", project_path(ref, _ROUTES[kind].path), f"reading {kind.section} of project {ref}")
        return self._session.read(call, lambda raw: self._settings(kind, raw))

    def change(
        self, ref: str, settings: S, *, drop: Collection[str] = (), restart_database: bool = False
    ) -> S:
        """Change the fields that are set and leave the others, and read the section as it is then.

        Args:
            ref: the project.
            settings: what to set.
            drop: names of PostgreSQL's parameters to set back to what the platform chooses.
            restart_database: whether PostgreSQL restarts at once, which some of its parameters need.

        Raises:
            SupabaseError: one of its kinds; a change that is repeated does no harm.
        """
        kind, route = type(settings), _ROUTES[type(settings)]
        fields = settings.values()
        if route.is_replaced and not fields.keys() >= kind.names():
            fields = {**self.read(ref, kind).values(), **fields}
        body = route.wrap({name: value for name, value in fields.items() if name not in drop})
        if restart_database:
            body["restart_database"] = True
        call = Call(
            route.method,
            project_path(ref, route.change_path or route.path),
            f"changing {kind.section} of project {ref}",
            body=body,
            secrets=settings.secret_values(),
        )
        changed = self._session.read(call, lambda raw: raw and self._settings(kind, raw))
        return changed or self.read(ref, kind)

    def _settings(self, kind: type[S], raw: Any) -> S:
        fields = _ROUTES[kind].unwrap(raw)
        self._session.hide(str(fields[name]) for name in _KEYS if fields.get(name))
        found = kind.read({name: value for name, value in fields.items() if name not in _KEYS})
        self._session.hide(found.secret_values())
        return found
