"""Backfills on a real server: every row once, stopped and resumed, refused by name."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from engines.migrations import (
    FailedError,
    MigrationError,
    Options,
    RefusedError,
    apply,
    inspect,
    repair,
)
from engines.migrations.backfills import batches
from engines.migrations.backfills.pace import Signals
from engines.migrations.backfills.vitals import _LOOK, Vitals
from engines.migrations.sessions.wire import ServerError, ask, open_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines.migrations.conftest import Project

TABLE = "create table t (id bigint primary key, n int not null default 0);"
ONCE = "update t set n = n + 1 where {batch};"
HEAD = "-- groundwork: backfill table=t key=id batch=10\n"


def fill(project: Project, rows: int = 95) -> None:
    """Make a table with some rows."""
    project.execute(TABLE)
    project.execute(f"insert into t select i * 3 from generate_series(1, {rows}) i")


def counts(project: Project) -> list[tuple[Any, ...]]:
    """Say how often rows were met, and how many of them."""
    return project.rows("select n, count(*) from t group by n order by n")


def control(project: Project, column: str) -> Any:
    """Read the control row of 001."""
    return project.value(f"select {column} from groundwork.backfills where version = '001'")


def told(project: Project, **options: Any) -> list[str]:
    """Run what is pending and give what was reported."""
    texts: list[str] = []
    apply(project.dsn, project.folder, options=Options(**options), report=texts.append)
    return texts


def test_every_row_once(project: Project) -> None:
    """Batches walk through the table, and the history row is written at the end."""
    fill(project)
    project.write(_001_a=HEAD + ONCE)

    outcome = project.up()

    assert outcome.applied == ("001_a.sql",)
    assert counts(project) == [(1, 95)]
    assert project.history == ["001"]
    assert control(project, "(stage, batches, rows_done, finished_at is not null)") == (
        "done",
        "10",
        "95",
        "t",
    )
    assert project.value("select duration_ms > 0 from groundwork.migrations")
    assert project.up().applied == ()


SLOW = """-- groundwork: lock-timeout=1min
-- groundwork: statement-timeout=1min
update t set n = n + 1 where {batch} and (id < 150 or pg_advisory_xact_lock(4711) is not null);
"""


def at_the_gate(project: Project) -> list[Any]:
    """List the sessions that wait at the gate."""
    return project.rows(
        "select pid from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"
    )


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_a_batch(
    project: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any], end: signal.Signals
) -> None:
    """After Ctrl+C or kill -9 in a batch, `list` shows how far it is, and the next run goes on there."""
    fill(project)
    project.write(_001_a=HEAD + SLOW)
    runner = project.start("up")
    [(pid,)] = until(lambda: at_the_gate(project))
    runner.send_signal(end)
    out, err = runner.communicate(timeout=60)
    project.execute(f"select pg_terminate_backend({pid}, 10000)")

    assert counts(project) == [(0, 55), (1, 40)]
    [listed] = json.loads(project.command("list", "--json").stdout)
    assert (listed["status"], listed["percent"]) == ("partial", 42.1)
    assert project.command("list").stdout.splitlines()[1].startswith("partial 42 %")
    if end is signal.SIGINT:
        assert runner.returncode == 130
        assert "001_a.sql: interrupted; 40 of about 95 rows (42 %) are done and stay" in out
        assert err.startswith("error: interrupted")
    gate()
    assert "backfill of about 95 rows after 40" in project.command("up").stdout
    assert counts(project) == [(1, 95)]
    assert project.history == ["001"]


def test_pause_and_resume(
    project: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any]
) -> None:
    """A running backfill pauses after its batch when its row says so, and goes on when the row says so."""
    fill(project)
    project.write(_001_a=HEAD + SLOW)
    texts: list[str] = []
    runner = threading.Thread(
        target=apply,
        args=[project.dsn, project.folder],
        kwargs={"options": Options(), "report": texts.append},
    )
    runner.start()
    until(lambda: at_the_gate(project))
    project.execute("update groundwork.backfills set wanted = 'pause' where version = '001'")
    gate()
    paused = until(lambda: [text for text in texts if "paused" in text])
    rows = counts(project)
    resume = paused[0].partition("to go on: ")[2]
    project.execute(resume)
    runner.join(60)

    assert rows == [(0, 45), (1, 50)]
    assert counts(project) == [(1, 95)]
    assert "50 of about 95 rows (53 %) are done and stay" in paused[0]


def test_stop(project: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any]) -> None:
    """A stopped backfill ends after its batch; it is not begun again until its row says so."""
    fill(project)
    project.write(_001_a=HEAD + SLOW)
    runner = project.start("up")
    until(lambda: at_the_gate(project))
    project.execute("update groundwork.backfills set wanted = 'stop'")
    gate()
    _, err = runner.communicate(timeout=60)

    assert runner.returncode == 1
    assert "001_a.sql: stopped, as groundwork.backfills asks for; 50 of about 95 rows" in err
    assert counts(project) == [(0, 45), (1, 50)]
    with pytest.raises(FailedError, match="stopped, as"):
        project.up()
    project.execute("update groundwork.backfills set wanted = 'run'")
    project.up()
    assert counts(project) == [(1, 95)]


def test_deleted_row(project: Project, gate: Callable[[], None], until: Callable[..., Any]) -> None:
    """A batch whose control row was deleted is undone: its progress could not be recorded."""
    fill(project)
    project.write(_001_a=HEAD + SLOW)
    runner = project.start("up")
    until(lambda: at_the_gate(project))
    project.execute("delete from groundwork.backfills")
    gate()
    _, err = runner.communicate(timeout=60)

    assert "its row in groundwork.backfills was deleted while it ran" in err
    assert counts(project) == [(0, 55), (1, 40)]


def test_error_in_a_batch(project: Project) -> None:
    """The error names its line and how far it came; the batches before stay, and are not run again."""
    fill(project)
    project.execute("alter table t add check (id <> 150 or n < 1)")
    project.write(_001_a=HEAD + "\n" + ONCE)

    with pytest.raises(FailedError, match=r"001_a.sql, line 3 \(statement 1 of 1\)") as caught:
        project.up()
    assert "40 of about 95 rows (42 %) are done and stay" in str(caught.value)
    assert caught.value.sqlstate == "23514"
    project.execute("alter table t drop constraint t_check")
    project.up()
    assert counts(project) == [(1, 95)]


def test_error_position(project: Project) -> None:
    """The caret is below the right column, although the range in the statement is longer than `{batch}`."""
    fill(project)
    project.write(_001_a=HEAD + "update t set n = 1 where {batch} and {batch}\n  and nope = 1;")

    with pytest.raises(FailedError) as caught:
        project.up()
    assert 'line 3 (statement 1 of 1): column "nope" does not exist' in str(caught.value)
    assert "      and nope = 1;\n          ^" in str(caught.value)


def test_runner_dies_at_every_message(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever message the runner dies at, before or after the server has it: every row is met once."""

    class KilledError(BaseException):
        """The runner ends here."""

    fill(project)
    project.write(_001_a=HEAD + ONCE)
    for after in range(40):
        left = [after % 4]

        def dying(session: Any, message: str, left: list[int] = left, after: int = after) -> Any:
            if left[0] == 0 and after % 2:
                ask(session, message)
            if left[0] == 0:
                session.close()
                raise KilledError
            left[0] -= 1
            return ask(session, message)

        monkeypatch.setattr(batches, "ask", dying)
        try:
            project.up()
        except KilledError:
            continue
        break
    monkeypatch.undo()
    project.up()

    assert counts(project) == [(1, 95)]
    assert project.history == ["001"]


