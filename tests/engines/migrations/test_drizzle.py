"""Drizzle's folders and history without Drizzle: problems by name, order, pieces, matching, many runners."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.migrations import FolderError, mark_disposable, read_folder
from engines.migrations.files.drizzle import MARK, join_pieces
from engines.migrations.files.new import create
from engines.migrations.history.drizzle import DrizzleTable
from engines.migrations.plan import History, Options, make_plan
from engines.migrations.sql.statements import read_script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.migrations.conftest import Project

START = 1_700_000_000_000


def write(path: Path, name: str, text: str = "select 1;") -> None:
    """Write a file and the folders above it."""
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(text.encode())


def journal(path: Path, *entries: tuple[str, Any], **other: Any) -> None:
    """Write a journal of tags and times."""
    listed = [{"idx": i, "tag": tag, "when": when} for i, (tag, when) in enumerate(entries)]
    write(path, "meta/_journal.json", json.dumps({"entries": listed, **other}))


def problems(path: Path, layout: str | None = None) -> tuple[str, ...]:
    """Give the problems of a folder."""
    with pytest.raises(FolderError) as caught:
        read_folder(path, layout=layout)
    return caught.value.problems


def test_journal_makes_it_drizzle(tmp_path: Path) -> None:
    """The journal tells the layout and the order; snapshots, checks and other files are no migrations."""
    journal(tmp_path, ("0001_b", START), ("0000_a", START + 1), ("thor", START + 2))
    for name in (
        "0000_a.sql",
        "0001_b.sql",
        "thor.sql",
        "meta/0000_snapshot.json",
        "seed.sql",
        "checks/c.sql",
    ):
        write(tmp_path, name)

    folder = read_folder(tmp_path)

    assert folder.layout == "drizzle"
    assert [(f.version, f.name, f.file) for f in folder.files] == [
        ("0001_b", "b", "0001_b.sql"),
        ("0000_a", "a", "0000_a.sql"),
        ("thor", "thor", "thor.sql"),
    ]
    assert folder.ignored == ("seed.sql",)


def test_folders_make_it_drizzle_1(tmp_path: Path) -> None:
    """Folders with a migration.sql are those of 1.0, in the order of their names."""
    write(tmp_path, "20260102000000_b/migration.sql")
    write(tmp_path, "20260101000000_a/migration.sql")

    folder = read_folder(tmp_path, layout="drizzle")

    assert folder.layout == "drizzle-1"
    assert [file.version for file in folder.files] == ["20260101000000_a", "20260102000000_b"]
    when = datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000
    assert folder.files[0].entry is not None
    assert folder.files[0].entry.when == when


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "has no list `entries`"),
        ('{"entries": [], "dialect": "mysql"}', "is for mysql, not for PostgreSQL"),
        ('{"entries": [{"tag": "a"}]}', "entry 0 (a) has no time `when`"),
        ('{"entries": [{"tag": "../a", "when": 1}]}', "entry 0 has no usable `tag`"),
        ('{"entries": [{"tag": "a", "when": 1}, {"tag": "a", "when": 2}]}', "names a twice"),
        ('{"entries": [1]}', "entry 0 has no usable `tag`"),
    ],
)
def test_journal_that_cannot_be_used(tmp_path: Path, text: str, problem: str) -> None:
    """What is wrong with the journal is said by its name."""
    write(tmp_path, "meta/_journal.json", text)

    (found,) = problems(tmp_path)

    assert found.startswith(f"meta/_journal.json: {problem}")


def test_drizzle_without_a_journal(tmp_path: Path) -> None:
    """A folder that is said to be Drizzle's, and has neither journal nor folders, is an error."""
    assert problems(tmp_path, "drizzle") == ("meta/_journal.json: cannot be read: No such file or directory",)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    """All files of the journal that cannot be used are named at once; Drizzle says nothing at all."""
    journal(tmp_path, ("0000_gone", START), ("0001_bytes", START + 1), ("0002_word", START + 2))
    (tmp_path / "0001_bytes.sql").write_bytes(b"select '\xff';")
    write(tmp_path, "0002_word.sql", "-- groundwork: faster\nselect 1;")

    gone, not_text, directive = problems(tmp_path)

    assert gone == "0000_gone.sql: does not exist; get it back from version control"
    assert not_text.startswith("0001_bytes.sql: line 1: is not UTF-8")
    assert directive.startswith("0002_word.sql: line 1: directive `faster` is not known")


