"""After a crash in the middle of a statement that has no transaction: did it happen?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from engines.migrations.errors import RefusedError
from engines.migrations.wire import send

if TYPE_CHECKING:
    from engines.migrations.file import MigrationFile
    from engines.migrations.statements import Script, Statement
    from engines.migrations.wire import Session

# To do these twice is to do them once.
_REPEATABLE: Final = {"VACUUM", "REINDEX", "REINDEX CONCURRENTLY", "CLUSTER", "ALTER SYSTEM"}
_INDEX: Final = """
select i.indexrelid::regclass::text, i.indisvalid, t.relname
from pg_catalog.pg_index i join pg_catalog.pg_class t on t.oid = i.indrelid
where i.indexrelid = to_regclass(%s)
"""
_PARTITION: Final = """
select inhparent::regclass::text, inhdetachpending, inhrelid::regclass::text
from pg_catalog.pg_inherits where inhrelid = to_regclass(%s)
"""
_DATABASE: Final = "select 1 from pg_catalog.pg_database where datname = %s"


def happened(
    session: Session, file: MigrationFile, script: Script, statement: Statement, *, failed: bool = False
) -> bool:
    """Say whether a statement that an earlier run began has taken effect; False: it may be run again.

    An INVALID index that it left is dropped, and a detachment that it began is finished. Where the server
    said that it `failed`, what is there besides was there before: the server is to say so again.

    Raises:
        RefusedError: it cannot be told; a human must look.
    """
    if statement.tag in _REPEATABLE:
        return False
    if statement.tag == "CREATE INDEX CONCURRENTLY" and statement.target[1]:
        return _index_made(session, statement) and not failed
    if statement.tag == "DROP INDEX CONCURRENTLY":
        return not failed and session.execute(_INDEX, [_name(statement)]).fetchone() is None
    if statement.tag == "DETACH PARTITION CONCURRENTLY":
        return _detached(session, statement, failed=failed)
    if statement.tag == "CREATE DATABASE":
        return session.execute(_DATABASE, [statement.target[0]]).fetchone() is not None
    raise RefusedError([_unclear(file, script, statement)])


def _unclear(file: MigrationFile, script: Script, statement: Statement) -> str:
    """Say what a human must find out."""
    line = script.line(statement.start)
    return (
        f"{file.file}, line {line}: an earlier run began {statement.tag} and did not see it end; it cannot "
        "be told whether it took effect. Look at the database; bring it to the state after this file and run "
        f"`scripts/db repair --applied {file.version}`, or to the state before it and run "
        f"`scripts/db repair --reverted {file.version}`"
    )


def _detached(session: Session, statement: Statement, *, failed: bool) -> bool:
    """Say whether a partition is detached; a detachment that was interrupted is finished."""
    row = session.execute(_PARTITION, [_name(statement)]).fetchone()
    if row is None:
        return not failed
    if not row[1]:
        return False
    error = send(session, f"alter table {row[0]} detach partition {row[2]} finalize")
    if error:
        raise RefusedError([f"the detachment of {row[2]} from {row[0]} cannot be finished: {error.text}"])
    return True


def _name(statement: Statement) -> str:
    """Write the object's name as SQL; without a schema it is looked up as the statement would."""
    schema, name = statement.target[:2]
    return sql.Identifier(*([schema, name] if schema else [name])).as_string(None)


def _index_made(session: Session, statement: Statement) -> bool:
    """Say whether the index is there and valid; one that is not is dropped."""
    row = session.execute(_INDEX, [_name(statement)]).fetchone()
    if row is None or row[2] != statement.target[2]:
        return False
    if row[1]:
        return True
    error = send(session, f"drop index concurrently {row[0]}")
    if error:
        raise RefusedError([f"the invalid index {row[0]} of an earlier run cannot be dropped: {error.text}"])
    return False