REFUSED = {
    "missing table": ("table=nope key=id", ONCE.replace("t set", "nope set"), "there is no table nope"),
    "missing key": ("table=t key=nope", ONCE, "the table t has no column nope"),
    "key without index": (
        "table=t key=n",
        "delete from t where {batch}",
        "t.n has no index that begins with it",
    ),
    "partial index": ("table=t key=half", "delete from t where {batch}", "t.half has no index"),
    "type": ("table=t key=f", "delete from t where {batch}", "is of the type double precision"),
    "view": ("table=v key=id", "delete from v where {batch}", "v is no table"),
}


@pytest.mark.parametrize(("words", "sql", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_unfit_table(project: Project, words: str, sql: str, text: str) -> None:
    """A table or key that cannot be walked along is refused by name before any row is touched."""
    fill(project)
    project.execute("alter table t add f float unique, add half int; create view v as select * from t")
    project.execute("create index on t (half) where half > 0")
    project.write(_001_a=f"-- groundwork: backfill {words}\n{sql}")

    with pytest.raises(FailedError, match=text) as caught:
        project.up()
    assert str(caught.value).startswith("001_a.sql: ")
    assert counts(project) == [(0, 95)]
    assert project.history == []


def test_null_keys(project: Project) -> None:
    """Rows without a key are the last batch; too many of them are refused."""
    project.execute("create table t (id int unique, n int not null default 0)")
    project.execute(
        "insert into t select nullif(i % 50, 0) from generate_series(1, 7) i, lateral (select 1) s"
    )
    project.execute("insert into t select null from generate_series(1, 11) i")
    project.write(_001_a=HEAD + ONCE)

    with pytest.raises(FailedError, match="more than 10 rows of t have no id"):
        project.up()
    project.execute("delete from t where ctid in (select ctid from t where id is null limit 1)")
    project.up()
    assert counts(project) == [(1, 17)]


def test_rows_inserted_meanwhile(
    project: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any]
) -> None:
    """Rows that come behind the batches, or behind the end, are left to those who insert them."""
    fill(project)
    project.write(_001_a=HEAD + SLOW)
    runner = project.start("up")
    until(lambda: at_the_gate(project))
    project.execute("insert into t values (1), (200), (1000)")
    gate()
    runner.communicate(timeout=60)

    assert project.rows("select id, n from t where id in (1, 200, 1000) order by id") == [
        (1, 0),
        (200, 1),
        (1000, 0),
    ]
    assert counts(project) == [(0, 2), (1, 96)]


def test_empty_table(project: Project) -> None:
    """Nothing to fill is done at once."""
    project.execute(TABLE)
    project.write(_001_a=HEAD + ONCE)

    assert project.up().applied == ("001_a.sql",)


def test_four_runners(project: Project) -> None:
    """However many start at once, each row is met once."""
    fill(project)
    project.write(_001_a=HEAD + ONCE)
    runners = [project.start("up", "--json") for _ in range(4)]
    answers = [runner.communicate(timeout=120) for runner in runners]

    assert [runner.returncode for runner in runners] == [0] * 4, answers
    assert counts(project) == [(1, 95)]


def test_names_that_need_quotes_and_partitions(project: Project) -> None:
    """Table and key may be of a schema, quoted, and of a partitioned table; the alias is the statement's."""
    project.execute(
        """create schema "My S";
        create table "My S"."T 1" ("I d" uuid primary key, n int) partition by hash ("I d");
        create table p0 partition of "My S"."T 1" for values with (modulus 2, remainder 0);
        create table p1 partition of "My S"."T 1" for values with (modulus 2, remainder 1);
        insert into "My S"."T 1" select gen_random_uuid(), 0 from generate_series(1, 50)"""
    )
    project.write(
        _001_a='-- groundwork: backfill table="My S"."T 1" key="I d" batch=7 pause=1ms\n'
        'update "My S"."T 1" as x set n = x.n + 1 from "My S"."T 1" y where y."I d" = x."I d" and {batch};'
    )

    project.up()

    assert project.rows('select n, count(*) from "My S"."T 1" group by 1') == [(1, 50)]


def test_session_is_clean_afterwards(project: Project) -> None:
    """Nothing of a backfill's settings leaks into the next file, and it follows files of the same run."""
    project.write(
        _001_a=TABLE + "insert into t select generate_series(1, 30);",
        _002_b=HEAD + ONCE,
        _003_c="create table u as values (current_setting('row_security'), current_setting('lock_timeout'))",
    )

    assert len(project.up().applied) == 3
    assert counts(project) == [(1, 30)]
    assert project.rows("select * from u") == [("on", "100ms")]


CHECK = "\n-- groundwork: verify\nselect 'row ' || id || ' has ' || n from t where n <> 1;\n"


def test_verification(project: Project) -> None:
    """Each row of the verification is a violation: the file is not applied, and the next run asks again."""
    fill(project)
    project.write(_001_a=HEAD + ONCE.replace("{batch}", "{batch} and id <> 30") + CHECK)

    with pytest.raises(FailedError, match="the verification found 1 rows:\n  - row 30 has 0\n"):
        project.up()
    assert inspect(project.dsn, project.folder).partial == ("001_a.sql",)
    assert inspect(project.dsn, project.folder).entries[0].percent == 100
    assert project.history == []
    project.execute("update t set n = 1 where id = 30")
    project.up()
    assert counts(project) == [(1, 95)]
    assert project.history == ["001"]


def test_verification_that_cannot_be_asked(project: Project) -> None:
    """An error in the verification says so; it may be corrected, for the batches are not run again."""
    fill(project)
    project.write(_001_a=HEAD + ONCE + CHECK.replace("id", "nope"))
    with pytest.raises(FailedError, match='verification cannot be asked: column "nope" does not exist'):
        project.up()
    project.write(_001_a=HEAD + ONCE + CHECK)

    project.up()
    assert counts(project) == [(1, 95)]


def test_edited_when_half_done(project: Project) -> None:
    """Another statement is refused when rows are done, other steps are not; `reverted` begins anew."""
    fill(project)
    project.execute("alter table t add check (id <> 150 or n < 1)")
    project.write(_001_a=HEAD + ONCE)
    with pytest.raises(FailedError):
        project.up()
    project.execute("alter table t drop constraint t_check")
    for text in (HEAD + ONCE.replace("+ 1", "+ 2"), "select 1"):
        project.write(_001_a=text)
        with pytest.raises(RefusedError, match="42 % of its rows are done with another statement or key"):
            project.up()
    project.write(_001_a=HEAD.replace("batch=10", "batch=20") + ONCE)
    project.up()
    assert counts(project) == [(1, 95)]
    repair(project.dsn, project.folder, reverted=["001"])
    project.up()
    assert counts(project) == [(2, 95)]


def test_lock_that_a_client_holds(project: Project) -> None:
    """A batch waits a short time for a row, is undone and made smaller, and the client is named."""
    fill(project)
    project.write(_001_a=HEAD + ONCE)
    texts: list[str] = []
    seen = threading.Event()

    def report(text: str) -> None:
        texts.append(text)
        if "waiting" in text:
            seen.set()

    with psycopg.connect(project.dsn, application_name="client") as client:
        client.execute("update t set n = n where id = 150")
        runner = threading.Thread(
            target=apply, args=[project.dsn, project.folder], kwargs={"options": Options(), "report": report}
        )
        runner.start()
        assert seen.wait(30)
        client.rollback()
        runner.join(30)

    assert counts(project) == [(1, 95)]
    assert [text for text in texts if "waiting for a lock held by pid" in text and "(client, " in text]
    assert control(project, "batches") > 10
    waits = "select retries, lock_wait_ms from groundwork.{}"
    [(retries, waited_ms)] = project.rows(waits.format("migrations"))
    assert retries >= 2
    assert waited_ms >= 2 * Options().lock_timeout_ms
    assert project.rows(waits.format("backfills")) == [(retries, waited_ms)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("update groundwork.backfills set retries = 7, lock_wait_ms = 1500", (7, 1500.0)),
        ("alter table groundwork.backfills drop retries, drop lock_wait_ms", (0, 0.0)),
    ],
    ids=["waited before", "begun by an older version"],
)
def test_lock_waits_of_earlier_runs(project: Project, change: str, expected: tuple[int, float]) -> None:
    """What was waited before an interruption counts; an older version did not know."""
    fill(project)
    project.write(_001_a=HEAD + ONCE)
    with psycopg.connect(project.dsn) as client:
        client.execute("update t set n = n where id > 120")
        with pytest.raises(FailedError):
            project.up(retry_s=0.3)
    project.execute(change)

    project.up()
    assert project.rows("select retries, lock_wait_ms from groundwork.migrations") == [expected]


