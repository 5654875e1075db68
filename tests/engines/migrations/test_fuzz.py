"""Random names, texts, histories and plans: no crash, no wrong plan, no statement lost."""

from __future__ import annotations

import re
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import pq

from engines.migrations import FolderError, read_folder
from engines.migrations.files.file import MigrationFile, checksum, decode, read_directives
from engines.migrations.files.folder import Folder
from engines.migrations.plan import History, Options, Progress, Record, make_plan
from engines.migrations.sql.kinds import Kind
from engines.migrations.sql.shape import Atomic, problems, shape
from engines.migrations.sql.statements import Source, prefix_hashes, read_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_postgres import Server

# --- folders

PADDED = [f"{number:03}" for number in range(1, 10)]
ODD = ["1", "2", "9", "10", "01", "0", "20210101000000", "20260101000000"]
STEMS = ["a", "init", "", "é_日本", "b c", "x'y;--", "_", "😀", "e\u0301"]
LOST = ["seed.sql", "1.sql", "002-x.sql", "003_x.SQL", "\u0661_arabic.sql", "_.sql", ".004_x.sql", "x.md"]
GOOD = [b"", b"select 1;", b"\xef\xbb\xbfselect 1", b"\r\n\r", "-- é".encode()]
BAD = [b"\xff\xfes\0", b"\0", b"caf\xe9", b"\xed\xa0\x80", b"-- groundwork: x"]
# Half of the folders can be used.
folders = st.booleans().flatmap(
    lambda good: st.dictionaries(
        st.builds("{}_{}.sql".format, st.sampled_from(PADDED + ODD * (not good)), st.sampled_from(STEMS))
        | st.sampled_from(LOST[-2:] if good else LOST),
        st.sampled_from(GOOD if good else GOOD + BAD),
        max_size=6,
    )
)