def test_file_that_the_journal_does_not_name(tmp_path: Path) -> None:
    """A file with a version that Drizzle would silently ignore is an error."""
    journal(tmp_path, ("0000_a", START))
    for name in ("0000_a.sql", "0001_lost.sql"):
        write(tmp_path, name)

    (found,) = problems(tmp_path)

    assert found.startswith("0001_lost.sql: would never run: meta/_journal.json does not name it")


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    """A folder without a file, with a time that is none, or without one, and a loose file, are errors."""
    (tmp_path / "20260101000000_empty").mkdir()
    for name in ("20261301000000_month", "plain", "20260102000000_good"):
        write(tmp_path, f"{name}/migration.sql")

    assert [text.partition(":")[0] for text in problems(tmp_path)] == [
        "20260101000000_empty/migration.sql",
        "20261301000000_month",
        "plain",
    ]


def test_loose_file_beside_folders(tmp_path: Path) -> None:
    """A numbered file beside the folders of 1.0 would never run."""
    write(tmp_path, "20260102000000_good/migration.sql")
    write(tmp_path, "0001_loose.sql")

    assert problems(tmp_path)[0].startswith("0001_loose.sql: would never run")


def test_both_forms_at_once(tmp_path: Path) -> None:
    """Drizzle 1.0 refuses a folder that still has a journal; so do we, with the way out."""
    journal(tmp_path, ("0000_a", START))
    write(tmp_path, "0000_a.sql")
    write(tmp_path, "20260101000000_b/migration.sql")

    assert "run `drizzle-kit up`" in problems(tmp_path)[0]


def test_prisma_is_not_taken_for_drizzle(tmp_path: Path) -> None:
    """Prisma's folders look like those of Drizzle 1.0, but have another history."""
    write(tmp_path, "20260101000000_a/migration.sql")
    write(tmp_path, "migration_lock.toml")

    assert problems(tmp_path)[0].startswith("migration_lock.toml: Prisma made this folder")


def test_new_leaves_the_journal_to_drizzle(tmp_path: Path) -> None:
    """`new` does not make a file without its snapshot and entry."""
    journal(tmp_path)

    with pytest.raises(FolderError, match="drizzle-kit generate --custom"):
        create(tmp_path, "more")


A, B = "select 1", "select 2"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([f"{A};", f"\n{B};"], [A, f"{MARK}\n{B}"]),
        ([A, f"\n{B}"], [A, B]),
        ([f"{A}; ", f" {B};"], [A, B]),
        ([f"{A} -- x;", f"\n{B}"], [f"{A} -- x;", B]),
        ([A, "", "\n", B], [A, f"{MARK}\n", B]),
        (["commit;", f"\n{A};", "\nbegin;"], ["commit", f"{MARK}\n{A}", f"{MARK}\nbegin", "COMMIT"]),
        (["begin;", f"\n{A};", "\ncommit;"], ["begin", f"{MARK}\n{A}", f"{MARK}\ncommit"]),
    ],
)
def test_pieces(pieces: list[str], expected: list[str]) -> None:
    """Pieces become statements, also without a semicolon; a transaction left open for Drizzle is ended."""
    script = read_script(join_pieces(MARK.join(pieces)))

    assert [piece.strip() for piece in script.pieces] == [piece.strip() for piece in expected]