def test_lock_that_is_never_granted(project: Project) -> None:
    """When it gives up, it names the client, and what is done stays."""
    fill(project)
    project.write(_001_a=HEAD + ONCE)
    with psycopg.connect(project.dsn, application_name="client") as client:
        client.execute("update t set n = n where id > 120")
        with pytest.raises(FailedError, match=r"the lock was held by pid \d+ \(client, ") as caught:
            project.up(retry_s=0.3)

    assert caught.value.sqlstate == "55P03"
    assert counts(project) == [(0, 55), (1, 40)]


def test_statement_timeout(project: Project) -> None:
    """A batch that takes too long is undone and halved until it fits."""
    fill(project)
    head = HEAD + "-- groundwork: statement-timeout=200ms\n"
    project.write(
        _001_a=head + "update t set n = n + 1 from pg_sleep(0.05) where {batch} and t.id is not null;"
    )
    project.execute("create function slow() returns trigger language plpgsql as "
                    "'begin perform pg_sleep(0.03); return new; end'")  # fmt: skip
    project.execute("create trigger slow before update on t for each row execute function slow()")

    project.up()

    assert counts(project) == [(1, 95)]
    assert control(project, "batches") > 10


def test_batch_that_makes_the_product_wait(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch without a limit has ours, which grows while the batch shrinks: it ends in any case."""
    monkeypatch.setattr(batches, "_LONGEST_S", 0.02)
    fill(project, 20)
    project.write(
        _001_a=HEAD
        + "with wait as (select pg_sleep(0.05)) "
        + ONCE.replace("n + 1", "n + (select 1 from wait)")
    )

    project.up()

    assert counts(project) == [(1, 20)]


def test_vacuum_is_seen(project: Project, until: Callable[[Callable[[], Any]], Any]) -> None:
    """While the table is vacuumed, the signals say so; a server at rest is quiet."""
    fill(project, 5_000)
    oid = project.value("select 't'::regclass::oid::int")
    with open_session(project.dsn) as session:
        assert Vitals(session, oid).look() == Signals()
        slow = psycopg.connect(project.dsn, autocommit=True)
        slow.execute("set vacuum_cost_delay = '100ms'; set vacuum_cost_limit = 1; update t set n = 2")
        slow.pgconn.send_query(b"vacuum t")
        until(lambda: Vitals(session, oid).look().vacuum)
        project.execute(f"select pg_terminate_backend({slow.info.backend_pid}, 10000)")
        slow.close()

        assert not Vitals(session, oid).look().vacuum


@pytest.mark.parametrize("role", ["postgres", "pg_read_all_data"])
def test_every_login_may_look(project: Project, role: str) -> None:
    """The question about the server's state is one that any login may ask."""
    with open_session(project.dsn) as session:
        session.execute(f"set role {role}".encode())

        assert ask(session, _LOOK.format(0))[1] is None


def test_hidden_rows(project: Project) -> None:
    """Rows that row security hides from the login are not left out silently."""
    fill(project)
    project.execute("create role walker_of_rows login password 'walker'")
    project.execute("grant create on database {} to walker_of_rows".format(project.dsn.rpartition("/")[2]))
    project.execute("alter table t enable row level security; grant all on t to walker_of_rows")
    project.write(_001_a=HEAD + ONCE)
    dsn = make_conninfo(project.dsn, user="walker_of_rows", password="walker")
    try:
        with pytest.raises(MigrationError, match="row-level security"):
            apply(dsn, project.folder, options=Options(), report=print)
    finally:
        project.execute("drop owned by walker_of_rows cascade; drop role walker_of_rows")
    assert counts(project) == [(0, 95)]


KEYS: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "uuid": st.uuids(),
    "text": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
    "varchar(9)": st.text(st.sampled_from("aAäz'\\\"{}%$ "), max_size=6),
    "timestamptz": st.one_of(
        st.datetimes(timezones=st.timezones()), st.sampled_from(["infinity", "-infinity"])
    ),
    "date": st.dates(),
}


