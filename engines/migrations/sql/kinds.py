"""What kind of statement it is, as far as transactions are concerned.

Sources: PostgreSQL's PreventInTransactionBlock callers (the "Notes" of each command's page in the manual) and
the transaction commands of its grammar.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final

from pglast import ast, enums, parse_sql
from pglast.parser import ParseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Kind(Enum):
    """How the runner treats a statement."""

    PLAIN = "plain"
    COMMENT = "comment"  # no statement at all
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SETTING = "setting"  # changes the session; repeated when a file is resumed
    ALONE = "alone"  # cannot run in a transaction block
    PROCEDURE = "procedure"  # may commit by itself: CALL, DO
    REFUSED = "refused"  # the tag says why


Verdict = tuple[Kind, str, tuple[str, ...]]

PLAIN: Final[Verdict] = (Kind.PLAIN, "", ())
_BLANK: Final = r"(?:\s|--[^\n]*\n|/\*)+"
_SPECIAL: Final = re.compile(
    r"(?:begin|start|commit|end|abort|rollback|prepare|vacuum|reindex|cluster|repack|discard|copy|call|do|set"
    r"|reset)\b"
    rf"|(?:alter|create|drop){_BLANK}(?:system|database|tablespace|subscription)\b"
    r"|(?:alter|create|drop)\s*(?:--|/\*)",
    re.IGNORECASE,
)
# How INSERT, UPDATE, GRANT, WITH, MERGE and TRUNCATE begin: most statements of long files.
NEVER_SPECIAL: Final = frozenset("iIuUgGwWmMtT")
_SET_CONFIG: Final = re.compile(r"select.{0,200}?set_config", re.IGNORECASE | re.DOTALL)
_CONCURRENT: Final = re.compile(r"concurrently|finalize", re.IGNORECASE)
_DDL: Final = re.compile(r"alter|create|drop", re.IGNORECASE)


def may_be_special(statement: str) -> bool:
    """Say, cheaply, whether a statement is worth parsing: one that is not PLAIN never gets False."""
    if statement[:1] in NEVER_SPECIAL:
        return False
    if _SPECIAL.match(statement) or _SET_CONFIG.match(statement):
        return True
    return bool(_DDL.match(statement) and _CONCURRENT.search(statement))


def classify(statement: str) -> Verdict:
    """Give kind, tag and target of one statement; what cannot be parsed is PLAIN (the server will say)."""
    try:
        node = parse_sql(statement)[0].stmt
    except (ParseError, IndexError):
        return PLAIN
    rule = _RULES.get(type(node)) if node else None
    return rule(node) if rule else PLAIN


_READ_ONLY: Final[Verdict] = (
    Kind.REFUSED,
    "READ ONLY keeps the history row from being written in the same transaction; remove it",
    (),
)
_BOUNDARIES: Final = {
    enums.TransactionStmtKind.TRANS_STMT_BEGIN: Kind.BEGIN,
    enums.TransactionStmtKind.TRANS_STMT_START: Kind.BEGIN,
    enums.TransactionStmtKind.TRANS_STMT_COMMIT: Kind.COMMIT,
    enums.TransactionStmtKind.TRANS_STMT_ROLLBACK: Kind.ROLLBACK,
    enums.TransactionStmtKind.TRANS_STMT_COMMIT_PREPARED: Kind.ALONE,
    enums.TransactionStmtKind.TRANS_STMT_ROLLBACK_PREPARED: Kind.ALONE,
}


def _transaction(node: ast.TransactionStmt) -> Verdict:
    if node.chain:
        return Kind.REFUSED, "AND CHAIN leaves a transaction open; write COMMIT; BEGIN;", ()
    if node.kind == enums.TransactionStmtKind.TRANS_STMT_PREPARE:
        return (
            Kind.REFUSED,
            "PREPARE TRANSACTION leaves the file's work outside of its history; use COMMIT",
            (),
        )
    kind = _BOUNDARIES.get(node.kind, Kind.PLAIN) if node.kind is not None else Kind.PLAIN
    if kind is Kind.BEGIN and _is_read_only(node.options or ()):
        return _READ_ONLY
    return kind, "COMMIT PREPARED", ()


def _is_read_only(options: Sequence[ast.DefElem]) -> bool:
    return any(option.defname == "transaction_read_only" and _word(option.arg) == "1" for option in options)


def _copy(node: ast.CopyStmt) -> Verdict:
    if node.filename or node.is_program:
        return PLAIN
    if node.is_from:
        return Kind.REFUSED, "COPY … FROM stdin needs psql, which reads the data; write INSERT statements", ()
    return Kind.REFUSED, "COPY … TO stdout has nowhere to write to; remove it", ()


def _setting(node: ast.VariableSetStmt) -> Verdict:
    name = (node.name or "").lower()
    if name == "transaction" and _is_read_only(node.args or ()):
        return _READ_ONLY
    words = [_word(arg) for arg in node.args or ()]
    if name == "client_encoding" and words and words[0].replace("-", "").upper() not in {"UTF8", "UNICODE"}:
        return (
            Kind.REFUSED,
            "files are read as UTF-8; remove SET client_encoding and save the file as UTF-8",
            (),
        )
    return (Kind.PLAIN if node.is_local else Kind.SETTING), name, tuple(words)


def _select(node: ast.SelectStmt) -> Verdict:
    """Find `select set_config('name', 'value', false)`, which pg_dump writes instead of SET."""
    calls = [target.val for target in node.targetList or () if isinstance(target.val, ast.FuncCall)]
    for call in calls:
        words = [_word(arg) for arg in call.args or ()]
        if call.funcname and call.funcname[-1].sval == "set_config" and words[2:] == ["False"]:
            return Kind.SETTING, words[0].lower(), tuple(words[1:2])
    return PLAIN


def _word(arg: object) -> str:
    value = getattr(arg, "val", None)
    return str(getattr(value, "sval", getattr(value, "ival", getattr(value, "boolval", ""))))


def _qualified(relation: ast.RangeVar | None) -> tuple[str, str]:
    return (relation.schemaname or "", relation.relname or "") if relation else ("", "")


def _index(node: ast.IndexStmt) -> Verdict:
    if not node.concurrent:
        return PLAIN
    schema, table = _qualified(node.relation)
    return Kind.ALONE, "CREATE INDEX CONCURRENTLY", (schema, node.idxname or "", table)


def _drop(node: ast.DropStmt) -> Verdict:
    if not node.concurrent:
        return PLAIN
    parts = [part.sval for part in (node.objects or [()])[0]]
    return Kind.ALONE, "DROP INDEX CONCURRENTLY", tuple(["", *parts][-2:])


def _alter_table(node: ast.AlterTableStmt) -> Verdict:
    for command in node.cmds or ():
        detach = command.subtype == enums.AlterTableType.AT_DetachPartition and command.def_.concurrent
        if detach or command.subtype == enums.AlterTableType.AT_DetachPartitionFinalize:
            return Kind.ALONE, "DETACH PARTITION CONCURRENTLY", _qualified(command.def_.name)
    return PLAIN


def _discard(node: ast.DiscardStmt) -> Verdict:
    whole = node.target == enums.DiscardMode.DISCARD_ALL
    # It would also release the lock that keeps other runners out.
    return (Kind.REFUSED, "DISCARD ALL ends what the runner holds; write RESET ALL", ()) if whole else PLAIN


def _vacuum(node: ast.VacuumStmt) -> Verdict:
    return (Kind.ALONE, "VACUUM", ()) if node.is_vacuumcmd else PLAIN


_REINDEXED: Final = {
    enums.ReindexObjectType.REINDEX_OBJECT_INDEX: "index",
    enums.ReindexObjectType.REINDEX_OBJECT_TABLE: "table",
    enums.ReindexObjectType.REINDEX_OBJECT_SCHEMA: "schema",
}


def _reindex(node: ast.ReindexStmt) -> Verdict:
    """Give what is rebuilt as schema, name and `index`, `table`, `schema` or `database`."""
    if not any(option.defname == "concurrently" for option in node.params or ()):
        return Kind.ALONE, "REINDEX", ()
    what = _REINDEXED.get(node.kind, "database") if node.kind is not None else "database"
    schema, name = _qualified(node.relation) if node.relation else ("", node.name or "")
    return Kind.ALONE, "REINDEX CONCURRENTLY", (schema, name, what)


def _database(node: ast.CreatedbStmt) -> Verdict:
    return Kind.ALONE, "CREATE DATABASE", (node.dbname or "",)


def _alter_database(node: ast.AlterDatabaseStmt) -> Verdict:
    moves = any(option.defname == "tablespace" for option in node.options or ())
    return (Kind.ALONE, "ALTER DATABASE SET TABLESPACE", ()) if moves else PLAIN


def _always(kind: Kind, tag: str) -> Callable[[ast.Node], Verdict]:
    return lambda _node: (kind, tag, ())


_RULES: Final[dict[type[ast.Node], Callable[..., Verdict]]] = {
    ast.TransactionStmt: _transaction,
    ast.CopyStmt: _copy,
    ast.VariableSetStmt: _setting,
    ast.SelectStmt: _select,
    ast.IndexStmt: _index,
    ast.DropStmt: _drop,
    ast.AlterTableStmt: _alter_table,
    ast.DiscardStmt: _discard,
    ast.VacuumStmt: _vacuum,
    ast.ReindexStmt: _reindex,
    ast.CreatedbStmt: _database,
    ast.AlterDatabaseStmt: _alter_database,
    ast.ClusterStmt: _always(Kind.ALONE, "CLUSTER"),
    ast.AlterSystemStmt: _always(Kind.ALONE, "ALTER SYSTEM"),
    ast.DropdbStmt: _always(Kind.ALONE, "DROP DATABASE"),
    ast.CreateTableSpaceStmt: _always(Kind.ALONE, "CREATE TABLESPACE"),
    ast.DropTableSpaceStmt: _always(Kind.ALONE, "DROP TABLESPACE"),
    ast.CreateSubscriptionStmt: _always(Kind.ALONE, "CREATE SUBSCRIPTION"),
    ast.AlterSubscriptionStmt: _always(Kind.ALONE, "ALTER SUBSCRIPTION"),
    ast.DropSubscriptionStmt: _always(Kind.ALONE, "DROP SUBSCRIPTION"),
    ast.CallStmt: _always(Kind.PROCEDURE, "CALL"),
    ast.DoStmt: _always(Kind.PROCEDURE, "DO"),
}
