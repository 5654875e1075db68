"""A runner that dies before or after a message: the only moments that the server can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from engines.migrations.sessions import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from engines.migrations.sessions.wire import Session


class Killed(BaseException):
    """The runner's process ends here."""


class Dying:
    """Passes messages on until the runner dies, before or after the server has seen the last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int | str, *, seen: bool) -> None:
        """Die at a message: its number, from 0, or the first one that is a text."""
        self.left = at if isinstance(at, int) else None
        self.text = at
        self.seen = seen
        self.exchange = wire.exchange
        self.execute = psycopg.Connection.execute
        monkeypatch.setattr(wire, "exchange", self._exchange)

        def execute(session: Session, *query: Any, **options: Any) -> Any:
            return self._execute(session, *query, **options)

        monkeypatch.setattr(psycopg.Connection, "execute", execute)

    def _exchange(self, session: Session, message: str, _meanwhile: Callable[[], None] | None = None) -> Any:
        return self._pass_on(session, message, lambda: self.exchange(session, message))

    def _execute(self, session: Session, *query: Any, **options: Any) -> Any:
        if session.info.parameter_status("application_name") != wire.APPLICATION_NAME:
            return self.execute(session, *query, **options)
        return self._pass_on(session, query[0], lambda: self.execute(session, *query, **options))

    def _pass_on(self, session: Session, message: object, send: Callable[[], Any]) -> Any:
        """Send, or die; the dead send nothing."""
        if session.closed:
            raise Killed
        if self.left is None:
            if message != self.text:
                return send()
        elif self.left > 0:
            self.left -= 1
            return send()
        if self.seen:
            send()
        session.close()
        raise Killed
