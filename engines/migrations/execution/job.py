"""What every file of a run needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from engines.migrations.history.journal import Journal
from engines.migrations.sessions.wire import Answers, send, send_marked, undo

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.migrations.plan import Options
    from engines.migrations.sessions.retry import Patience
    from engines.migrations.sessions.wire import Session


_BEGIN: Final = "begin;set local lock_timeout = '4s'"
# Times that a crash of the server takes with it are no loss worth waiting for the disk with each message.
_SOON: Final = "set local synchronous_commit = off"


@dataclass(frozen=True)
class Job:
    """A run that holds the migration lock.

    Attributes:
        session: autocommit; holds the lock.
        options: how to run.
        patience: how to wait for locks, and whom to tell.
        journal: times that are not yet written.
    """

    session: Session
    options: Options
    patience: Patience
    journal: Journal = field(default_factory=Journal)

    def send(self, transactions: str, meanwhile: Callable[[], None] | None = None) -> Answers:
        """Send transactions with marks in them, and before them, in the same message, the journal.

        Args:
            transactions: their text.
            meanwhile: what to do while the server is busy.
        """
        text = self.journal.text
        head = f"{_BEGIN};{_SOON};{text}commit;\n" if text else ""
        answers = send_marked(self.session, head + transactions, meanwhile)
        error = answers.error
        if not head:
            return answers
        if answers.commits:
            self.journal.clear()
        elif error and error.sqlstate and (error.position is None or error.position < len(head)):
            # Somebody took the table away. The times are lost; that is no reason to stop.
            undo(self.session)
            self.journal.clear()
            return send_marked(self.session, transactions)
        if error and error.position is not None:
            error = replace(error, position=error.position - len(head))
        return Answers(answers.commits[1:], error)

    def close(self) -> None:
        """Write what is left of the journal, if the session is still there to do it; all is on disk then."""
        text = self.journal.text
        if text and not self.session.broken and not self.session.closed:
            undo(self.session)
            send(self.session, f"{_BEGIN};{text}commit")
            undo(self.session)
            self.journal.clear()
