"""Runs a file as one transaction that also holds its history rows: one message, one round trip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engines.migrations.execution.failure import Place, failed
from engines.migrations.execution.marks import Body, marked_body
from engines.migrations.history.journal import Waits
from engines.migrations.history.ledger import insert_text
from engines.migrations.sessions.retry import try_until_granted
from engines.migrations.sessions.wire import LOCK_NOT_AVAILABLE, Answers, ServerError, send, undo
from engines.migrations.sql.statements import Script, Source, read_script

if TYPE_CHECKING:
    from engines.migrations.execution.job import Job
    from engines.migrations.files.file import MigrationFile
    from engines.migrations.plan import Options
    from engines.migrations.sessions.wire import Session
    from engines.migrations.sql.shape import Atomic

# RESET ALL leaves the role as it is (PostgreSQL manual, RESET).
_CLEAN: Final = "set session authorization default;reset role;reset all"


@dataclass(frozen=True)
class Message:
    """The text of one try, and how to read an answer about it.

    Attributes:
        script: the file's statements.
        head: what is before the file's own text.
        body: the file's own text, with marks.
        tail: what is after it, COMMIT left out.
        before: how many statements the head's transaction has.
    """

    script: Script
    head: str
    body: Body
    tail: str
    before: int

    @property
    def text(self) -> str:
        """Give all of it."""
        return f"{self.head}{self.body.text}{self.tail};commit"

    @property
    def followed(self) -> str:
        """Give all of it for a place before other files in a message.

        The server need not wait for the disk: the COMMIT of the last one does, and brings what is before it
        (PostgreSQL manual, "Asynchronous Commit"). A crash in between takes file and record together.
        """
        return f"{self.head}{self.body.text}{self.tail};set local synchronous_commit = off;commit"

    def locate(self, error: ServerError) -> Place:
        """Find the statement and the offset of an error in the file."""
        offset = None
        if error.position is not None:  # also when the whole message was refused for its syntax
            offset = self.body.origin(error.position - len(self.head))
        if offset is not None:
            at = [i for i in self.body.steps if i is not None and self.script.statements[i].start <= offset]
            return Place(at[-1] if at else None, offset)
        step = error.done - self.before
        inside = 0 <= step < len(self.body.steps)
        return Place(self.body.statement(step) if inside else None, None)


def clean(options: Options) -> str:
    """Give the statements that bring a session back to where it began."""
    return f"{_CLEAN};{options.acting.begin}" if options.acting else _CLEAN


def limits(file: MigrationFile, options: Options) -> list[str]:
    """Give the statements that set a file's timeouts for one transaction."""
    found = [_lock_limit(file, options)]
    if file.directives.statement_timeout:
        found.append(f"set local statement_timeout = '{file.directives.statement_timeout}'")
    return found


def _lock_limit(file: MigrationFile, options: Options) -> str:
    lock = file.directives.lock_timeout or f"{options.lock_timeout_ms}ms"
    return f"set local lock_timeout = '{lock}'"


def compose(
    file: MigrationFile, shape: Atomic, options: Options, *, waits: Waits | None = None, shared: bool = False
) -> Message:
    """Write the message of one try.

    Args:
        file: the file.
        shape: where its body is.
        options: how to run.
        waits: its tries before.
        shared: another file is before it in the same message.
    """
    script = read_script(file.sql)
    opening = [shape.begin, *limits(file, options)]
    record = insert_text(file, options, waits=waits, shared=shared)
    body = marked_body(script, shape.start, shape.end, shape.first, acting=options.acting)
    # RESET ALL has ended the limit that keeps others from waiting behind us, should the record have to wait.
    # Deferred checks see the file's settings.
    tail = f"\n;set constraints all immediate;{clean(options)};{_lock_limit(file, options)};{record}"
    return Message(script, ";".join(opening) + ";\n", body, tail, len(opening))


def run_whole(job: Job, file: MigrationFile, shape: Atomic, *, first: ServerError | None = None) -> None:
    """Run a file and record it, all or nothing.

    Args:
        job: the run.
        file: the file.
        shape: where its body is.
        first: how a first try ended that was made together with other files; None: there was none.

    Raises:
        FailedError: the server refused; the file is rolled back.
    """
    waits = Waits()
    message = compose(file, shape, job.options)

    def attempt(retries: int) -> ServerError | None:
        waits.begin()
        again = message if not retries else compose(file, shape, job.options, waits=waits)
        error = first if first and not retries else _try(job, file, again, waits)
        if error and error.sqlstate == LOCK_NOT_AVAILABLE:
            waits.refuse(message.locate(error).statement)
        return error

    tried = try_until_granted(job.session, attempt, job.patience)
    if tried.error:
        script, place = message.script, message.locate(tried.error)
        raise failed(file, script, place, tried, _consequence(tried.error))


def _try(job: Job, file: MigrationFile, message: Message, waits: Waits) -> ServerError | None:
    """Send a file once, and note its times when it is applied."""
    answers = _send(job, message)
    if answers.error:
        undo(job.session)
        return answers.error
    clock = answers.commits[-1] if answers.commits else ()
    job.journal.add(file.version, message.script, message.body.times(clock), waits)
    return None


def _send(job: Job, message: Message) -> Answers:
    """Send all at once; what our parser does not know goes alone: no quote in it can swallow our tail."""
    if message.script.source is Source.PARSER:
        return job.send(message.text)
    return Answers((), _send_apart(job.session, message))


def _send_apart(session: Session, message: Message) -> ServerError | None:
    error = send(session, message.head)
    if error:
        return error
    error = send(session, message.body.text)
    if error:
        position = None if error.position is None else error.position + len(message.head)
        return ServerError(error.done + message.before, error.text, error.sqlstate, position)
    error = send(session, f"{message.tail};commit")
    return error and ServerError(message.before + len(message.body.steps), error.text, error.sqlstate)


def _consequence(error: ServerError) -> str:
    if error.sqlstate is None:
        return "The connection broke: the file was applied and recorded, or rolled back; run again to go on."
    return "The file was rolled back; what ran before it stays applied. Fix it and run again."
