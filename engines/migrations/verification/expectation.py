"""What the applied files left behind, as far as that is certain: tables, policies and row level security.

Pure. Whatever may have undone something takes it out of the expectation: a missing alarm is found by the next
check, a false one ends the trust in all of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from engines.migrations.verification.groups import GROUPS, POLICIES, TABLES, Group
from engines.migrations.verification.opaque import Judgement, mentions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Schema and table. Without a schema it is one of the login's search path (None), or of one that is not known
# (empty): any but the system's may be it.
Name = tuple[str | None, str]


@dataclass(frozen=True)
class Thing:
    """Something that is there or not.

    Attributes:
        group: which check it belongs to.
        table: the table, or the table that it is about.
        detail: name of the policy, or `enabled` or `forced`; empty for a table.
    """

    group: Group
    table: Name
    detail: str = ""


@dataclass(frozen=True)
class Origin:
    """Where a thing comes from.

    Attributes:
        file: base name of the file that made it.
        entangled: a policy that a DROP … CASCADE of something else may take along.
    """

    file: str
    entangled: bool = False


@dataclass(frozen=True)
class Doubt:
    """Text that may run at any time, such as a function's body, and what it may undo."""

    file: str
    text: str
    judgement: Judgement


@dataclass(frozen=True)
class Expectation:
    """What has to be there.

    Attributes:
        things: each with the file that made it.
        unknown: groups of which nothing can be expected, with the file that is the reason.
    """

    things: dict[Thing, str]
    unknown: dict[Group, str]


def is_same(one: Name, other: Name) -> bool:
    """Say whether two names may be one table."""
    return one[1] == other[1] and (not one[0] or not other[0] or one[0] == other[0])


@dataclass
class State:
    """What is expected behind the statements so far.

    Attributes:
        made: every expected thing.
        parents: partitions and children with their parents, with which they are dropped.
        temporary: names of temporary tables: without a schema they are not about the table of that name.
        shady: names of tables that may be others than they seem, or go with something else: those of a type,
            and those of temporary tables of files whose place in the order is not known.
        loose: tables were attached where it cannot be seen, so that any DROP TABLE may take any table along.
        roams: a function may change the search path, so that after any call it is not known.
        doubts: texts that may run at any time.
        unknown: groups of which nothing can be expected.
    """

    made: dict[Thing, Origin] = field(default_factory=dict)
    parents: dict[Name, set[Name]] = field(default_factory=lambda: defaultdict(set))
    temporary: set[str] = field(default_factory=set)
    shady: set[str] = field(default_factory=set)
    loose: bool = False
    roams: bool = False
    doubts: list[Doubt] = field(default_factory=list)
    unknown: dict[Group, str] = field(default_factory=dict)
    _gone: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, thing: Thing, origin: Origin, *, ordered: bool) -> None:
        """Expect a thing; where the order of files is not known, one that another file undid may be gone."""
        if ordered or not self._may_be_gone(thing, origin.file):
            self.made.setdefault(thing, origin)

    def _may_be_gone(self, thing: Thing, file: str) -> bool:
        keys = ((thing.table[1], ""), (thing.table[1], f"{thing.group} {thing.detail}"))
        return any(self._gone.get(key, set()) - {file} for key in keys)

    def remember_gone(self, thing: Thing, file: str) -> None:
        """Remember that a file whose place in the order is not known undid something."""
        detail = "" if thing.group == TABLES else f"{thing.group} {thing.detail}"
        self._gone[thing.table[1], detail].add(file)

    def forget(self, doomed: Callable[[Thing, Origin], bool]) -> None:
        """Take things out of the expectation."""
        self.made = {thing: origin for thing, origin in self.made.items() if not doomed(thing, origin)}

    def forget_all(self, groups: Iterable[Group]) -> None:
        """Expect nothing of these groups that was made so far."""
        chosen = set(groups)
        self.forget(lambda thing, _origin: thing.group in chosen)

    def forget_entangled(self) -> None:
        """Take out the policies that may depend on what a CASCADE dropped."""
        self.forget(lambda _thing, origin: origin.entangled)

    def forget_table(self, name: Name) -> None:
        """Take out a table with all that belongs to it: policies, partitions, children."""
        if self.loose:
            self.forget_all(GROUPS)
        gone = {name}
        while more := {child for child in self.parents if self._has_parent(child, gone)} - gone:
            gone |= more
        self.forget(lambda thing, _origin: any(is_same(thing.table, one) for one in gone))

    def _has_parent(self, child: Name, gone: set[Name]) -> bool:
        return any(is_same(parent, one) for parent in self.parents[child] for one in gone)

    def move(self, old: Name, new: Name, file: str, *, ordered: bool) -> None:
        """Follow a table to another name; where it cannot be told which table it was, expect neither."""
        moved = {thing: origin for thing, origin in self.made.items() if is_same(thing.table, old)}
        self.forget(lambda thing, _origin: thing in moved)
        family = self._family()
        if old[0] == "" or any(is_same(name, old) and name != old for name in self.names(moved)):
            self.loose = self.loose or any(is_same(name, old) for name in family)
            return
        if old[1] in self.shady:
            self.shady.add(new[1])
        self._move_family(old, new)
        for thing, origin in moved.items():
            by = replace(origin, file=f"{origin.file} and {file}")
            self.add(replace(thing, table=new), by, ordered=ordered)

    def names(self, more: Iterable[Thing] = ()) -> set[Name]:
        """Give every table that something is known about, or is in more things."""
        return self._family().union(thing.table for thing in (*self.made, *more))

    def _family(self) -> set[Name]:
        """Give every table that is a partition or child, or has some."""
        return {*self.parents, *(one for parents in self.parents.values() for one in parents)}

    def _move_family(self, old: Name, new: Name) -> None:
        """Rename in the record of partitions."""
        family: dict[Name, set[Name]] = defaultdict(set)
        for child, parents in self.parents.items():
            family[new if child == old else child] |= {new if one == old else one for one in parents}
        self.parents = family

    def settle(self) -> Expectation:
        """Give what is still expected after all that may run at any time."""
        unknown = dict(self.unknown)
        for doubt in self.doubts:
            for group in doubt.judgement.groups if doubt.judgement.dynamic else ():
                unknown.setdefault(group, doubt.file)
        self.forget(lambda thing, _origin: thing.group in unknown or thing.table[1] in self.shady)
        for doubt in self.doubts:
            self.apply(doubt)
        return Expectation({thing: origin.file for thing, origin in self.made.items()}, unknown)

    def apply(self, doubt: Doubt) -> None:
        """Take out what a text may undo: all of a group, or what it names."""
        groups = doubt.judgement.groups
        if doubt.judgement.dynamic:
            self.forget_all(groups)
            return
        named = {word for thing in self.made for word in (thing.table[1], thing.detail) if word}
        named |= {table for _schema, table in self._family()}
        said = {word for word in named if mentions(doubt.text, word)}
        if TABLES in groups:
            for name in self.names():
                if name[1] in said:
                    self.forget_table(name)
        self.forget(lambda thing, _origin: thing.group in groups and _is_named(thing, said))


def _is_named(thing: Thing, said: set[str]) -> bool:
    return (thing.detail if thing.group == POLICIES else thing.table[1]) in said
