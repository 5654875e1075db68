"""Behind the real PgBouncer: session mode is as good as a direct connection, the other modes are refused."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from emulator import postgres
from engines.migrations import (
    FailedError,
    Options,
    RefusedError,
    apply,
    inspect,
    mark_disposable,
    repair,
    reset,
    verify,
)
from engines.migrations.sessions import pooler
from engines.migrations.sessions.lock import KEY
from tests import polling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engines.migrations.conftest import Project

# Debian has it where only root's PATH leads.
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
FOLDER = {
    "_001_a": "create table log (id int generated always as identity primary key, what text);",
    "_002_b": "insert into log (what) values ('2');",
    "_003_c": "create index concurrently i on log (what); vacuum log; "
    "begin; insert into log (what) values ('3'); commit;",
    "_004_d": "-- groundwork: backfill table=log key=id\nupdate log set what = what || '!' where {batch};",
}
ALONE = "-- groundwork: statement-timeout=1min\n"
LOG = f"""{ALONE}create table log (id int primary key generated always as identity, what text);
insert into log (what) select 'new' from generate_series(1, 20);"""
CREATE_INDEX = "select indisvalid from pg_index where indexrelid = to_regclass('i')"
SHARED = (
    r"is a pooler in transaction or statement mode \(.*use a direct connection, or a pooler in session mode"
)


@dataclass(frozen=True)
class Bouncer:
    """A running PgBouncer."""

    port: int
    database: str

    @property
    def dsn(self) -> str:
        """Give the URL of the product's database behind it."""
        return f"postgresql://anybody@127.0.0.1:{self.port}/{self.database}"

    def tell(self, command: str) -> None:
        """Give a command to its console."""
        with psycopg.connect(
            f"postgresql://boss@127.0.0.1:{self.port}/pgbouncer", autocommit=True
        ) as console:
            console.execute(command.encode())

    def answers(self) -> bool:
        """Say whether it serves sessions."""
        try:
            psycopg.connect(self.dsn).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture
def bouncer(project: Project, tmp_path: Path) -> Iterator[Callable[..., Bouncer]]:
    """Start PgBouncer before the project's database, with these settings; stopped with the test."""
    if PGBOUNCER is None:
        pytest.skip("PgBouncer is not installed (apt-get install pgbouncer)")
    running: list[subprocess.Popen[bytes]] = []

    def start(**settings: str) -> Bouncer:
        parts = conninfo_to_dict(project.dsn)
        port = postgres.free_port()
        database = " ".join(f"{key}={parts[key]}" for key in ("host", "port", "user", "password", "dbname"))
        given = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(port),
            "unix_socket_dir": "",
            "auth_type": "any",
            "admin_users": "boss",
        }
        given |= settings
        lines = ["[databases]", f"{parts['dbname']} = {database}", "[pgbouncer]"]
        lines += [f"{key} = {value}" for key, value in given.items()]
        path = tmp_path / f"pgbouncer-{secrets.token_hex(4)}.ini"
        path.write_text("\n".join(lines) + "\n")
        user = ["--user", "nobody"] if os.getuid() == 0 else []  # it refuses to be root
        log = path.with_suffix(".log").open("wb")
        with log:
            running.append(subprocess.Popen([str(PGBOUNCER), *user, str(path)], stdout=log, stderr=log))
        made = Bouncer(port, str(parts["dbname"]))
        polling.until(made.answers, what=f"PgBouncer: {path.with_suffix('.log').read_text()}")
        return made

    yield start
    for process in running:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("pool", ["20", "1"])
def test_session_mode_runs_everything(project: Project, bouncer: Callable[..., Bouncer], pool: str) -> None:
    """Through a session pooler each kind of file runs, also where the pool has room for one session."""
    project.write(**FOLDER)
    through = replace(project, dsn=bouncer(pool_mode="session", default_pool_size=pool).dsn)

    assert len(through.up().applied) == len(FOLDER)
    assert inspect(through.dsn, through.folder).pending == ()
    assert project.rows("select what from log order by 1") == [("2!",), ("3!",)]
    assert project.value(CREATE_INDEX)
    assert project.history == ["001", "002", "003", "004"]


