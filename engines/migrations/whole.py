"""Runs a file as one transaction that also holds its history rows: one message, one round trip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engines.migrations.failure import Place, failed
from engines.migrations.kinds import Kind
from engines.migrations.ledger import insert_text
from engines.migrations.retry import try_until_granted
from engines.migrations.statements import Script, Source, read_script
from engines.migrations.wire import ServerError, send, undo

if TYPE_CHECKING:
    from engines.migrations.file import MigrationFile
    from engines.migrations.plan import Options
    from engines.migrations.retry import Patience
    from engines.migrations.shape import Atomic
    from engines.migrations.wire import Session

# RESET ALL leaves the role as it is (PostgreSQL manual, RESET). Deferred checks see the file's settings.
CLEAN: Final = "set session authorization default;reset role;reset all"
_TAIL: Final = f"\n;set constraints all immediate;{CLEAN};"


@dataclass(frozen=True)
class Message:
    """The text of one try, and how to read an answer about it.

    Attributes:
        head: what is before the file's own text.
        body: the file's own text.
        tail: what is after it.
        before: how many statements the head has.
    """

    head: str
    body: str
    tail: str
    before: int

    @property
    def text(self) -> str:
        """Give all of it."""
        return self.head + self.body + self.tail


def limits(file: MigrationFile, options: Options) -> list[str]:
    """Give the statements that set a file's timeouts for one transaction."""
    lock = file.directives.lock_timeout or f"{options.lock_timeout_ms}ms"
    found = [f"set local lock_timeout = '{lock}'"]
    if file.directives.statement_timeout:
        found.append(f"set local statement_timeout = '{file.directives.statement_timeout}'")
    return found


def compose(
    file: MigrationFile, shape: Atomic, options: Options, retries: int, *, after: str | None = None
) -> Message:
    """Write the message of one try; `after` is the version of the file before it in the same message."""
    opening = [shape.begin, *limits(file, options)]
    record = f"{_TAIL}{insert_text(file, options, retries=retries, after=after)};commit"
    return Message(";".join(opening) + ";\n", file.sql[shape.start : shape.end], record, len(opening))


def run_whole(
    session: Session,
    file: MigrationFile,
    shape: Atomic,
    options: Options,
    patience: Patience,
    *,
    first: ServerError | None = None,
) -> None:
    """Run a file and record it, all or nothing.

    Args:
        session: autocommit; holds the migration lock.
        file: the file.
        shape: where its body is.
        options: how to run.
        patience: how to wait for locks.
        first: how a first try ended that was made together with other files; None: there was none.

    Raises:
        FailedError: the server refused; the file is rolled back.
    """
    script = read_script(file.sql)

    def attempt(retries: int) -> ServerError | None:
        if first and not retries:
            return first
        message = compose(file, shape, options, retries)
        error = _send(session, message, script)
        if error:
            undo(session)
        return error

    tried = try_until_granted(session, attempt, patience)
    if tried.error:
        message = compose(file, shape, options, 0)
        place = locate(script, shape, message, tried.error)
        raise failed(file, script, place, tried, _consequence(tried.error))


def _send(session: Session, message: Message, script: Script) -> ServerError | None:
    """Send all at once; what our parser does not know goes alone: no quote in it can swallow our tail."""
    if script.source is Source.PARSER:
        return send(session, message.text)
    error = send(session, message.head)
    if error:
        return error
    error = send(session, message.body)
    if error:
        position = None if error.position is None else error.position + len(message.head)
        return ServerError(error.done + message.before, error.text, error.sqlstate, position)
    error = send(session, message.tail)
    return error and ServerError(message.before + len(script.statements), error.text, error.sqlstate)


def locate(script: Script, shape: Atomic, message: Message, error: ServerError) -> Place:
    """Find the statement and the offset of an error in the file."""
    offset = None
    if error.position is not None:
        offset = error.position - len(message.head) + shape.start
        offset = offset if shape.start <= offset < shape.end else None
    real = [i for i, s in enumerate(script.statements) if s.kind is not Kind.COMMENT and i >= shape.first]
    index = error.done - message.before
    if offset is not None:  # also when the whole message was refused for its syntax
        at = [i for i in real if script.statements[i].start <= offset]
        return Place(at[-1] if at else None, offset)
    inside = 0 <= index < len(real) and script.statements[real[index]].start < shape.end
    return Place(real[index] if inside else None, offset)


def _consequence(error: ServerError) -> str:
    if error.sqlstate is None:
        return "The connection broke: the file was applied and recorded, or rolled back; run again to go on."
    return "The file was rolled back; what ran before it stays applied. Fix it and run again."
