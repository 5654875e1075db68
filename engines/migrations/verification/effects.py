"""Follows the statements of the applied files, and tells what of their work must still be there.

Sources: "Dependency Tracking", and the pages of CREATE TABLE, CREATE POLICY, ALTER TABLE and DROP in the
PostgreSQL manual. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pglast import ast, enums, parse_sql
from pglast.parser import ParseError

from engines.migrations.files.backfill import PART
from engines.migrations.sql.kinds import Kind
from engines.migrations.sql.statements import Source, read_script
from engines.migrations.verification.entangled import is_entangled
from engines.migrations.verification.expectation import Expectation, State, Thing, is_same
from engines.migrations.verification.groups import POLICIES, ROW_SECURITY, TABLES
from engines.migrations.verification.undoing import Undoing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engines.migrations.files.file import MigrationFile

# Statements that make, change or undo nothing that is expected, and may be many and long.
_IDLE: Final = re.compile(
    r"(?:insert|update|delete|merge|grant|revoke|comment|copy|truncate|analyze|vacuum|refresh|lock|notify)\b"
    r"|create\s+(?:unique\s+)?(?:index|trigger|type|sequence|extension)\b",
    re.IGNORECASE,
)
# Of an ALTER these matter, and of a SELECT a table that it makes; to parse the others takes time.
_MATTERS: Final = re.compile(
    r"(?!alter\b|select\b|with\b).|.*(?:\b(?:row|rename|schema|attach|inherit|cascade|into)\b|/\*|--)",
    re.IGNORECASE | re.DOTALL,
)
# What is in the parentheses of a table is of no matter, but to its parents.
_TABLE: Final = re.compile(
    rf"create\s+(?:\w+\s+)?table\s+(?:if\s+not\s+exists\s+)?{PART}(?:\.{PART})?\s*(?=\()", re.IGNORECASE
)
_INHERITS: Final = re.compile(r"\binherits\b", re.IGNORECASE)
_BODY: Final = re.compile(
    r"create\s+(?:or\s+replace\s+)?(?:function|procedure)\b|(?:select|call|with|values|explain)\b",
    re.IGNORECASE,
)
_UNDONE: Final = re.compile(r"^\s*(?:rollback|abort)\b", re.IGNORECASE)
_ENABLED: Final = "enabled"
_FORCED: Final = "forced"
_Alter = enums.AlterTableType
_Object = enums.ObjectType


def expectation(files: Iterable[tuple[MigrationFile, bool]]) -> Expectation:
    """Tell what files made that must be there.

    Args:
        files: the applied ones in the order of their versions, each with whether it is sure that they ran in
            this order.
    """
    state = State()
    for file, ordered in files:
        if not file.directives.backfill:
            _File(state, file, ordered=ordered).follow(file.sql)
    return state.settle()


def _shortened(text: str) -> str:
    """Leave the columns of a plain CREATE TABLE out: they are most of it."""
    head = _TABLE.match(text)
    return f"{head[0]}()" if head and not _INHERITS.search(text) else text


class _File(Undoing):
    """One file's statements."""

    def follow(self, sql: str) -> None:
        """Follow every statement; what the parser does not know is text like any other."""
        script = read_script(sql)
        if script.source is not Source.PARSER:
            self.doubt(sql, lasting=not self.ordered)
            return
        texts = [script.sql[s.start : s.end] for s in script.statements if s.kind is not Kind.COMMENT]
        self.undone = any(_UNDONE.match(text) for text in texts)
        for text in texts:
            self._statement(text)

    def _statement(self, text: str) -> None:
        if _IDLE.match(text):
            return
        if _BODY.match(text):
            self.doubt(text, lasting=True)
            self.called(text)
        if not _MATTERS.match(text) or (text[:6].lower() == "create" and _BODY.match(text)):
            return
        try:
            node = parse_sql(_shortened(text))[0].stmt
        except (ParseError, IndexError):
            self.doubt(text, lasting=True)
            return
        rule = _RULES.get(type(node)) if node else None
        if rule:
            rule(self, node, text)

    # One method for each kind of statement.

    def setting(self, node: Any, _text: str) -> None:
        """Follow the search path where it is one schema."""
        if (node.name or "search_path").lower() != "search_path":
            return
        words = [getattr(getattr(arg, "val", None), "sval", None) or "" for arg in node.args or ()]
        self.path = "" if words else None
        self.makes_temporary = words[:1] != [] and words[0].startswith("pg_temp")
        if len(words) == 1 and words[0].isidentifier() and not node.is_local and not self.makes_temporary:
            self.path = words[0]

    def transaction(self, _node: Any, _text: str) -> None:
        """Leave a path open that was set, behind the border of a transaction."""
        if self.path is not None:
            self.forget_path()

    def create(self, node: Any, _text: str) -> None:
        """Expect a table."""
        relation = node.relation
        if self.is_temporary(relation):
            self.hide(relation.relname)
            return
        if node.ofTypename:
            self.state.shady.add(relation.relname)
        for parent in node.inhRelations or ():
            self.state.parents[self.name(relation)].add(self.name(parent))
        self.add(TABLES, relation)

    def create_as(self, node: Any, text: str) -> None:
        """Expect a table that is made from a query."""
        self.doubt(text, lasting=True)
        if node.objtype == _Object.OBJECT_TABLE:
            self._into(node.into)

    def select(self, node: Any, _text: str) -> None:
        """Expect the table of SELECT INTO."""
        first = node
        while first.larg:
            first = first.larg
        if first.intoClause:
            self._into(first.intoClause)

    def _into(self, into: Any) -> None:
        if self.is_temporary(into.rel):
            self.hide(into.rel.relname)
        else:
            self.add(TABLES, into.rel)

    def create_schema(self, node: Any, _text: str) -> None:
        """Expect the tables that are made within CREATE SCHEMA."""
        before, self.path = self.path, node.schemaname
        for element in node.schemaElts or ():
            if isinstance(element, ast.CreateStmt):
                self.create(element, "")
        self.path = before

    def create_policy(self, node: Any, _text: str) -> None:
        """Expect a policy."""
        entangled = is_entangled(node.qual) or is_entangled(node.with_check)
        self.add(POLICIES, node.table, node.policy_name or "", entangled=entangled)

    def alter(self, node: Any, _text: str) -> None:
        """Follow the parts of an ALTER TABLE that matter."""
        name = self.name(node.relation)
        known = self.ordered and name[0] and Thing(TABLES, name) in self.state.made
        if node.missing_ok and not known:
            return self._undo_only(node)
        for command in node.cmds or ():
            self._alter(node.relation, command)
        return None

    def _undo_only(self, node: Any) -> None:
        """Follow ALTER TABLE IF EXISTS on a table that may not be there."""
        for command in node.cmds or ():
            if command.subtype not in {_Alter.AT_EnableRowSecurity, _Alter.AT_ForceRowSecurity}:
                self._alter(node.relation, command)

    def _alter(self, relation: Any, command: Any) -> None:
        kind, name = command.subtype, self.name(relation)
        if kind in _SETS:
            self.add(ROW_SECURITY, relation, _SETS[kind])
        elif kind in _UNSETS:
            self.remove(Thing(ROW_SECURITY, name, _UNSETS[kind]))
        elif kind == _Alter.AT_AttachPartition:
            self.state.parents[self.name(command.def_.name)].add(name)
        elif kind == _Alter.AT_AddInherit:
            self.state.parents[name].add(self.name(command.def_))
        elif command.behavior == enums.DropBehavior.DROP_CASCADE:
            self.state.forget(lambda thing, _o: thing.group == POLICIES and is_same(thing.table, name))
            self.cascade()

    def do(self, _node: Any, text: str) -> None:
        """Take in a block that runs here; where the order is not known, it may have run later."""
        self.doubt(text, lasting=not self.ordered)
        self.called(text)

    def runs(self, _node: Any, text: str) -> None:
        """Take in a statement that runs something by its name or text."""
        self.doubt(text, lasting=True)
        self.called(text)


_SETS: Final = {_Alter.AT_EnableRowSecurity: _ENABLED, _Alter.AT_ForceRowSecurity: _FORCED}
_UNSETS: Final = {_Alter.AT_DisableRowSecurity: _ENABLED, _Alter.AT_NoForceRowSecurity: _FORCED}
_RULES: Final[dict[type[ast.Node], Callable[[_File, Any, str], None]]] = {
    ast.VariableSetStmt: _File.setting,
    ast.TransactionStmt: _File.transaction,
    ast.CreateStmt: _File.create,
    ast.CreateTableAsStmt: _File.create_as,
    ast.SelectStmt: _File.select,
    ast.CreateSchemaStmt: _File.create_schema,
    ast.CreatePolicyStmt: _File.create_policy,
    ast.DropStmt: _File.drop,
    ast.DropOwnedStmt: _File.drop_owned,
    ast.RenameStmt: _File.rename,
    ast.AlterObjectSchemaStmt: _File.set_schema,
    ast.AlterTableStmt: _File.alter,
    ast.DoStmt: _File.do,
    ast.PrepareStmt: _File.runs,
    ast.CallStmt: _File.runs,
    ast.ExecuteStmt: _File.runs,
}
