"""What files are expected to leave behind, and what takes it out of the expectation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.migrations.files.file import MigrationFile, checksum
from engines.migrations.verification.effects import expectation
from engines.migrations.verification.presence import shown

if TYPE_CHECKING:
    from engines.migrations.verification.expectation import Expectation


def read(*texts: str, ordered: bool = True) -> Expectation:
    """Give what files named 1.sql, 2.sql, … leave behind."""
    files = [
        MigrationFile(str(n), "", f"{n}.sql", text, checksum(text)) for n, text in enumerate(texts, start=1)
    ]
    return expectation([(file, ordered) for file in files])


def things(*texts: str, ordered: bool = True) -> list[str]:
    """Name what files leave behind."""
    found = read(*texts, ordered=ordered).things
    return sorted(f"{shown(thing.table)} {thing.detail}".strip() for thing in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("create table a (); create unlogged table if not exists s.b ()", ["a", "s.b"]),
        ('create table "A""é" ()', ['A"é']),
        ("create table a as select 1; select 1 into b; select 1 into c union select 2", ["a", "b", "c"]),
        ("create table a partition of b default", ["a"]),
        ("create schema s create table t () create view v as select 1", ["s.t"]),
        ("create temp table a (); create table pg_temp.b (); select 1 into temp c", []),
        ("set search_path = pg_temp; create table a ()", []),
        ("create materialized view a as select 1; create view b as select 1", []),
        ("set search_path = s; create table a (); reset search_path; create table b ()", ["b", "s.a"]),
        ("begin; create table a (); commit; begin; create table b (); rollback", []),
        ("create policy p on a; alter table only a enable row level security", ["a enabled", "a p"]),
        ("alter table if exists a enable row level security", []),
        ("insert into a values ('drop table b'); create table b ()", ["b"]),
        ("create table broken (", []),
        ("create table t (id int); create function f() returns int as 'select 1' language sql", ["t"]),
    ],
)
def test_what_is_expected(text: str, expected: list[str]) -> None:
    """Each way to make something is known, and what does not last is not expected."""
    assert things(text) == expected


MADE = (
    "create table public.a (); create table public.b (); create table c partition of public.a default;"
    "create policy own on public.b using (auth.uid() = id);"
    "create policy others on public.b using (id in (select id from x));"
    "alter table public.b enable row level security, force row level security"
)
ALL = ["c", "public.a", "public.b", "public.b enabled", "public.b forced", "public.b others", "public.b own"]
NOT_OTHERS = [name for name in ALL if name != "public.b others"]
NO_POLICIES = ["c", "public.a", "public.b", "public.b enabled", "public.b forced"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("select 1", ALL),
        ("drop table a", ALL[2:]),  # and its partition
        ("drop table z cascade", NOT_OTHERS),
        ("drop view v cascade; drop function f cascade", NOT_OTHERS),
        ("drop type t cascade", ["c", "public.a", "public.b"]),
        ("drop schema public cascade", []),
        ("drop schema z cascade", ["public.a", "public.b", "public.b enabled", "public.b forced"]),
        ("drop owned by postgres", []),
        ("drop policy own on b", [name for name in ALL if name != "public.b own"]),
        ("alter table b no force row level security", [name for name in ALL if name != "public.b forced"]),
        ("alter table public.a rename to z", [*(n for n in ALL if n != "public.a"), "public.z"]),
        ("alter table public.a set schema s", [*(n for n in ALL if n != "public.a"), "s.a"]),
        ("alter table a rename to z", [name for name in ALL if name != "public.a"]),
        ("do $$ begin drop table if exists b; end $$", ["c", "public.a"]),
        ("do $$ begin drop index b_index; end $$", ALL),
        ("do $$ begin execute format('drop policy %I on b', 'own'); end $$", NO_POLICIES),
        ("do $$ begin execute 'drop ' || 'table x'; end $$", []),
        ("create function f() returns void language plpgsql as $$ begin drop table a; end $$", ALL[2:]),
        ("select cron.schedule('x', '@daily', 'drop table a')", ALL[2:]),
        ("create table x (id int references public.a on delete cascade)", [*ALL, "x"]),
    ],
)
def test_what_is_left(text: str, left: list[str]) -> None:
    """What a later file undoes, or may undo, is not expected; all the rest is."""
    assert things(MADE, text) == sorted(left)


def test_made_again_is_expected_again() -> None:
    """A policy that is replaced is that of the last file."""
    again = "drop policy if exists own on public.b; create policy own on public.b"
    found = {thing.detail: file for thing, file in read(MADE, again).things.items()}

    assert found["own"] == "2.sql"


def test_function_that_drops_what_it_is_told_is_named() -> None:
    """A function that may drop any table at any time leaves nothing to expect, and says so."""
    body = "create procedure p(t text) language plpgsql as $$ begin execute 'drop table ' || t; end $$"
    found = read(MADE, body)

    assert found.things == {}
    assert found.unknown == dict.fromkeys(("tables", "policies", "row security"), "2.sql")


def test_order_that_is_not_known() -> None:
    """Where files may have run in another order, a table that another file drops may be gone."""
    assert things("drop table if exists a", "create table a (); create table b ()") == ["a", "b"]
    assert things("drop table if exists a", "create table a (); create table b ()", ordered=False) == ["b"]
    assert things("drop table if exists a; create table a ()", ordered=False) == ["a"]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("exec ", ["a"]),
        ("drop ", []),
        ("drop policy ", ["a"]),
        ("set /* ", []),
        ("set --", []),
        ("set --set\n", ["a"]),
        ("--set\n", []),
        ("/**/set", ["a"]),
        ("no /* ", ["a"]),
    ],
)
def test_long_text(words: str, left: list[str]) -> None:
    """A text of 5 MB is read once, not once for each of its words (which would take hours)."""
    text = words * (5_000_000 // len(words))

    assert things("create table a ()", f"do $$ begin {text} a end $$") == left


@pytest.mark.parametrize(
    ("text", "is_left"),
    [
        ("drop/**/table a", False),
        ("drop -- it\n /* really */ table a", False),
        ("drop materialized /* not a table */ view a", True),
        ("drop /* the */ index a", True),
        (f"drop /* {'x' * 500} */ table a", False),
        (f"alter table a set -- {'x' * 500}\n schema s", False),
        (f"alter table a set {'/* x */ ' * 50} schema s", False),
        ("alter table a set/**/schema s", False),
        ("alter table a set (fillfactor = 50); perform no row, set row", True),
    ],
)
def test_comments_between_words(text: str, *, is_left: bool) -> None:
    """Comments keep nobody from seeing what a block undoes; one that is long may hide it."""
    assert things("create table a ()", f"do $$ begin {text}; end $$") == (["a"] if is_left else [])
