"""What survives the end of an emulator, however it ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from tests.fix_emulator import processes, wait_until

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator


def test_restart_keeps_everything(own_emulator: Emulator) -> None:
    """Project, rows, keys, secrets, settings and addresses are the same after a clean restart."""
    project = own_emulator.create("kept")
    project.sql("create table kept as select 42 as value")
    client, path = own_emulator.client, project.path
    client.post(f"{path}/secrets", json=[{"name": "A", "value": "x"}])
    client.patch(f"{path}/config/auth", json={"jwt_exp": 60})
    client.post(f"{path}/api-keys", json={"type": "secret", "name": "extra"})
    asked = ["", "/api-keys?reveal=true", "/secrets", "/config/auth", "/config/database/pooler"]
    before = [client.get(path + one).json() for one in asked]
    own_emulator.end()
    own_emulator.start()

    assert [own_emulator.client.get(path + one).json() for one in asked] == before
    assert project.sql("select value from kept") == [{"value": 42}]
    with project.connect() as session:
        assert session.execute("select value from kept").fetchone() == (42,)


def test_killed_emulator_finds_its_servers_again(own_emulator: Emulator) -> None:
    """After kill -9 the server that still runs is adopted as it is: open sessions go on."""
    project = own_emulator.create("adopted")
    server = own_emulator.postmaster(project.ref)
    with project.connect() as session:
        session.execute("create table kept as select 1 as n")
        own_emulator.end(signal.SIGKILL)
        own_emulator.start()
        assert session.execute("select n from kept").fetchone() == (1,)

    assert own_emulator.postmaster(project.ref) == server
    assert own_emulator.status(project.ref) == "ACTIVE_HEALTHY"
    assert project.sql("select n from kept") == [{"n": 1}]


def test_machine_that_went_down_comes_back(own_emulator: Emulator) -> None:
    """After all processes were killed, committed rows are there again."""
    project = own_emulator.create("reboot")
    project.sql("create table kept as select 1 as n")
    server = own_emulator.postmaster(project.ref)
    own_emulator.end(signal.SIGKILL)
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not processes(str(own_emulator.data)), "the server's processes to end")
    own_emulator.start()

    assert project.sql("select n from kept") == [{"n": 1}]


def test_pid_of_a_stranger_does_not_keep_a_server_down(own_emulator: Emulator) -> None:
    """After a reboot the old process number may be somebody else's: the server starts all the same."""
    project = own_emulator.create("stranger")
    file = own_emulator.data / "postgres" / project.ref / "data" / "postmaster.pid"
    lines = file.read_text().splitlines()
    owner = file.stat()
    own_emulator.end()
    # A process of the account that PostgreSQL runs as: kill(2) may tell it from a dead one.
    stranger = subprocess.Popen(["sleep", "600"], user=owner.st_uid)
    try:
        file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        os.chown(file, owner.st_uid, owner.st_gid)
        own_emulator.start()
        assert own_emulator.status(project.ref) == "ACTIVE_HEALTHY"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_half_made_project_is_finished(own_emulator: Emulator) -> None:
    """An emulator killed while it makes projects makes them after its next start."""
    body = {"name": "half", "organization_slug": "groundwork", "db_pass": "a long password"}
    refs = [own_emulator.client.post("/v1/projects", json=body).json()["ref"] for _ in range(3)]
    own_emulator.end(signal.SIGKILL)
    own_emulator.start()

    for ref in refs:
        own_emulator.wait_for_status(ref, "ACTIVE_HEALTHY")
    assert len(own_emulator.client.get("/v1/projects").json()) == 3


@pytest.mark.parametrize("moment", ["data.draft/base", "data/PG_VERSION", "data/postmaster.pid"])
def test_kill_at_any_moment_of_a_creation(moment: str, own_emulator: Emulator) -> None:
    """Killed within initdb, before or within the server's first start: the project is made all the same."""
    body = {"name": "half", "organization_slug": "groundwork", "db_pass": "a long password"}
    ref = own_emulator.client.post("/v1/projects", json=body).json()["ref"]
    wait_until((own_emulator.data / "postgres" / ref / moment).exists, f"{moment} to be made")
    own_emulator.end(signal.SIGKILL)
    own_emulator.start()

    own_emulator.wait_for_status(ref, "ACTIVE_HEALTHY")
    folder = own_emulator.data / "postgres" / ref
    assert sorted(entry.name for entry in folder.iterdir()) == ["data", "data.log"]


def test_half_deleted_project_is_finished(own_emulator: Emulator) -> None:
    """An emulator killed while it deletes a project deletes it after its next start."""
    project = own_emulator.create("half gone")
    own_emulator.client.delete(project.path).raise_for_status()
    own_emulator.end(signal.SIGKILL)
    own_emulator.start()

    own_emulator.wait_for_status(project.ref, "GONE")
    assert list(own_emulator.data.rglob(f"*{project.ref}*")) == []
    assert processes(f"{own_emulator.data}/postgres") == []


def test_taken_port_is_replaced(own_emulator: Emulator) -> None:
    """When somebody took a project's port, it gets another, which the API tells and keeps."""
    project = own_emulator.create("moved")
    path = f"{project.path}/config/database/pooler"
    old = own_emulator.client.get(path).json()[0]["db_port"]
    own_emulator.end()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", old))
        taken.listen()
        own_emulator.start()
        new = own_emulator.client.get(path).json()[0]["db_port"]
    own_emulator.end()
    own_emulator.start()

    assert new != old
    assert own_emulator.client.get(path).json()[0]["db_port"] == new
    with project.connect() as session:
        assert session.execute("select 1").fetchone() == (1,)


def test_dead_server_is_started_again(own_emulator: Emulator) -> None:
    """A PostgreSQL that dies alone comes back without anybody asking."""
    project = own_emulator.create("revived")
    first = own_emulator.postmaster(project.ref)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: own_emulator.postmaster(project.ref) not in {0, first}, "another server")
    own_emulator.wait_for_status(project.ref, "ACTIVE_HEALTHY")

    assert project.sql("select 1 as one") == [{"one": 1}]


def test_restarted_project_runs_its_jobs(own_emulator: Emulator) -> None:
    """The project's background worker runs again after a restart, also when the server has moved."""
    project = own_emulator.create("jobs")
    project.sql("create extension pg_cron; create table ran (at timestamptz)")
    project.sql("select cron.schedule('tick', '1 seconds', 'insert into public.ran values (now())')")
    own_emulator.end()
    own_emulator.start()
    project.sql("truncate ran")

    wait_until(lambda: project.sql("select count(*) as n from ran")[0]["n"] > 0, "the job to run")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one loopback address only")
def test_database_moves_with_the_host(own_emulator: Emulator) -> None:
    """Started again for another address, API and database listen there, with the same rows, and say so."""
    project = own_emulator.create("moved")
    project.sql("create table kept as select 1 as n")
    own_emulator.end(signal.SIGKILL)
    own_emulator.arguments += ("--host", "127.0.0.2")
    own_emulator.start()
    pooler = own_emulator.client.get(f"{project.path}/config/database/pooler").json()[0]
    database = own_emulator.client.get(project.path).json()["database"]
    with project.connect() as session:
        found = session.execute("select n, inet_server_addr() from kept").fetchone()

    assert own_emulator.api_url.startswith("http://127.0.0.2:")
    assert (pooler["db_host"], database["host"]) == ("127.0.0.2", "127.0.0.2")
    assert "@127.0.0.2:" in pooler["connection_string"]
    assert found == (1, IPv4Address("127.0.0.2"))