@pytest.mark.parametrize("pool", ["20", "4"])
def test_runners_at_once_in_session_mode(
    project: Project, bouncer: Callable[..., Bouncer], pool: str
) -> None:
    """Four runners behind a session pooler run each file once, also where they use the pool up."""
    project.write(**FOLDER)
    through = replace(project, dsn=bouncer(pool_mode="session", default_pool_size=pool).dsn)
    runners = [through.start("up", "--json") for _ in range(4)]
    answers = [runner.communicate(timeout=120) for runner in runners]

    assert [runner.returncode for runner in runners] == [0] * 4, answers
    applied = [file for out, _ in answers for file in json.loads(out)["applied"]]
    assert sorted(applied) == [file.file for file in project.folder.files]
    assert project.rows("select what from log order by 1") == [("2!",), ("3!",)]


def _with_idle_servers(made: Bouncer, count: int) -> None:
    """Let a pool open so many server connections, which are then idle."""
    sessions = [psycopg.connect(made.dsn) for _ in range(count)]
    for session in sessions:
        session.execute("select 1")
    for session in sessions:
        session.commit()  # who leaves in the middle of a transaction takes the server connection along
        session.close()


@pytest.mark.parametrize("idle", [1, 2, 5])
@pytest.mark.parametrize("robin", ["0", "1"])
@pytest.mark.parametrize("pool", ["1", "8"])
def test_transaction_mode_is_refused(
    project: Project, bouncer: Callable[..., Bouncer], pool: str, robin: str, idle: int
) -> None:
    """Whatever the pool's size and order, transaction mode is seen, and nothing is run."""
    project.write(**FOLDER)
    made = bouncer(pool_mode="transaction", default_pool_size=pool, server_round_robin=robin)
    _with_idle_servers(made, min(idle, int(pool)))

    with pytest.raises(RefusedError, match=SHARED):
        replace(project, dsn=made.dsn).up()
    assert project.value("select to_regnamespace('groundwork') is null and to_regclass('log') is null")
    assert project.value("select count(*) from pg_locks where locktype = 'advisory'") == 0


def test_statement_mode_is_refused(project: Project, bouncer: Callable[..., Bouncer]) -> None:
    """Statement mode ends who begins a transaction; that is told as what it is."""
    project.write(**FOLDER)
    made = bouncer(pool_mode="statement")

    with pytest.raises(RefusedError, match=SHARED):
        replace(project, dsn=made.dsn).up()


def test_every_command_refuses(project: Project, bouncer: Callable[..., Bouncer]) -> None:
    """What reads, checks or corrects needs a session of its own as well."""
    project.write(**FOLDER)
    (project.path / "checks").mkdir()
    (project.path / "checks" / "a.sql").write_text("select 1 where false")
    dsn = bouncer(pool_mode="transaction").dsn
    commands: list[Callable[[], Any]] = [
        lambda: inspect(dsn, project.folder),
        lambda: repair(dsn, project.folder, applied=["001"]),
        lambda: verify(dsn, project.folder),
        lambda: mark_disposable(dsn),
        lambda: reset(dsn, project.folder),
    ]

    for command in commands:
        with pytest.raises(RefusedError, match=SHARED):
            command()


def test_used_up_transaction_pool_does_not_hang(project: Project, bouncer: Callable[..., Bouncer]) -> None:
    """Where other clients hold all but one server connection, it is seen nevertheless."""
    project.write(**FOLDER)
    made = bouncer(pool_mode="transaction", default_pool_size="2")
    with psycopg.connect(made.dsn) as busy:
        busy.execute("select 1")

        with pytest.raises(RefusedError, match=SHARED):
            replace(project, dsn=made.dsn).up()


@pytest.mark.parametrize(
    "sql",
    [
        f"{ALONE}insert into log (what) values ('2');",
        "vacuum log; insert into log (what) values ('2');",
    ],
)
def test_session_exchanged_during_the_run(
    project: Project, bouncer: Callable[..., Bouncer], sql: str
) -> None:
    """A pooler that changes its mode while we run is noticed by the next file, which is rolled back."""
    project.write(_001_a=LOG, _002_b=f"{ALONE}select 1;", _003_c=sql)

    _exchange_after_001(project, bouncer(pool_mode="session", server_round_robin="1"))
    assert project.history == [
        "001",
        "002",
    ]  # the message after the change is still served by the old process
    assert project.value("select count(*) from log") == 20


