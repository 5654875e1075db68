"""Where in a file we are, and what of it is noted: names, search path, what is made and undone. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from engines.migrations.verification.expectation import Doubt, Name, Origin, State, Thing, is_same
from engines.migrations.verification.groups import TABLES, Group
from engines.migrations.verification.opaque import judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engines.migrations.files.file import MigrationFile

_SETTER: Final = re.compile(r"set_config|exec", re.IGNORECASE)
_PATH: Final = re.compile("search_path", re.IGNORECASE)


class Follower:
    """Follows one file.

    Attributes:
        state: what is expected so far.
        file: base name of the file.
        ordered: it surely ran behind the files before it, and before those behind it.
        path: the schema of names without one; None: the login's; empty: not known.
        makes_temporary: tables without a schema may be temporary ones.
        undone: it rolls something back, so that what it makes may not be there.
    """

    def __init__(self, state: State, file: MigrationFile, *, ordered: bool) -> None:
        """Begin a file: it starts with the login's own search path."""
        self.state, self.file, self.ordered = state, file.file, ordered
        self.path: str | None = None
        self.makes_temporary = False
        self.undone = False

    def doubt(self, text: str, *, lasting: bool) -> None:
        """Take in a text that nobody can follow; `lasting`: it may run again at any time."""
        judgement = judge(text)
        self.state.loose = self.state.loose or judgement.attaches
        if lasting and _sets_path(text):
            self.state.roams = True
        doubt = Doubt(self.file, text, judgement)
        if lasting and judgement.groups:
            self.state.doubts.append(doubt)
        elif judgement.groups:
            self.state.apply(doubt)

    def forget_path(self) -> None:
        """Know no schema for names without one: any of that name will do."""
        self.path = ""

    def called(self, text: str) -> None:
        """Follow a call, which may set the search path."""
        if self.state.roams or _sets_path(text):
            self.forget_path()
            self.makes_temporary = self.makes_temporary or "pg_temp" in text.lower()

    def name(self, relation: Any) -> Name:
        """Give a table's name with the schema that it is surely in."""
        return relation.schemaname or self.path, relation.relname or ""

    def is_temporary(self, relation: Any) -> bool:
        """Say whether a name may be that of a temporary table."""
        if relation.schemaname:
            return bool(relation.schemaname.startswith("pg_temp"))
        shadowed = relation.relname in self.state.temporary
        return shadowed or relation.relpersistence == "t" or self.makes_temporary

    def hide(self, name: str) -> None:
        """Note a temporary table: until the session ends, its name without a schema is no other's."""
        (self.state.temporary if self.ordered else self.state.shady).add(name)

    def add(self, group: Group, relation: Any, detail: str = "", *, entangled: bool = False) -> None:
        """Expect a thing, unless it may not have lasted to the end of the file."""
        if not self.undone and not self.is_temporary(relation):
            thing = Thing(group, self.name(relation), detail)
            self.state.add(thing, Origin(self.file, entangled), ordered=self.ordered)

    def remove(self, thing: Thing) -> None:
        """Take a thing out, and for a table all that belongs to it."""
        if not self.ordered:
            self.state.remember_gone(thing, self.file)
        if thing.group == TABLES:
            self.state.forget_table(thing.table)
        else:
            self.state.forget(lambda one, _origin: _is_thing(one, thing))

    def remove_all(self, groups: Iterable[Group]) -> None:
        """Take out all of some groups; where the order is not known, for good."""
        self.state.forget_all(groups)
        for group in groups if not self.ordered else ():
            self.state.unknown.setdefault(group, self.file)


def _sets_path(text: str) -> bool:
    """Say whether a text may set the search path; searched in turn, as one pattern for both is slow."""
    first = _SETTER.search(text)
    return bool(first and _PATH.search(text, first.end()))


def _is_thing(one: Thing, thing: Thing) -> bool:
    return one.group == thing.group and one.detail == thing.detail and is_same(one.table, thing.table)
