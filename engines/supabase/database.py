"""A project's database through the Management API: SQL, the owner's password, temporary logins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from engines.supabase.session import Call
from engines.supabase.wire import Answer, project_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.supabase.session import Session

_QUERY_TIMEOUT_S = 120.0


class TemporaryLogin(Answer):
    """A login that the platform made and will end.

    Attributes:
        role: name of the role to log in as.
        password: its password, new each time.
        ttl_seconds: how long it opens the database.
    """

    role: str
    password: str = Field(repr=False)
    ttl_seconds: int


class Database:
    """The databases of projects."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def query(
        self, ref: str, sql: str, parameters: Sequence[Any] = (), *, hidden: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """Run SQL as the owner and give the rows of the last statement; it is never sent twice.

        Args:
            ref: the project.
            sql: one or several statements.
            parameters: values for `$1`, `$2`, ….
            hidden: secrets in either of them, which no text may show.

        Raises:
            SupabaseError: one of its kinds; RejectedError holds PostgreSQL's own words.
        """
        self._session.hide(hidden)
        call = self._call(ref, "database/query", "running SQL in", _query(sql, parameters), repeatable=False)
        return self._session.read(call, _rows)

    def read_only_query(self, ref: str, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run SQL as a role that may only read, and give the rows.

        Raises:
            SupabaseError: one of its kinds; RejectedError holds PostgreSQL's own words.
        """
        body = _query(sql, parameters)
        call = self._call(ref, "database/query/read-only", "running SQL that only reads in", body)
        return self._session.read(call, _rows)

    def set_password(self, ref: str, password: str) -> None:
        """Set the password of the database's owner `postgres`."""
        call = Call(
            "PATCH",
            project_path(ref, "database/password"),
            f"setting the database password of project {ref}",
            body={"password": password},
            secrets=(password,),
        )
        self._session.send(call)

    def temporary_login(self, ref: str, *, read_only: bool) -> TemporaryLogin:
        """Ask for a login that ends by itself; the one that was asked for before may end with it."""

        def parse(raw: Any) -> TemporaryLogin:
            login = TemporaryLogin.model_validate(raw)
            self._session.hide([login.password])
            return login

        body = {"read_only": read_only}
        action = f"asking for a login to the database of project {ref}"
        # No SQL of ours is waited for: as patient as the session is, which in a preview is not long.
        return self._session.read(Call("POST", project_path(ref, "cli/login-role"), action, body=body), parse)

    def end_temporary_logins(self, ref: str) -> None:
        """End the logins that the platform made, before their time."""
        action = f"ending the temporary logins of project {ref}"
        self._session.remove(Call("DELETE", project_path(ref, "cli/login-role"), action))

    def _call(
        self, ref: str, path: str, action: str, body: dict[str, Any], *, repeatable: bool = True
    ) -> Call:
        return Call(
            "POST",
            project_path(ref, path),
            f"{action} the database of project {ref}",
            body=body,
            repeatable=repeatable,
            timeout_s=_QUERY_TIMEOUT_S,
        )


def _query(sql: str, parameters: Sequence[Any]) -> dict[str, Any]:
    return {"query": sql, **({"parameters": list(parameters)} if parameters else {})}


def _rows(raw: Any) -> list[dict[str, Any]]:
    """Take the rows; a statement without any answers an empty list or nothing."""
    return [dict(row) for row in raw or []]