def test_session_exchanged_during_a_backfill(project: Project, bouncer: Callable[..., Bouncer]) -> None:
    """The batch that another process would run is rolled back; what is done is on record."""
    head = "-- groundwork: backfill table=log key=id batch=1..1"
    project.write(_001_a=LOG, _002_b=f"{head}\nupdate log set what = 'done' where {{batch}};")

    _exchange_after_001(project, bouncer(pool_mode="session", server_round_robin="1"))
    assert project.history == ["001"]
    done = project.value("select rows_done from groundwork.backfills")
    assert project.value("select count(*) from log where what = 'done'") == done < 20


def _exchange_after_001(project: Project, made: Bouncer) -> None:
    """Run the folder behind a pooler that changes its mode when the first file is applied."""

    def change(text: str) -> None:
        if text.startswith("applied 001"):
            _with_idle_servers(made, 3)
            made.tell("SET pool_mode = 'transaction'")

    with pytest.raises(FailedError, match="a pooler exchanged it for another one"):
        apply(made.dsn, project.folder, options=Options(), report=change)


def test_lock_wait_in_a_used_up_pool(project: Project, bouncer: Callable[..., Bouncer]) -> None:
    """Where the pool has no room for the session that looks who holds a lock, it is tried again without."""
    project.execute("create table t (a int)")
    project.write(_001_a="alter table t add b int")
    through = replace(project, dsn=bouncer(pool_mode="session", default_pool_size="1").dsn)
    with psycopg.connect(project.dsn) as reader:
        reader.execute("select from t")

        with pytest.raises(FailedError, match="nobody was seen holding the lock"):
            through.up(retry_s=0.5)
    assert through.up().applied == ("001_a.sql",)


def test_inspection_leaves_no_settings(project: Project, bouncer: Callable[..., Bouncer]) -> None:
    """What a transaction pooler hands to its next client is as it was before we asked."""
    made = bouncer(pool_mode="transaction", default_pool_size="1")
    with pytest.raises(RefusedError):
        inspect(made.dsn, project.folder)

    with psycopg.connect(made.dsn) as client:
        client.execute("create table t ()")


def test_lock_that_a_file_released(project: Project) -> None:
    """When a file releases the lock, by another name, and another run takes it, the next is rolled back."""
    project.execute("create function free() returns void language sql as 'select pg_advisory_unlock_all()'")
    project.write(_001_a=f"{ALONE}select free()", _002_b=f"{ALONE}create table t ()")
    with psycopg.connect(project.dsn, autocommit=True) as other:

        def take(text: str) -> None:
            if text.startswith("applied 001"):
                assert other.execute("select pg_try_advisory_lock(%s)", [KEY]).fetchone() == (True,)

        with pytest.raises(FailedError, match=r"or a file released the lock \(pg_advisory_unlock_all\)"):
            apply(project.dsn, project.folder, options=Options(), report=take)
    assert project.history == ["001"]
    assert project.up().applied == ("002_b.sql",)


def test_direct_connection_is_not_probed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A direct connection opens no second session, and where nothing is to do it asks twice."""

    def refuse(*_args: object) -> None:
        pytest.fail("it was probed")

    monkeypatch.setattr(pooler, "_sharing", refuse)
    project.write(**FOLDER)

    assert len(project.up().applied) == len(FOLDER)
    assert inspect(project.dsn, project.folder).pending == ()

    asked: list[str] = []
    wait = psycopg.Connection.wait

    def count(session: Any, question: Any, *arguments: Any) -> Any:
        asked.append(question.__name__)
        return wait(session, question, *arguments)

    monkeypatch.setattr(psycopg.Connection, "wait", count)
    assert project.up().applied == ()
    assert [name for name in asked if "commit" not in name] == [
        "_execute_gen"
    ] * 2  # autocommit commits nothing
