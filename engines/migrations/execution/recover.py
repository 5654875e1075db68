"""After a crash in the middle of a statement that has no transaction: did it happen?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from engines.migrations.errors import RefusedError
from engines.migrations.sessions.wire import send

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.migrations.files.file import MigrationFile
    from engines.migrations.sessions.wire import Session
    from engines.migrations.sql.statements import Script, Statement

# To do these twice is to do them once.
_REPEATABLE: Final = {"VACUUM", "REINDEX", "CLUSTER", "ALTER SYSTEM"}
_INDEX: Final = """
select i.indexrelid::regclass::text, i.indisvalid, t.relname
from pg_catalog.pg_index i join pg_catalog.pg_class t on t.oid = i.indrelid
where i.indexrelid = to_regclass(%s)
"""
_PARTITION: Final = """
select inhparent::regclass::text, inhdetachpending, inhrelid::regclass::text
from pg_catalog.pg_inherits where inhrelid = to_regclass(%s)
"""
# What REINDEX CONCURRENTLY leaves (PostgreSQL manual, REINDEX, "Rebuilding Indexes Concurrently"): beside an
# index of the same table and columns an invalid one, named after it. A long name is cut.
_REBUILT: Final[dict[str, LiteralString]] = {
    "index": "select i.indrelid from tree join pg_catalog.pg_index i on i.indexrelid = tree.oid",
    "table": "select oid from tree",
    "schema": "select oid from pg_catalog.pg_class where relnamespace = pg_catalog.to_regnamespace(%(name)s)",
    "database": "select oid from pg_catalog.pg_class where %(name)s::text is not null",
}
_LEFT_OVER: Final[LiteralString] = """
with named(oid) as (select pg_catalog.to_regclass(%(relation)s)::oid),
tree(oid) as (select oid from named union select relid from named, pg_catalog.pg_partition_tree(oid)),
rebuilt(oid) as ({}),
tables(oid) as (
  select oid from rebuilt union select reltoastrelid from pg_catalog.pg_class join rebuilt using (oid))
select l.indexrelid::regclass::text
from tables join pg_catalog.pg_index l on l.indrelid = tables.oid
join pg_catalog.pg_class n on n.oid = l.indexrelid
where not l.indisvalid and n.relname ~ '_cc(new|old)[0-9]*$' and exists (
  select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
  where i.indrelid = l.indrelid and i.indexrelid <> l.indexrelid
    and i.indkey::text = l.indkey::text and i.indclass::text = l.indclass::text
    and starts_with(c.relname::text, regexp_replace(n.relname, '_cc(new|old)[0-9]*$', '')))
order by 1
"""
_LIMITS: Final = "select current_setting('lock_timeout'), current_setting('statement_timeout')"
_LIMIT: Final = "select set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)"
_DATABASE: Final = "select 1 from pg_catalog.pg_database where datname = %s"


def happened(
    session: Session, file: MigrationFile, script: Script, statement: Statement, *, failed: bool = False
) -> bool:
    """Say whether a statement that an earlier run began has taken effect; False: it may be run again.

    INVALID indexes that it left are dropped, and a detachment that it began is finished. Where the server
    said that it `failed`, what is there besides was there before: the server is to say so again.

    Raises:
        RefusedError: it cannot be told; a human must look.
    """
    if statement.tag in _REPEATABLE:
        return False
    rule = _RULES.get(statement.tag)
    nameless = statement.tag == "CREATE INDEX CONCURRENTLY" and not statement.target[1]
    if rule is None or nameless:
        raise RefusedError([_unclear(file, script, statement)])
    detaches = statement.tag == "DETACH PARTITION CONCURRENTLY"
    if failed and detaches and session.execute(_PARTITION, [_name(statement)]).fetchone() is None:
        return False
    return rule(session, statement) and (detaches or not failed)


def _unclear(file: MigrationFile, script: Script, statement: Statement) -> str:
    """Say what a human must find out."""
    line = script.line(statement.start)
    return (
        f"{file.file}, line {line}: an earlier run began {statement.tag} and did not see it end; it cannot "
        "be told whether it took effect. Look at the database; bring it to the state after this file and run "
        f"`scripts/db repair --applied {file.version}`, or to the state before it and run "
        f"`scripts/db repair --reverted {file.version}`"
    )


def _detached(session: Session, statement: Statement) -> bool:
    """Say whether a partition is detached; a detachment that was interrupted is finished."""
    row = session.execute(_PARTITION, [_name(statement)]).fetchone()
    if row is None:
        return True
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
    _drop(session, row[0])
    return False


def _cleaned(session: Session, statement: Statement) -> bool:
    """Drop what an earlier rebuild of the same indexes left; they are rebuilt again in any case."""
    what = statement.target[2]
    relation = _name(statement) if what in {"index", "table"} else None
    name = sql.Identifier(statement.target[1]).as_string(None)
    query = sql.SQL(_LEFT_OVER).format(sql.SQL(_REBUILT[what]))
    for (index,) in session.execute(query, {"relation": relation, "name": name}).fetchall():
        _drop(session, index)
    return False


def _drop(session: Session, index: object) -> None:
    """Drop an invalid index, given as SQL; like all that is CONCURRENTLY, it waits without a limit."""
    limits = session.execute(_LIMITS).fetchone()
    send(session, "set lock_timeout = 0;set statement_timeout = 0")
    error = send(session, f"drop index concurrently {index}")
    session.execute(_LIMIT, limits)
    if error:
        raise RefusedError([f"the invalid index {index} of an earlier run cannot be dropped: {error.text}"])


def _not_there(session: Session, statement: Statement) -> bool:
    """Say whether an index is gone."""
    return session.execute(_INDEX, [_name(statement)]).fetchone() is None


def _database_made(session: Session, statement: Statement) -> bool:
    """Say whether a database is there."""
    return session.execute(_DATABASE, [statement.target[0]]).fetchone() is not None


_RULES: Final[dict[str, Callable[[Session, Statement], bool]]] = {
    "CREATE INDEX CONCURRENTLY": _index_made,
    "REINDEX CONCURRENTLY": _cleaned,
    "DROP INDEX CONCURRENTLY": _not_there,
    "DETACH PARTITION CONCURRENTLY": _detached,
    "CREATE DATABASE": _database_made,
}
