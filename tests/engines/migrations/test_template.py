"""The directive and the statement of a backfill, before any database is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.migrations import MigrationFile
from engines.migrations.backfills.template import Template, _holes, read_template
from engines.migrations.files.backfill import Backfill, name_parts, read_backfill
from engines.migrations.files.file import Directives, checksum, read_directives
from engines.migrations.files.folder import Folder
from engines.migrations.plan import History, make_plan

HEAD = "-- groundwork: backfill table=accounts key=id\n"
GOOD = "update accounts set note = 'x' where note is null and {batch};"


def file(sql: str) -> MigrationFile:
    """Make a file from its text; its directives must be right."""
    directives, problems = read_directives(sql)
    assert problems == []
    return MigrationFile("001", "fill", "001_fill.sql", sql, checksum(sql), directives)


def refusals(sql: str) -> tuple[str, ...]:
    """Say why a file would not run."""
    return make_plan(Folder(Path("x"), "numbered", (file(sql),)), History()).refusals


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("table=accounts key=id", Backfill("accounts", "id", 1_000, 50_000, 0.0)),
        ("key=id table=public.accounts batch=10000", Backfill("public.accounts", "id", 1_000, 10_000)),
        ("table=t key=id batch=10", Backfill("t", "id", 10, 10)),
        ("table=t key=id batch=50..200 pause=20ms", Backfill("t", "id", 50, 200, 0.02)),
        ('table="My Schema"."T""x" key="I d" pause=2s', Backfill('"My Schema"."T""x"', '"I d"', pause_s=2.0)),
    ],
)
def test_directive(words: str, expected: Backfill) -> None:
    """Words in any order; `batch` is the most rows, or the least and the most."""
    assert read_backfill(words) == expected


def test_names() -> None:
    """Names are folded as PostgreSQL folds them, unless quoted."""
    assert name_parts('Public."My ""T"') == ["public", 'My "T']
    assert Backfill("t", "Id").column == "id"
    assert Backfill("t", '"Id"').column == "Id"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("key=id", "`table=` is missing"),
        ("table=t", "`key=` is missing"),
        ("table=t key=a,b", "`key=a,b` is not the name of one column"),
        ("table=a.b.c key=id", "`table=a.b.c` is not an SQL name"),
        ("table=t key=id batch=0", "`batch=0` is not a number of rows"),
        ("table=t key=id batch=9..3", "`batch=9..3` is not a number of rows"),
        ("table=t key=id pause=soon", "`pause=soon` is not a time"),
        ("table=t key=id wait=1", "`wait` is not known"),
        ("table=t key=id table=u", "`table` stands twice"),
        ("table t", "`table t` is not understood"),
    ],
)
def test_wrong_directive(words: str, text: str) -> None:
    """A directive that is wrong says what is, with its line."""
    _, problems = read_directives(f"\n-- groundwork: backfill {words}\n{GOOD}")

    assert len(problems) == 1
    assert problems[0].startswith("line 2: directive `backfill`: ")
    assert text in problems[0]


@given(st.text(max_size=60))
def test_directive_of_any_text(words: str) -> None:
    """No text crashes it: it is read, or says what is wrong."""
    directives, problems = read_directives(f"-- groundwork: backfill {words}")

    assert bool(directives.backfill) != bool(problems)


def test_verify_belongs_to_backfills() -> None:
    """In another file the line would be ignored, so it is a problem."""
    _, problems = read_directives("select 1;\n-- groundwork: verify\nselect 2;")

    assert problems == ["line 2: `verify` belongs to a backfill, which this file is not"]


REFUSED = {
    "no placeholder": ("update accounts set note = 'x';", "line 2: the statement has no {batch}"),
    "only in a string": ("update accounts set note = '{batch}';", "the statement has no {batch}"),
    "only in a comment": ("-- {batch}\nupdate accounts set a = 1;", "line 3: the statement has no {batch}"),
    "two statements": (f"{GOOD}\nselect 1;", "line 3: a backfill is one statement, and this is another"),
    "none": ("-- nothing", "holds no statement"),
    "kind": ("lock table accounts; -- {batch}", "is an UPDATE, DELETE, INSERT, MERGE or SELECT"),
    "table": ("update users set a = 1 where {batch}", "does not use the table accounts"),
    "key": ("update accounts set id = id + 1 where {batch}", "the statement changes the key id"),
    "syntax": ("update accounts sett a = 1 where {batch}", "line 2: syntax error"),
    "quote": ("update accounts set a = 'x where {batch}", "line 2: unterminated quoted string"),
    "verify nothing": (f"{GOOD}\n-- groundwork: verify\n", "stands one SELECT"),
    "verify writes": (f"{GOOD}\n-- groundwork: verify\ndelete from accounts", "stands one SELECT"),
    "verify a batch": (f"{GOOD}\n-- groundwork: verify\nselect 1 where {{batch}}", "sees the whole table"),
    "no transaction": (f"-- groundwork: no-transaction\n{GOOD}", "remove the directive `no-transaction`"),
}


@pytest.mark.parametrize(("sql", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_before_anything_runs(sql: str, text: str) -> None:
    """What cannot be a backfill is refused by file name and line."""
    found = refusals(HEAD + sql)

    assert any(refusal.startswith("001_fill.sql, ") and text in refusal for refusal in found), found


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        (GOOD, '"accounts"."id"'),
        ("update accounts a set x = 1 from accounts b where {batch}", '"a"."id"'),
        ("with x as (select 1) update public.accounts as A set x = 1 where {batch}", '"a"."id"'),
        ("insert into other select * from accounts s where {batch}", '"s"."id"'),
        ("insert into accounts (x) select x from accounts s where {batch}", '"s"."id"'),
        ("delete from accounts using b where {batch}", '"accounts"."id"'),
        ("select touch(id) from accounts where {batch}", '"accounts"."id"'),
    ],
)
def test_key_is_named_as_the_statement_knows_it(sql: str, column: str) -> None:
    """An alias is used where there is one, so that no column is ambiguous."""
    assert refusals(HEAD + sql) == ()
    assert read_template(file(HEAD + sql), read_backfill("table=accounts key=id")).column == column


def test_placeholders_in_strings_and_comments_stay() -> None:
    """Only what PostgreSQL reads as the statement is filled."""
    sql = (
        HEAD + "-- é {batch}\nupdate accounts set note = '{batch}' where {batch} /* {batch} */ or {batch};\n"
    )
    template = read_template(file(sql), read_backfill("table=accounts key=id"))

    assert template.fill("(k)") == "update accounts set note = '{batch}' where (k) /* {batch} */ or (k)"


@given(st.lists(st.sampled_from(["a ", "{batch}", "'é{batch}' ", "+ "]), min_size=1), st.integers(1, 30))
def test_offsets_lead_back(words: list[str], width: int) -> None:
    """An offset in the filled statement is found at the same character of the file's statement."""
    text = "update accounts set x = 1 where {batch} and " + " ".join(words)
    template = read_template_of(text)
    filled = template.fill("(" + "k" * width + ")")

    for offset, character in enumerate(filled):
        origin = template.origin(offset, width + 2)
        assert text[origin] == character or text.startswith("{batch}", origin)


def read_template_of(text: str) -> Template:
    """Make a template of any text, right or wrong."""
    return Template(text, tuple(_holes(text)), "id", 0, None)


def test_steps_may_change() -> None:
    """The hash that a resumed run compares knows the statement and the key, not the steps or line ends."""
    one = read_template(
        file(HEAD + "update accounts\nset x = 1 where {batch}"), read_backfill("table=accounts key=id")
    )
    two = read_template(
        file(HEAD.replace("key=id", "key=id batch=7") + "\nupdate accounts\r\nset x = 1 where {batch};"),
        read_backfill("table=accounts key=id batch=7"),
    )

    assert one.digest == two.digest
    assert Directives().backfill is None
