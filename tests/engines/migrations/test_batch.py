"""Several files in one message: each commits by itself, and every error finds its file."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from engines.migrations import FailedError, Options, apply
from engines.migrations.execution.batch import Packer
from engines.migrations.plan import History, Progress
from engines.migrations.sessions import wire
from engines.migrations.sql.shape import shape
from engines.migrations.sql.statements import read_script
from tests.engines.migrations.conftest import GATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.migrations.sessions.wire import Session
    from tests.engines.migrations.conftest import Project

WAIT = f"select pg_advisory_xact_lock({GATE});"
AT_THE_GATE = (
    "select pid from pg_stat_activity where datname = current_database() "
    "and application_name = 'groundwork migrations' and wait_event = 'advisory'"
)


def taken(project: Project, *progress: Progress, wide: bool = True) -> int:
    """Count the files that go together first."""
    files = project.folder.files
    history = History(progress={begun.version: begun for begun in progress})
    return len(Packer(files, history, Options()).pack(files, wide=wide)) or 1


def messages(project: Project) -> int:
    """Count the messages that the applied files came in: now() is the time of the message."""
    return int(project.value("select count(distinct xact) from log"))


@pytest.fixture
def logged(project: Project) -> Project:
    """Give a table that notes the time of each file's message, and its transaction."""
    project.execute(
        "create table log (file text primary key, xact timestamptz default now(), id xid8 "
        "default pg_current_xact_id())"
    )
    return project


def test_files_share_a_message_and_not_a_transaction(logged: Project) -> None:
    """Small files are one message; each is a transaction of its own, with its own row in the history."""
    logged.write(**{f"_{n:03}_f": f"insert into log values ('{n}')" for n in range(1, 21)})
    logged.up()

    assert messages(logged) == 1
    assert logged.value("select count(distinct id::text) from log") == 20
    assert len(logged.history) == 20
    assert (
        logged.value(
            "select count(*) from log l join supabase_migrations.schema_migrations h "
            "on h.version::int = l.file::int and h.xmin::text = l.id::text"
        )
        == 20
    )


def test_times_of_files_that_share_a_message(project: Project) -> None:
    """Each file's duration is its own, and begins after the end of the one before."""
    project.write(_001_a="select pg_sleep(0.2)", _002_b="select 1", _003_c="select pg_sleep(0.1)")
    told: list[str] = []
    apply(project.dsn, project.folder, options=Options(), report=told.append)

    took = [row[0] for row in project.rows("select duration_ms from groundwork.migrations order by version")]
    assert took[0] >= 200
    assert took[2] >= 100
    began = "applied_at - duration_ms * interval '1 ms'"
    gaps = f"(select {began} - lag(applied_at) over (order by version) gap from groundwork.migrations)"
    assert project.value(f"select min(gap) >= interval '0' and count(gap) = 2 from {gaps} t")
    names = ["001_a.sql", "002_b.sql", "003_c.sql"]
    assert [text.partition(" in ")[0] for text in told] == [f"applied {name}" for name in names]
    said = [float(text.partition(" in ")[2].removesuffix(" ms")) for text in told]
    assert said == pytest.approx(took, abs=0.6)


