"""What is expected of random files holds in the database that they really made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from engines.migrations.files.file import MigrationFile, checksum
from engines.migrations.verification.effects import expectation
from engines.migrations.verification.groups import POLICIES, TABLES
from engines.migrations.verification.presence import absent, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines.migrations.sessions.wire import Session
    from engines.migrations.verification.expectation import Thing

TABLE = st.sampled_from(["a", "b", "public.a", "public.b", "s.a", "s.b", '"Ä b"'])
BARE = st.sampled_from(["a", "b", '"Ä b"'])
POLICY = st.sampled_from(["p", "q", '"all may"'])
SHAPES = [
    "create table {t} (id int)",
    "create table if not exists {t} (id int)",
    "create temp table {n} (id int)",
    "create table {t} partition by list (id)".replace("{t} ", "{t} (id int) "),
    "create table {t} partition of {u} default",
    "create table {t} () inherits ({u})",
    "create table {t} as select 1 as id",
    "select 1 as id into {t}",
    "select count(*) from {t}",
    "create type kind as (id int)",
    "create table {t} of kind",
    "drop type kind cascade",
    "create view v as select id from {t}",
    "drop view v cascade",
    "drop table {t}",
    "drop table if exists {t}, {u}",
    "drop table {t} cascade",
    "alter table {t} rename to {n}",
    "alter table if exists {t} rename to {n}",
    "alter table {t} set schema s",
    "alter table {t} set schema public",
    "alter table {t} attach partition {u} default",
    "alter table {t} detach partition {u}",
    "alter table {t} inherit {u}",
    "alter table {t} drop column id cascade",
    "create policy {p} on {t}",
    "create policy {p} on {t} using (id > 0)",
    "create policy {p} on {t} using (exists (select from {u}))",
    "create policy {p} on {t} using (id in (select id from v))",
    "drop policy {p} on {t}",
    "drop policy if exists {p} on {t}",
    "alter policy {p} on {t} rename to q",
    "alter table {t} enable row level security",
    "alter table if exists {t} enable row level security, force row level security",
    "alter table {t} force row level security",
    "alter table {t} no force row level security",
    "alter table {t} disable row level security",
    "set search_path = s",
    "set search_path = s, public",
    "set search_path = pg_temp, public",
    "select set_config('search_path', 's', false)",
    "set local search_path = s",
    "reset search_path",
    "create schema s",
    "create schema s create table a (id int) create table b (id int)",
    "drop schema s cascade",
    "alter schema s rename to z",
    "alter schema z rename to s",
    "do $$ begin drop table if exists {t}; end $$",
    "do $$ begin execute 'drop table ' || quote_ident('a') || ' cascade'; end $$",
    "do $$ begin execute format('drop policy %I on {t}', 'p'); end $$",
    "do $$ begin drop policy if exists {p} on {t}; end $$",
    "do $$ begin alter table {t} disable row level security; end $$",
    "do $$ begin alter table {t} rename to {n}; end $$",
    "do $$ begin alter table {t} attach partition {u} default; end $$",
    "do $$ begin perform set_config('search_path', 's', false); end $$",
    "create function f() returns void language plpgsql as $$ begin drop table if exists {t}; end $$",
    "create function g() returns void language plpgsql as $$ begin execute 'drop table a'; end $$",
    "select f()",
    "select g()",
    "drop owned by current_user",
]
STATEMENT = st.builds(
    lambda shape, t, u, n, p: shape.format(t=t, u=u, n=n, p=p),
    st.sampled_from(SHAPES),
    TABLE,
    TABLE,
    BARE,
    POLICY,
)
# A file's statements, and whether it rolls them back.
FILE = st.tuples(st.lists(STATEMENT, min_size=1, max_size=6), st.sampled_from([False, False, False, True]))
FILES = st.lists(FILE, min_size=1, max_size=6)
quickly = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def fuzzed(database: str) -> Iterator[Session]:
    """Give a session with a schema to write to; every example is one transaction, rolled back."""
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("create schema s")
        yield session


def run(session: Session, number: int, statements: list[str], *, undone: bool) -> MigrationFile:
    """Run what the server takes of a file, and give a file of that."""
    session.execute("reset all")
    session.execute("savepoint file")
    done = []
    for statement in statements:
        session.execute("savepoint one")
        try:
            session.execute(statement.encode())
            done.append(statement)
        except psycopg.Error:
            session.execute("rollback to savepoint one")
    if undone:
        session.execute("rollback to savepoint file")
        done = ["begin", *done, "rollback"]
    text = ";\n".join(done)
    return MigrationFile(f"{number:03}", "x", f"{number:03}_x.sql", text, checksum(text))


def lost(session: Session, files: list[MigrationFile], *, ordered: bool = True) -> list[str]:
    """List what is expected and not there."""
    found = absent(session, expectation([(file, ordered) for file in files]))
    return [text for texts in found.values() for text in texts]


@quickly
@given(FILES)
def test_no_false_alarm(fuzzed: Session, files: list[tuple[list[str], bool]]) -> None:
    """Whatever files make, drop, rename and hide in blocks and functions: nothing of it is missed."""
    fuzzed.execute("begin")
    try:
        done = [run(fuzzed, n, statements, undone=undone) for n, (statements, undone) in enumerate(files)]
        assert lost(fuzzed, done) == [], [file.sql for file in done]
    finally:
        fuzzed.execute("rollback")


@quickly
@given(FILES, st.randoms(use_true_random=False))
def test_no_false_alarm_when_the_order_is_not_known(
    fuzzed: Session, files: list[tuple[list[str], bool]], random: object
) -> None:
    """Files that another tool ran, in an order that no history tells, give no false alarm either."""
    fuzzed.execute("begin")
    try:
        order = list(enumerate(files))
        random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
        done = [run(fuzzed, number, statements, undone=undone) for number, (statements, undone) in order]
        done.sort(key=lambda file: file.version)
        assert lost(fuzzed, done, ordered=False) == [], [file.sql for file in done]
    finally:
        fuzzed.execute("rollback")


MAKING = [
    shape for shape in SHAPES if not shape.startswith(("do", "create function", "drop owned", "drop schema"))
]
MADE = st.builds(
    lambda shape, t, u, n, p: shape.format(t=t, u=u, n=n, p=p),
    st.sampled_from(MAKING),
    TABLE,
    TABLE,
    BARE,
    POLICY,
)


@quickly
@given(st.lists(st.lists(MADE, min_size=3, max_size=8), min_size=1, max_size=4), st.data())
def test_what_is_undone_by_hand_is_told(fuzzed: Session, files: list[list[str]], data: st.DataObject) -> None:
    """What is expected is missed when it is gone, by its name and that of the file that made it."""
    fuzzed.execute("begin")
    try:
        done = [run(fuzzed, number, statements, undone=False) for number, statements in enumerate(files)]
        expected = expectation([(file, True) for file in done]).things
        surely = sorted((thing for thing in expected if is_single(fuzzed, thing)), key=repr)
        assume(surely)
        thing = data.draw(st.sampled_from(surely))
        event(thing.group)
        undo(fuzzed, thing)
        told = [text for text in lost(fuzzed, done) if shown(thing.table) in text and expected[thing] in text]
        assert told, (thing, [file.sql for file in done])
    finally:
        fuzzed.execute("rollback")


def is_single(session: Session, thing: Thing) -> bool:
    """Say whether there is one table of this name only, so that no other can stand for it."""
    row = session.execute("select count(*) from pg_class where relname = %s", [thing.table[1]]).fetchone()
    return row == (1,)


def undo(session: Session, thing: Thing) -> None:
    """Undo by hand."""
    row = session.execute("select oid::regclass::text from pg_class where relname = %s", [thing.table[1]])
    [table] = row.fetchone() or ("",)
    if thing.group == TABLES:
        session.execute(f"drop table {table} cascade".encode())
    elif thing.group == POLICIES:
        session.execute(f'drop policy "{thing.detail}" on {table}'.encode())
    else:
        way = "disable" if thing.detail == "enabled" else "no force"
        session.execute(f"alter table {table} {way} row level security".encode())
