"""What a session tells about itself at its first question: its process, and how its login is set up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engines.acting import is_reader

if TYPE_CHECKING:
    from psycopg import Cursor

    from engines.migrations.sessions.wire import Session

GREETING: Final = (
    "select pg_catalog.pg_backend_pid(), pg_catalog.current_schemas(true)::pg_catalog.text[], "
    "pg_catalog.current_setting('default_transaction_read_only'), pg_catalog.pg_is_in_recovery(), "
    "session_user::pg_catalog.text"
)
_CATALOG: Final = "pg_catalog"


@dataclass(frozen=True)
class Greeting:
    """The answer.

    Attributes:
        backend: id of the server process.
        schemas: where names are looked up, in order.
        read_only: `on` where transactions may not write unless they ask for it.
        standby: the server only follows another one.
        login: name of the role that logged in.
    """

    backend: int
    schemas: list[str]
    read_only: str
    standby: bool
    login: str

    @property
    def shadowed(self) -> str | None:
        """Say why the names in our own SQL may mean something else; None: they do not."""
        before = self.schemas[: self.schemas.index(_CATALOG)] if _CATALOG in self.schemas else []
        before = [schema for schema in before if not schema.startswith("pg_temp")]
        if not before:
            return None
        return (
            f"the search_path of the login {self.login} has {', '.join(before)} before pg_catalog, so what "
            "is in there could stand in for PostgreSQL's own functions; put pg_catalog first, or leave it out"
        )

    @property
    def unwritable(self) -> str | None:
        """Say why nothing can be written; None: it can, or it is a login that is meant to look only."""
        if self.standby:
            return "the server is a standby, which only follows another one; use the address of the primary"
        if self.read_only == "on" and not is_reader(self.login):
            return (
                f"the session may only read: default_transaction_read_only is on for the login {self.login} "
                "or its database (Supabase sets it when the disk is full); set it off and run again"
            )
        return None


def greet(session: Session) -> Greeting:
    """Ask who we are."""
    cursor: Cursor[Any] = session.execute(GREETING)
    (row,) = cursor.fetchall()
    return Greeting(*row)
