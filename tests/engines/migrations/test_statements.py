"""Splitting and classifying: PostgreSQL's own parser decides."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.migrations.sql.kinds import Kind, classify, may_be_special
from engines.migrations.sql.statements import Source, read_script

STATEMENTS = [
    "select 1",
    "select 'a;b', ';'",
    'select ";" from "t;x"',
    "select $$a;b$$, $x$ $$;$$ $x$",
    "select E'\\';'",
    "select /* ; /* nested ; */ */ 1",
    "select 1 -- tail ; é\n",
    "create rule r as on insert to t do also (insert into a values (1); insert into b values (2))",
    "create function f() returns int begin atomic select 1; select case when true then 1 end; end",
    "do $é$ begin perform 1; end $é$",
    "begin",
    "commit",
    "insert into \U0001f600 values ('\U0001f600;')",
]
GAPS = ["", ";", "\n", " \t", "-- note; é\n", "/* c ; */", "\r\n", ";;\n"]


@pytest.mark.parametrize(
    ("sql", "pieces"),
    [
        ("", []),
        (" ;; \n;", []),
        ("-- only", ["-- only"]),
        ("select 1;\n-- end", ["select 1", "-- end"]),
        ("-- a\nselect 1 -- b\n; /* c */ select 2", ["-- a\nselect 1 -- b", "/* c */ select 2"]),
        ("select 1; -- x ; y\n; select 2", ["select 1", "-- x ; y", "select 2"]),
        ("select 1\r\n;\r\nselect\r\n2", ["select 1", "select\r\n2"]),
    ],
)
def test_pieces(sql: str, pieces: list[str]) -> None:
    """Pieces are what stands between semicolons, with comments, without outer blanks."""
    assert read_script(sql).pieces == pieces


@given(
    st.lists(st.tuples(st.sampled_from(GAPS), st.sampled_from(STATEMENTS)), max_size=6), st.sampled_from(GAPS)
)
@settings(deadline=None, max_examples=300)
def test_every_statement_is_one_piece(parts: list[tuple[str, str]], end: str) -> None:
    """Whatever stands between statements, each of them is found whole, at its place."""
    sql = ";".join(gap + text for gap, text in parts) + (";" if parts else "") + end

    real = [s for s in read_script(sql).statements if s.kind is not Kind.COMMENT]

    assert [sql[s.start : s.end].strip() for s in real] == [text.strip() for _, text in parts]


@given(st.one_of(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
@settings(deadline=None, max_examples=300)
def test_splitting_loses_nothing(sql: str) -> None:
    """Any text survives splitting: joined pieces have all of it but semicolons and blanks."""
    pieces = read_script(sql).pieces

    assert re.sub(r"[\s;]", "", "".join(pieces)) == re.sub(r"[\s;]", "", sql)


def test_syntax_error_keeps_statements_apart() -> None:
    """A file that does not parse is still split, so that an error can be placed."""
    script = read_script("select 1;\n-- c\nselct 2;\nselect 3")

    assert script.source is Source.SCANNER
    assert script.pieces == ["select 1", "-- c\nselct 2", "select 3"]
    assert [script.line(s.start) for s in script.statements] == [1, 3, 4]


@pytest.mark.parametrize(
    ("sql", "kind", "tag"),
    [
        ("create unique index concurrently i on s.t (a)", Kind.ALONE, "CREATE INDEX CONCURRENTLY"),
        ("drop index concurrently if exists a.b", Kind.ALONE, "DROP INDEX CONCURRENTLY"),
        ("reindex (verbose, concurrently) table t", Kind.ALONE, "REINDEX CONCURRENTLY"),
        ("reindex schema public", Kind.ALONE, "REINDEX"),
        ("vacuum (full) t", Kind.ALONE, "VACUUM"),
        ("alter system set work_mem = '8MB'", Kind.ALONE, "ALTER SYSTEM"),
        ("alter /* x */ system reset all", Kind.ALONE, "ALTER SYSTEM"),
        ("create -- x\ndatabase d", Kind.ALONE, "CREATE DATABASE"),
        ("drop database d", Kind.ALONE, "DROP DATABASE"),
        ("alter database d set tablespace x", Kind.ALONE, "ALTER DATABASE SET TABLESPACE"),
        ("create tablespace t location '/x'", Kind.ALONE, "CREATE TABLESPACE"),
        ("alter table a detach partition s.b concurrently", Kind.ALONE, "DETACH PARTITION CONCURRENTLY"),
        ("alter table a detach partition b finalize", Kind.ALONE, "DETACH PARTITION CONCURRENTLY"),
        ("create subscription s connection '' publication p", Kind.ALONE, "CREATE SUBSCRIPTION"),
        ("cluster t", Kind.ALONE, "CLUSTER"),
        ("commit prepared 'x'", Kind.ALONE, "COMMIT PREPARED"),
        ("call p()", Kind.PROCEDURE, "CALL"),
        ("start transaction read write", Kind.BEGIN, None),
        ("begin isolation level serializable, read only", Kind.REFUSED, None),
        ("set transaction read only", Kind.REFUSED, None),
        ("set transaction read write", Kind.SETTING, None),
        ("end", Kind.COMMIT, None),
        ("abort", Kind.ROLLBACK, None),
        ("rollback to savepoint a", Kind.PLAIN, None),
        ("set role x", Kind.SETTING, "role"),
        ("reset all", Kind.SETTING, None),
        ("set local work_mem = '1MB'", Kind.PLAIN, None),
        ("analyze t", Kind.PLAIN, None),
        ("create index i on t (concurrently)", Kind.PLAIN, None),
        ("alter table a detach partition b", Kind.PLAIN, None),
        ("refresh materialized view concurrently m", Kind.PLAIN, None),
        ("create table system (a int)", Kind.PLAIN, None),
        ("set client_encoding = 'UTF8'", Kind.SETTING, "client_encoding"),
        ("set client_encoding = 'LATIN1'", Kind.REFUSED, None),
        ("discard all", Kind.REFUSED, None),
        ("copy t from stdin", Kind.REFUSED, None),
        ("copy t from '/x'", Kind.PLAIN, None),
        ("prepare transaction 'x'", Kind.REFUSED, None),
        ("commit and chain", Kind.REFUSED, None),
    ],
)
def test_kinds(sql: str, kind: Kind, tag: str | None) -> None:
    """What matters for transactions is recognised, and nothing else, and the quick look never hides it."""
    found = classify(sql)

    assert found[0] is kind
    assert tag in {None, found[1]}
    assert kind is Kind.PLAIN or may_be_special(sql)