@pytest.mark.parametrize(
    ("wrong", "place", "sqlstate"),
    [
        ("create table b ();\n-- é \U0001f600\n\n  insert into nowhere values (1);", (2, 4), "42P01"),
        ("create table b ();\nselect 1 / 0;", (2, 2), "22012"),
        ("create table b ();\nselct 1;\nselect 2", (2, 2), "42601"),
        ("begin;\ncreate table b ();\nselect 1 / 0;\ncommit;", (3, 3), "22012"),
        ("create table b ();\ndo $$\nbegin\n  raise exception 'no';\nend $$;", (2, 2), "P0001"),
        ("set standard_conforming_strings = on;\ncreate table b ();\nselect 'a'::int", (3, 3), "22P02"),
        (
            "create table b (c int unique deferrable initially deferred);\ninsert into b values (1), (1)",
            (None, None),
            "23505",
        ),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_failure_in_the_middle(
    project: Project, wrong: str, place: tuple[int | None, int | None], sqlstate: str, before: int
) -> None:
    """The error names its file, line and statement; files before stay, it is rolled back, none behind ran."""
    good = {f"_{n:03}_é": f"create table good_{n} ();\n-- {n} é\n" for n in range(1, before + 1)}
    project.write(**good, _050_wrong=wrong, _051_next="create table after ()", _052_next="selec 2")

    with pytest.raises(FailedError) as caught:
        project.up()
    error = caught.value
    assert (error.file, error.sqlstate) == ("050_wrong.sql", sqlstate)
    assert (error.statement, error.position) == place
    assert "The file was rolled back; what ran before it stays applied." in str(error)
    assert len(project.history) == before
    assert project.value("select count(*) from pg_class where relname ~ '^good_'") == before
    assert project.value("select to_regclass('b') is null and to_regclass('after') is null")

    project.write(_050_wrong="create table b ()", _052_next="select 2")
    assert project.up().applied == ("050_wrong.sql", "051_next.sql", "052_next.sql")


def test_syntax_that_only_the_server_refuses(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that the server refuses as a whole: the files before the wrong one run, and it is named."""
    monkeypatch.setattr(Packer, "_way", lambda _self, file: shape(read_script(file.sql)))
    project.write(
        _001_a="create table a ()", _002_b="create table b ()", _003_c="select 1;\nselct 2;", _004_d=""
    )

    with pytest.raises(FailedError, match=r"003_c.sql, line 2 \(statement 2 of 2\): syntax error"):
        project.up()
    assert project.history == ["001", "002"]


def test_other_errors_are_not_tried_again(project: Project) -> None:
    """A file that fails among others is not run a second time by itself."""
    project.execute("create sequence tries")
    project.write(_001_a="select 1", _002_b="select nextval('tries'); select 1 / 0", _003_c="select 1")

    with pytest.raises(FailedError, match=r"002_b.sql"):
        project.up()
    assert project.value("select last_value from tries") == 1


def test_lock_in_the_middle(logged: Project) -> None:
    """A file that gets no lock is tried again by itself until it is granted; all others ran exactly once."""
    logged.execute("create table t (a int)")
    logged.write(
        _001_a="insert into log values ('1')",
        _002_b="insert into log values ('2'); alter table t add b int",
        _003_c="insert into log values ('3')",
        _004_d="insert into log values ('4')",
    )
    told: list[str] = []
    waits = threading.Event()

    def report(text: str) -> None:
        told.append(text)
        if text.startswith("waiting"):
            waits.set()

    with psycopg.connect(logged.dsn, application_name="reader") as reader:
        reader.execute("select from t")
        arguments: dict[str, Any] = {"options": Options(retry_s=60), "report": report}
        runner = threading.Thread(target=apply, args=[logged.dsn, logged.folder], kwargs=arguments)
        runner.start()
        assert waits.wait(30)
        assert logged.history == ["001"]
        reader.rollback()
        runner.join(30)

    assert not runner.is_alive()
    assert [text.split()[1] for text in told if text.startswith("applied")] == [
        "001_a.sql",
        "002_b.sql",
        "003_c.sql",
        "004_d.sql",
    ]
    assert "waiting for a lock held by pid" in told[1]
    assert logged.rows("select file from log order by 1") == [("1",), ("2",), ("3",), ("4",)]
    assert logged.rows("select version, retries > 0 from groundwork.migrations order by 1") == [
        ("001", False),
        ("002", True),
        ("003", False),
        ("004", False),
    ]
    assert messages(logged) == 3


def test_lock_in_the_middle_that_is_never_granted(logged: Project) -> None:
    """When it gives up, the file is named, what is before it stays, and the next run goes on with it."""
    logged.execute("create table t (a int)")
    logged.write(
        _001_a="insert into log values ('1')", _002_b="select 1;\nalter table t add b int", _003_c="select 1"
    )
    with psycopg.connect(logged.dsn, application_name="reader") as reader:
        reader.execute("select from t")

        with pytest.raises(FailedError) as caught:
            logged.up(retry_s=0.3)
    text = str(caught.value)
    assert "002_b.sql, line 2 (statement 2 of 2): canceling statement due to lock timeout" in text
    assert "the lock was held by pid" in text
    assert logged.history == ["001"]
    assert logged.up().applied == ("002_b.sql", "003_c.sql")


def write_gated(project: Project, at: int) -> None:
    """Write three files that note themselves, of which one waits at the gate for as long as it is closed."""
    gated = f"set local lock_timeout = 0;{WAIT}"
    project.write(
        **{f"_{n:03}_f": f"insert into log values ('{n}');{gated if n == at else ''}" for n in range(1, 4)}
    )


@pytest.mark.parametrize("at", [1, 2, 3])
def test_session_killed_in_the_middle(
    logged: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any], at: int
) -> None:
    """Runner and session die inside of a message: files before stay, the next run does the others once."""
    write_gated(logged, at)
    runner = logged.start("up")
    [(pid,)] = until(lambda: logged.rows(AT_THE_GATE))
    runner.kill()
    runner.communicate()
    logged.execute(f"select pg_terminate_backend({pid}, 10000)")
    survived = len(logged.history)
    assert survived == logged.value("select count(*) from log")
    gate()

    logged.up()
    assert survived == at - 1
    assert logged.rows("select file from log order by 1") == [("1",), ("2",), ("3",)]
    assert logged.history == ["001", "002", "003"]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_runner_killed_in_the_middle(
    logged: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any], at: int
) -> None:
    """A message that the server has got is finished by it; the next run waits for it and repeats nothing."""
    write_gated(logged, at)
    runner = logged.start("up")
    until(lambda: logged.rows(AT_THE_GATE))
    runner.kill()
    runner.communicate()
    second = logged.start("up", "--json")
    assert second.stderr is not None
    assert "waiting for another run: pid" in second.stderr.readline()
    gate()
    out, _ = second.communicate(timeout=60)

    assert json.loads(out)["applied"] == []
    assert logged.rows("select file from log order by 1") == [("1",), ("2",), ("3",)]
    assert logged.history == ["001", "002", "003"]


@pytest.mark.parametrize("at", [1, 3])
def test_connection_lost_in_the_middle(
    logged: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any], at: int
) -> None:
    """When only the session dies, the run ends with an error that names the file, and the next goes on."""
    write_gated(logged, at)
    runner = logged.start("up")
    [(pid,)] = until(lambda: logged.rows(AT_THE_GATE))
    logged.execute(f"select pg_terminate_backend({pid}, 10000)")
    _, told = runner.communicate(timeout=60)
    gate()

    assert runner.returncode == 1
    assert f"error: 00{at}_f.sql, line 1 (statement 3 of 3): terminating connection" in told
    logged.up()
    assert logged.rows("select file from log order by 1") == [("1",), ("2",), ("3",)]


def test_what_does_not_share(project: Project) -> None:
    """Files that may be slow, cannot be one transaction, or are begun, go alone; so does all that is long."""
    project.write(
        _001_a="create table a ()",
        _002_b="create table b ()",
        _003_c="-- groundwork: statement-timeout=1min\nselect 1",
    )
    assert taken(project) == 2
    assert taken(project, wide=False) == 1
    assert taken(project, Progress("002", 0, "")) == 1
    project.write(_002_b="vacuum")
    assert taken(project) == 1
    project.write(_002_b="create table b (")
    assert taken(project) == 1
    project.write(_002_b=f"select '{'x' * 40_000}'")
    assert taken(project) == 1


RULE = "create or replace rule r as on insert to a do nothing"
PARTITION = "create table p partition of a default"
TRIGGER = "create trigger t after insert on b execute function f()"


@pytest.mark.parametrize(
    ("before", "after", "shared"),
    [
        ("insert into a values (1)", "delete from a", False),
        ("insert into a values (1)", "update only public.A set b = null", False),
        ("insert into a values (1)", "insert into b values (1)", True),
        ("insert into a values (1)", "-- no rows\ncreate table c ()", True),
        ("insert into a values (1)", 'insert into "b" values (1)', False),
        ("insert into a values (1)", "select f()", False),
        ("insert into a values (1)", "insert into b select * from a where b < now()", False),
        ("insert into a values (1)", "create table c as select * from a where b < now()", False),
        ("insert into a values (1)", "create unlogged table c (d) as table a", False),
        ("insert into a values (1)", "alter table a add check (b < now())", False),
        ("insert into a values (1)", "create view v as select * from a; insert into v values (1)", False),
        ("insert into a values (1)", f"{PARTITION}; insert into p values (1)", False),
        ("insert into a values (1)", f"insert into b values (1); {RULE}", False),
        ("insert into a values (1)", "insert into b values ('from')", False),
        ("insert into a values (1)", "create function g() returns int language sql as 'select 1'", True),
        ("insert into a values (1)", "alter table a add c int", True),
        ("with x as (delete from b) select", "insert into a values (1)", False),
        ("insert into a values (1)", f"insert into b values (1); {TRIGGER}", False),
    ],
)
def test_now_is_not_shared_by_files_that_write_a_table(
    project: Project, before: str, after: str, *, shared: bool
) -> None:
    """Rows of two files in one table never have the same now(), where a file of the folder knows the time."""
    project.write(_001_a="create table a (b timestamptz default NOW())", _002_b=before, _003_c=after)
    project.write(_004_d="create table d ()")
    assert taken(project) == (4 if shared else 2)

    project.write(_001_a="create table a (b int)")
    if "now" not in after:
        assert taken(project) == 4


def test_only_the_last_file_of_a_message_waits_for_the_disk(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is before it is on disk with it; a file that is alone waits."""
    sent: list[str] = []
    exchange = wire.exchange

    def note(session: Session, message: str, meanwhile: Callable[[], None] | None = None) -> Any:
        sent.append(message)
        return exchange(session, message, meanwhile)

    monkeypatch.setattr(wire, "exchange", note)
    project.write(_001_a="select 1", _002_b="select 2", _003_c="select 3")
    project.up()
    project.write(_004_d="select 4")
    project.up()

    first, *_, alone = [message for message in sent if "insert into supabase_migrations" in message]
    assert first.count("synchronous_commit = off;commit") == 2
    assert "synchronous_commit" not in first.rpartition("select 3")[2]
    assert "synchronous_commit" not in alone


def test_strings_of_a_database_that_escapes_with_backslashes(project: Project) -> None:
    """Where a login's strings differ from the parser's, no string can reach into the next file."""
    project.execute(
        f"alter database {project.value('select current_database()')} set standard_conforming_strings = off"
    )
    project.write(
        _001_a="create table a ()", _002_b="select 'a\\', ' or '; create table b ()", _003_c="select ''"
    )

    with pytest.raises(FailedError, match=r"002_b.sql"):
        project.up()
    assert project.history == ["001"]


def test_any_text_reaches_the_history_unchanged(project: Project) -> None:
    """Quotes, backslashes, braces and NULL of a file's text arrive in the history as they are."""
    pieces = [
        "select 'it''s', E'\\\\''', '\\'",
        'select \'{"a",NULL}\' as "q""\\"',
        "-- \\N 'é' {,}",
    ]
    project.write(**{"_001_it's {}": ";\n".join(pieces)})
    project.up()

    assert project.rows("select name, statements from supabase_migrations.schema_migrations") == [
        ("it's {}", pieces)
    ]