@pytest.mark.parametrize("kind", KEYS)
def test_ranges_meet_every_row_once(project: Project, kind: str) -> None:
    """Whatever the keys, doubled or missing, and wherever it was stopped: every row is met exactly once."""
    project.execute(f"create table t (id {kind}, n int not null default 0)")
    project.execute("create index on t (id)")
    _walk_any(project, KEYS[kind])


def _walk_any(project: Project, keys: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.one_of(keys, keys, keys, st.none()), max_size=40), st.integers(1, 7), st.integers(0, 6)
    )
    def walk(values: list[Any], size: int, stop: int) -> None:
        values = [value for index, value in enumerate(values) if value is not None or index < size]
        with psycopg.connect(project.dsn, autocommit=True) as session:
            session.execute("truncate t")
            with session.cursor() as cursor:
                cursor.executemany("insert into t (id) values (%s)", [[value] for value in values])
        project.write(_001_a=f"-- groundwork: backfill table=t key=id batch={size}\n{ONCE}")
        with pytest.MonkeyPatch.context() as patch:
            _stop_after(patch, stop)
            try:
                project.up()
            except FailedError:
                project.up()
        assert counts(project) == ([(1, len(values))] if values else [])
        repair(project.dsn, project.folder, reverted=["001"])

    walk()


def _stop_after(patch: pytest.MonkeyPatch, messages: int) -> None:
    """Let one message of a run fail."""
    left = [messages]

    def failing(session: Any, message: str) -> Any:
        left[0] -= 1
        return ([], ServerError(0, "no luck", "XX000")) if left[0] == -1 else ask(session, message)

    patch.setattr(batches, "ask", failing)
