"""Follows what drops, renames and moves things. Pure.

Source: "Dependency Tracking", and the page of DROP of each kind of object in the PostgreSQL manual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pglast import enums

from engines.migrations.verification.expectation import Name, Thing
from engines.migrations.verification.follower import Follower
from engines.migrations.verification.groups import GROUPS, POLICIES, ROW_SECURITY, TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

_Object = enums.ObjectType
_RELATIONS: Final = {
    _Object.OBJECT_TABLE,
    _Object.OBJECT_VIEW,
    _Object.OBJECT_INDEX,
    _Object.OBJECT_SEQUENCE,
    _Object.OBJECT_FOREIGN_TABLE,
    _Object.OBJECT_MATVIEW,
}
# What these have made is of no table's kind, or known to nobody but them.
_TAKES_MORE: Final = {_Object.OBJECT_TYPE, _Object.OBJECT_DOMAIN, _Object.OBJECT_EXTENSION}


class Undoing(Follower):
    """The statements that take something out of the expectation."""

    def drop(self, node: Any, _text: str) -> None:
        """Take out what a DROP takes along."""
        kind, cascades = node.removeType, node.behavior == enums.DropBehavior.DROP_CASCADE
        names = [_parts(item) for item in node.objects or ()]
        for name in names:
            self._drop_one(kind, name)
        if kind == _Object.OBJECT_EXTENSION or (cascades and kind in _TAKES_MORE):
            self.remove_all([POLICIES, ROW_SECURITY])
        elif kind == _Object.OBJECT_SCHEMA and cascades:
            self._drop_schemas({name[-1] for name in names})
        elif cascades:
            self.cascade()

    def _drop_one(self, kind: enums.ObjectType, name: Sequence[str]) -> None:
        if kind == _Object.OBJECT_POLICY:
            self.remove(Thing(POLICIES, _name(name[:-1], self.path), name[-1]))
        elif kind in {_Object.OBJECT_TABLE, _Object.OBJECT_FOREIGN_TABLE}:
            self.remove(Thing(TABLES, _name(name, self.path)))

    def cascade(self) -> None:
        """Take out the policies that a CASCADE may have dropped."""
        self.state.forget_entangled()
        if not self.ordered:
            self.state.unknown.setdefault(POLICIES, self.file)

    def _drop_schemas(self, schemas: set[str]) -> None:
        """Take out the tables that are, or may be, in dropped schemas, and every policy."""
        for name in self.state.names():
            if not name[0] or name[0] in schemas:
                self.remove(Thing(TABLES, name))
        self.remove_all([POLICIES] if self.ordered else GROUPS)

    def drop_owned(self, _node: Any, _text: str) -> None:
        """Expect nothing: who owns what is not known."""
        self.remove_all(GROUPS)

    def rename(self, node: Any, _text: str) -> None:
        """Follow a table, a policy or a schema to its new name."""
        if node.renameType == _Object.OBJECT_SCHEMA:
            self._rename_schema(node.subname or "", node.newname or "")
        elif node.renameType == _Object.OBJECT_POLICY:
            self._rename_policy(node)
        elif node.renameType in _RELATIONS:
            schema = node.relation.schemaname or self.path
            self._move(node, (schema, node.newname or ""))

    def _rename_policy(self, node: Any) -> None:
        old = Thing(POLICIES, self.name(node.relation), node.subname or "")
        origin = self.state.made.get(old)
        self.remove(old)
        if origin:
            self.add(POLICIES, node.relation, node.newname or "", entangled=origin.entangled)

    def _rename_schema(self, old: str, new: str) -> None:
        if not self.ordered:
            self.remove_all(GROUPS)
        for schema, table in self.state.names():
            if schema == old:
                self._move_name((schema, table), (new, table))

    def set_schema(self, node: Any, _text: str) -> None:
        """Follow a table to its new schema; an extension takes tables along that are not known."""
        if node.objectType == _Object.OBJECT_EXTENSION:
            self.remove_all([POLICIES, ROW_SECURITY])
        elif node.objectType in _RELATIONS:
            self._move(node, (node.newschema, node.relation.relname or ""))

    def _move(self, node: Any, new: Name) -> None:
        """Follow a table, if it is surely this one that moved."""
        old = self.name(node.relation)
        temporary = self.is_temporary(node.relation)
        if temporary:
            self.hide(new[1])
        if temporary or (node.missing_ok and not self.ordered):
            old = ("", old[1])
        self._move_name(old, new)

    def _move_name(self, old: Name, new: Name) -> None:
        if not self.ordered:
            self.state.remember_gone(Thing(TABLES, old), self.file)
        self.state.move(old, new, self.file, ordered=self.ordered)
        if self.undone:
            self.state.forget_table(new)


def _parts(item: Any) -> list[str]:
    """Give the parts of a name in a DROP."""
    parts = getattr(item, "names", item)
    parts = parts if isinstance(parts, tuple) else (parts,)
    return [str(getattr(part, "sval", "")) for part in parts]


def _name(parts: Sequence[str], path: str | None) -> Name:
    return (parts[-2] if len(parts) > 1 else path), parts[-1]