@given(st.lists(st.sampled_from(["select 1", "select 2;", "\nselect 3;\n", "-- c\n", "", "\n", "/* ; */ "])))
def test_pieces_lose_nothing(pieces: list[str]) -> None:
    """Whatever is between breakpoints, each statement runs once, on its own line."""
    text = MARK.join(pieces)

    joined = join_pieces(text)
    script = read_script(joined)

    for word in ("select 1", "select 2", "select 3"):
        assert sum(s.text.count(word) for s in script.statements) == text.count(word)
    assert script.syntax_error is None
    assert len(joined) >= len(text) - len(MARK) * len(pieces)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("xyz")), max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("xyz")), max_size=6),
)
def test_any_history_gives_a_plan(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[int, str]], applied: list[tuple[int, str]]
) -> None:
    """No mix of times and contents, equal ones included, loses a row or a file, or breaks the order."""
    path = tmp_path_factory.mktemp("drizzle")
    journal(path, *((f"{number:04d}_m", START + when) for number, (when, _) in enumerate(entries)))
    for number, (_, text) in enumerate(entries):
        write(path, f"{number:04d}_m.sql", f"select '{text}';")
    folder = read_folder(path)
    digests = {
        text: next((f.entry.digest for f in folder.files if f.entry and f"'{text}'" in f.sql), text)
        for text in "xyz"
    }
    rows = [
        (i, None, digests[text], START + when, None, None, None, None)
        for i, (when, text) in enumerate(applied)
    ]

    records = DrizzleTable().records(rows, folder)
    plan = make_plan(folder, History(records), Options(allow_out_of_order=True))

    assert sorted(row for record in records.values() for row in record.rows) == list(range(len(applied)))
    assert [f for f in folder.files if f in plan.pending] == list(plan.pending)
    assert {f.version for f in folder.files} == {f.version for f in plan.pending} | (
        records.keys() & {f.version for f in folder.files}
    )


def test_many_runners(project: Project) -> None:
    """Eight runners on an empty database: each file once, one row each."""
    journal(project.path, *((f"{number:04d}_m", START + number) for number in range(4)))
    for number in range(4):
        write(project.path, f"{number:04d}_m.sql", f"create table t{number} (id int);")

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: project.up(), range(8)))

    assert sorted(file for outcome in outcomes for file in outcome.applied) == [
        f"{n:04d}_m.sql" for n in range(4)
    ]
    assert project.rows("select id from drizzle.__drizzle_migrations order by id") == [(1,), (2,), (3,), (4,)]
    assert {(outcome.total, outcome.latest) for outcome in outcomes} == {(4, "0003_m")}


def test_failed_unit_is_resumed(project: Project) -> None:
    """A file that leaves Drizzle's transaction goes on behind what is done, and is recorded once."""
    journal(project.path, ("0000_m", START))
    pieces = [
        "create table t (id int);\n",
        "commit;",
        "\ninsert into t values (1), (1);",
        "\ncreate unique index concurrently i on t (id);",
    ]
    write(project.path, "0000_m.sql", MARK.join(pieces))
    with pytest.raises(Exception, match="could not create unique index"):
        project.up()
    project.execute("delete from t where ctid = (select min(ctid) from t)")

    assert project.up().applied == ("0000_m.sql",)
    assert project.value("select count(*) from drizzle.__drizzle_migrations") == 1


def test_command_line(project: Project) -> None:
    """`list` has Drizzle's files with their tags, and `repair` takes a tag."""
    journal(project.path, ("0000_m", START), ("0001_n", START + 1))
    for name in ("0000_m.sql", "0001_n.sql"):
        write(project.path, name)

    assert project.command("repair", "--applied", "0000_m").returncode == 0
    up = project.command("up", "--layout", "drizzle", "--to", "0001_n")
    assert "1 applied; 2 in all, latest 0001_n\n" in up.stdout
    listed = json.loads(project.command("list", "--json").stdout)
    assert [(entry["version"], entry["status"]) for entry in listed] == [
        ("0000_m", "applied"),
        ("0001_n", "applied"),
    ]


def test_reset(project: Project) -> None:
    """`reset` drops Drizzle's history with what the files made, and all run again."""
    journal(project.path, ("0000_m", START))
    write(project.path, "0000_m.sql", "create table t (id int);")
    project.up()
    mark_disposable(project.dsn)

    assert project.command("reset").returncode == 0
    assert project.value("select max(id) from drizzle.__drizzle_migrations") == 1


def test_renamed_migration_stays_applied(project: Project) -> None:
    """A migration that got another tag and time, with the same content, is not run again."""
    journal(project.path, ("0000_m", START))
    write(project.path, "0000_m.sql", "create table t (id int);")
    project.up()
    (project.path / "0000_m.sql").rename(project.path / "0000_n.sql")
    journal(project.path, ("0000_n", START + 5000))

    assert project.up().applied == ()
    assert project.value("select created_at from drizzle.__drizzle_migrations") == START