def usable(name: str, body: bytes) -> bool:
    """Say, in other words than the engine's, whether one file can be used."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    known = re.fullmatch(r"[0-9]+_.*\.sql", name) and name != "20210101000000_init.sql"
    return bool(known) and "\0" not in text and not re.search(r"--\s*groundwork:", text)


@given(folders)
@settings(deadline=None, max_examples=300, derandomize=True)
def test_any_folder_is_read_or_refused(files: dict[str, bytes]) -> None:
    """Each file that claims to be a migration is in the folder, in order, or all that is wrong is named."""
    claims = {name: body for name, body in files.items() if name.lower().endswith(".sql") and name[0] != "."}
    numbers = [(name.split("_")[0], int(name.split("_")[0])) for name in claims if re.match("[0-9]+_", name)]
    ordered = sorted(numbers) == sorted(numbers, key=lambda pair: pair[1])
    distinct = len({number for _, number in numbers}) == len(numbers)
    wrong = [name for name, body in claims.items() if not usable(name, body)]
    with tempfile.TemporaryDirectory() as path:
        for name, body in files.items():
            (Path(path) / name).write_bytes(body)
        try:
            folder = read_folder(Path(path))
        except FolderError as error:
            assert wrong or not ordered or not distinct
            named = {text.partition(": ")[0].strip("'") for text in error.problems}
            assert named >= set(wrong)
            return
    assert not wrong
    assert ordered
    assert distinct
    assert [file.file for file in folder.files] == sorted(claims, key=lambda name: int(name.split("_")[0]))
    assert set(folder.ignored) == files.keys() - claims.keys()


# --- plans

TEXTS = {
    "select 1": True,
    "select 1; vacuum; select 2;": True,
    "begin; select 1": False,
    "vacuum; selct": False,
}
FINE = ["new", "applied", "foreign", "begun"]
WRONG = ["edited", "foreign edited", "gone", "begun otherwise", "absent"]
# Most of them could be run.
items = st.sampled_from([(FINE, 2), (FINE, 2), (FINE, 4), (FINE + WRONG, 2)]).flatmap(
    lambda kind: st.dictionaries(
        st.integers(1, 9),
        st.tuples(st.sampled_from(kind[0]), st.sampled_from(list(TEXTS)[: kind[1]])),
        max_size=7,
    )
)


def known(version: str, state: str, sql: str) -> Record | Progress | None:
    """Give what a database knows about a version."""
    if state in {"applied", "edited"}:
        return Record(version, "x", checksum(sql if state == "applied" else sql + " -- more"))
    if state in {"foreign", "foreign edited", "gone"}:
        pieces = read_script(sql).pieces if state != "foreign edited" else ["select 'other'"]
        return Record(version, "x", None, tuple(pieces))
    if state.startswith("begun"):
        return Progress(version, 1, prefix_hashes(sql if state == "begun" else "select 9")[1])
    return None


def folder_of(found: dict[int, tuple[str, str]]) -> Folder:
    """Make the folder of these versions."""
    files = [
        MigrationFile(f"{n:03}", "x", f"{n:03}_x.sql", sql, checksum(sql))
        for n, (state, sql) in sorted(found.items())
        if state not in {"gone", "absent"}
    ]
    return Folder(Path("m"), "numbered", tuple(files))


@given(items, st.sampled_from([True, True, False]), st.none() | st.integers(0, 6))
@settings(deadline=None, max_examples=1000, derandomize=True)
def test_any_history_gives_the_right_plan(
    found: dict[int, tuple[str, str]],
    late: bool,  # noqa: FBT001  # drawn
    limit: int | None,
) -> None:
    """What would run is what has no row, in order; it is refused if and only if something is wrong."""
    to = sorted(found)[limit] if limit is not None and limit < len(found) else limit
    facts = [known(f"{n:03}", state, sql) for n, (state, sql) in found.items()]
    history = History(
        {fact.version: fact for fact in facts if isinstance(fact, Record)},
        {fact.version: fact for fact in facts if isinstance(fact, Progress)},
    )
    options = Options(allow_out_of_order=late, to=None if to is None else f"{to:03}")

    plan = make_plan(folder_of(found), history, options)

    waiting = {"new", "begun", "begun otherwise"}
    pending = [n for n, (state, _) in sorted(found.items()) if state in waiting and (to is None or n <= to)]
    last = max((int(version) for version in history.records), default=0)
    wrong = any(state in {"edited", "foreign edited", "gone"} for state, _ in found.values())
    wrong |= any(found[n][0] == "begun otherwise" or not TEXTS[found[n][1]] for n in pending)
    wrong |= not late and any(n < last and found[n][0] == "new" for n in pending)
    wrong |= to is not None and found.get(to, ("absent", ""))[0] in {"absent", "gone"}
    assert [int(file.version) for file in plan.pending] == pending
    assert bool(plan.refusals) == wrong, plan.refusals
    assert all(first < second for first, second in pairwise(entry.version for entry in plan.entries))


# --- statements

WORDS = [
    "select",
    "1",
    ";",
    ";",
    "'",
    "''",
    '"',
    "$$",
    "$a$",
    "--",
    "/*",
    "*/",
    "\n",
    "\r",
    " ",
    "\t",
    "\f",
    "\v",
    "E'",
    "\\",
    "U&'",
    "(",
    ")",
    "begin",
    "commit",
    "begin atomic",
    "end",
    "case when true then 1 end",
    "é",
    "\u00a0",
    "create rule r as on insert to t do also",
    "do",
    "copy t from stdin",
    "vacuum",
    "set role x",
    "rollback to a",
    "-- groundwork: no-transaction\n",
    "savepoint a",
    "set standard_conforming_strings = off",
    "\ufeff",
    "😀",
    "\\d",
    "x",
]
soups = st.builds(str.join, st.sampled_from([" ", "", ";"]), st.lists(st.sampled_from(WORDS), max_size=14))


@given(soups)
@settings(deadline=None, max_examples=2000, derandomize=True)
def test_any_text_is_cut_without_a_loss(sql: str) -> None:
    """Statements are in order and apart; what is between them is blank, a comment or a semicolon."""
    script = read_script(sql)
    way = shape(script)

    spans = [(s.start, s.end) for s in script.statements]
    assert all(0 <= start <= end <= len(sql) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert re.sub(r"[\s;]", "", "".join(script.pieces)) == re.sub(r"[\s;]", "", sql)
    assert len(prefix_hashes(sql)) == len(spans) + 1
    assert all(
        text.startswith("line ")
        for transaction in (True, False)
        for text in problems(script, transaction=transaction)
    )
    if not isinstance(way, Atomic):
        covered = [index for unit in way for index in range(unit.first, unit.end)]
        assert covered == sorted(set(covered))
    read_directives(sql)
    assert decode(sql.encode()) == sql.removeprefix("\ufeff")


@pytest.fixture(scope="module")
def wire(postgres_server: Server) -> Iterator[pq.abc.PGconn]:
    """Give a bare connection."""
    connection = pq.PGconn.connect(postgres_server.dsn("postgres").encode())
    yield connection
    connection.finish()


FRAGMENTS = [
    "select 1",
    "select ';'",
    "select $a$;$$;$a$",
    "select E'\\';'",
    "select U&'\\0041;'",
    "select 1 -- ;\n",
    "select 1 -- ;\r",
    "/* ; /* ; */ */ select 1",
    'select 1 as ";"',
    "select 'a'\n'b;'",
    "begin",
    "commit",
    "savepoint a",
    "do $$ begin end $$",
    "create or replace function pg_temp.f() returns int begin atomic select 1; select 2; end",
    "set work_mem = 64",
    "(select 1)",
    "select case when true then 1 end",
    "values (1), (2)",
    "table pg_am",
    "select n'x;'",
    "select 1\f",
    "select\v1",
    "\ufeff",
    "'",
    "$$",
    "/*",
    ")",
    "\u00a0",
    "selct",
    "select 1 \\",
    "show all",
    "explain select 1;;",
]


@given(
    st.lists(
        st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from([";", ";\n", " ; -- x\n", ";;", ";/* ; */"])),
        max_size=6,
    )
)
@settings(deadline=None, max_examples=400, derandomize=True)
def test_cut_as_the_server_cuts(wire: pq.abc.PGconn, parts: list[tuple[str, str]]) -> None:
    """What the server can parse we can, and it runs as many statements as we count."""
    sql = "".join(fragment + end for fragment, end in parts)
    script = read_script(sql)

    wire.send_query(sql.encode())
    results: list[pq.abc.PGresult] = []
    while result := wire.get_result():
        results.append(result)
    wire.exec_(b"rollback; discard temp")

    states = {result.error_field(pq.DiagnosticField.SQLSTATE) for result in results}
    wrong = b"42601" in states
    assert (script.source is not Source.PARSER) == wrong, [result.error_message for result in results]
    real = [s for s in script.statements if s.kind is not Kind.COMMENT]
    if states <= {None}:
        ran = [result for result in results if result.status != pq.ExecStatus.EMPTY_QUERY]
        assert len(ran) == len(real)
