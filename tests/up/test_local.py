"""The local stack with the real engine: what a new user does, and what can go wrong."""

from __future__ import annotations

import io
import json
import re
import socket
import zipfile
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest
from pulumi import automation as auto

from engines import cron
from tests.polling import until
from tests.up.fix_local import exported, health, kill_all, processes_of, pulumi, resource, secret_values

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_program import Program

pytestmark = pytest.mark.engine


def _query(program: Program, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(program.outputs()["database_url"]) as session:
        return session.execute(statement).fetchall()


def _add(program: Program, name: str, text: str) -> Path:
    """Write a migration that sorts after all that are there."""
    folder = program.folder / "migrations"
    last = max(int(path.name.split("_")[0]) for path in folder.glob("*.sql"))
    file = folder / f"{last + 1:03}_{name}.sql"
    file.write_text(text)
    return file


def test_up_ends_with_a_page_and_a_healthy_product(local: Program) -> None:
    """The app answers with a page, and everything behind it is healthy."""
    outputs = local.outputs()
    page = httpx.get(outputs["app_url"])

    assert page.status_code == 200
    assert "<html" in page.text
    assert health(local)["status"] == "healthy"
    assert outputs["health"]["status"] == "healthy"
    assert outputs["migrations"]["applied"] == len(list((local.folder / "migrations").glob("*.sql")))


def test_second_up_changes_nothing(local: Program) -> None:
    """An update without changes is one: nothing is updated, nothing restarts."""
    before = {process.pid for process in processes_of(local.folder)}
    local.up()

    assert local.changed() == {}
    assert {process.pid for process in processes_of(local.folder)} >= before


def test_new_migration_is_named_in_preview_and_applied_once(local: Program) -> None:
    """A preview names the file and changes nothing; an update applies it, the next one does nothing."""
    file = _add(local, "note", "create table private.note (id int);\n")
    preview = local.preview()
    missing = _query(local, "select to_regclass('private.note')")
    local.up()

    assert f"pending: {file.name}" in preview.stdout
    assert missing == [(None,)]
    assert _query(local, "select count(*) from private.note") == [(0,)]
    local.up()
    assert local.changed() == {}


def test_broken_migration_is_rolled_back_and_the_earlier_ones_stay(local: Program) -> None:
    """The update fails with the file and the server's words; after a correction the next one goes on."""
    _add(local, "good", "create table private.good (id int);\n")
    mistake = "create table private.half (id int);\ncreate tabel private.rest (id int);\n"
    broken = _add(local, "broken", mistake)
    with pytest.raises(auto.CommandError) as caught:
        local.up()

    assert broken.name in str(caught.value)
    assert "tabel" in str(caught.value)
    assert _query(local, "select to_regclass('private.good')::text, to_regclass('private.half')") == [
        ("private.good", None)
    ]
    broken.write_text("create table private.half (id int);\n")
    local.up()
    assert _query(local, "select count(*) from private.half") == [(0,)]


def test_contract_migrations_run_after_the_new_code_is_healthy(local: Program) -> None:
    """What old code needs is taken away in the same update, behind the health gate; the plan shows both."""
    first = _add(local, "wide", "create table private.wide (old int, new int);\n")
    text = "-- groundwork: phase=contract\nalter table private.wide drop column old;\n"
    second = _add(local, "narrow", text)
    told = local.preview().stdout
    local.up()
    steps = [event.resource_pre_event.metadata for event in local.events if event.resource_pre_event]
    order = [step.urn.split("::")[-1] for step in steps if step.op != auto.OpType.SAME]
    columns = (
        "select attname::text from pg_attribute where attrelid = 'private.wide'::regclass and attnum > 0"
    )

    assert f"pending: {first.name}" in told
    assert f"pending: {second.name}" in told
    assert order.index("schema-migrations") < order.index("health-gate") < order.index("contract-migrations")
    assert _query(local, f"{columns} and not attisdropped") == [("new",)]
    assert local.outputs()["migrations"]["latest"] == second.name.split("_")[0]
    local.up()
    assert local.changed() == {}


def test_a_failing_contract_migration_leaves_the_product_serving(local: Program) -> None:
    """The update fails with the file's name; the new code goes on, and a corrected file ends the story."""
    text = "-- groundwork: phase=contract\n"
    broken = _add(local, "cut", f"{text}alter table private.nowhere drop column gone;\n")
    with pytest.raises(auto.CommandError) as caught:
        local.up()
    broken.write_text(f"{text}select 1;\n")

    assert broken.name in str(caught.value)
    assert health(local)["status"] == "healthy"
    local.up()


def test_edited_migration_is_refused_before_anything_runs(local: Program) -> None:
    """A file that was applied and edited stops the preview, by name."""
    file = next(iter(sorted((local.folder / "migrations").glob("*.sql"))))
    original = file.read_text()
    file.write_text(f"{original}\nselect 1;\n")
    with pytest.raises(auto.CommandError) as caught:
        local.preview()
    file.write_text(original)

    assert file.name in str(caught.value)


def test_rotation_keeps_both_sides_in_step(local: Program) -> None:
    """A raised version makes a new value; app and agent agree on it, and the old one is still accepted."""
    old = resource(exported(local), "agent_shared_secret")["outputs"]["current"]
    version = local.outputs()["secret_versions"]["agent_shared_secret"]
    local.set("secrets.agent_shared_secret.version", str(version + 1))
    local.up()
    new = resource(exported(local), "agent_shared_secret")["outputs"]["current"]
    agent = httpx.get(f"{local.outputs()['agent_url']}/health").json()

    assert new != old
    assert local.outputs()["secret_versions"]["agent_shared_secret"] == version + 1
    assert health(local)["checks"]["agent"]["ok"]
    assert agent["secrets"]["agent_shared_secret"]["versions"] == [str(version + 1), str(version)]


def test_database_logins_take_turns(local: Program) -> None:
    """A new password goes to the other role, so that the login in use is never invalidated."""
    before = resource(exported(local), "app-login")["outputs"]["login"]
    version = local.outputs()["secret_versions"]["app_database_password"]
    local.set("secrets.app_database_password.version", str(version + 1))
    local.up()
    after = resource(exported(local), "app-login")["outputs"]["login"]

    assert {before, after} == {"app_a", "app_b"}
    assert health(local)["status"] == "healthy"


def test_the_owners_password_is_rotated_beside_a_migration(local: Program) -> None:
    """The preview shows the rotation, leaves the project alone, and still names what is pending."""
    before = local.outputs()["database_url"]
    file = _add(local, "beside_a_rotation", "select 1;")
    local.set("secrets.database_password.version", "2")
    said = local.preview().stdout
    planned = local.changed()
    local.up()
    after = local.outputs()["database_url"]

    assert f"pending: {file.name}" in said
    assert planned.keys() >= {"database_password", "supabase-owner-password", "schema-migrations"}
    assert not planned.keys() & {"supabase-project", "app-login", "agent-login"}
    assert _query(local, "select current_user::text") == [("postgres",)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(before)
    assert before != after


def test_after_a_power_cut_up_brings_everything_back(local: Program) -> None:
    """All processes gone at once: the next update starts them, and no row is lost."""
    with psycopg.connect(local.outputs()["database_url"], autocommit=True) as session:
        session.execute("create table if not exists private.kept (id int)")
        session.execute("insert into private.kept values (1)")
    rows = _query(local, "select count(*) from private.kept")
    kill_all(local.folder)
    local.up()

    assert {"emulator", "agent", "app"} <= set(local.changed())
    assert health(local)["status"] == "healthy"
    assert _query(local, "select count(*) from private.kept") == rows


def test_a_database_that_had_to_move_is_followed(local: Program) -> None:
    """Somebody took the database's port while all was down: it comes back elsewhere, all else follows."""
    before = resource(exported(local), "supabase-project")["outputs"]["port"]
    kill_all(local.folder)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(before)))
        taken.listen()
        local.up()
        after = resource(exported(local), "supabase-project")["outputs"]["port"]
        status = health(local)["status"]

    assert after != before
    assert status == "healthy"


def test_a_removed_cron_job_is_noticed_and_made_again(local: Program) -> None:
    """Drift: what somebody unscheduled by hand is found by a refresh and scheduled again."""
    with psycopg.connect(local.outputs()["database_url"], autocommit=True) as session:
        session.execute("select cron.unschedule(jobname) from cron.job where jobname = 'groundwork:run-jobs'")
    local.stack.refresh()
    local.up()

    assert local.changed() == {"cron-run-jobs": "create"}
    assert _query(local, "select count(*) from cron.job where jobname = 'groundwork:run-jobs'") == [(1,)]


def test_scheduled_calls_reach_the_agent_and_their_outcome_is_read_back(local: Program) -> None:
    """A job presents the agent's secret, and the HTTP status that came back is on record."""
    local.set("cron.often.schedule", "1 seconds")
    local.set("cron.often.path", "/jobs/run")
    local.up()
    dsn = local.outputs()["database_url"]
    until(lambda: [call for call in cron.outcomes(dsn) if call.job == "often" and call.is_ok])
    found = [call.status_code for call in cron.outcomes(dsn) if call.job == "often" and not call.is_pending]
    local.stack.remove_config("groundwork:cron.often", path=True)
    local.up()

    assert set(found) == {200}
    assert local.changed() == {"cron-often": "delete", "cron-roster": "update"}
    assert _query(local, "select jobname from cron.job where jobname like 'groundwork:often'") == []


def test_a_rotated_secret_reaches_the_scheduled_calls_too(local: Program) -> None:
    """The vault's entry follows the version in force; the one before the last is pushed out, used or not."""
    local.set("secrets.retire_after", "1ms")
    version = local.outputs()["secret_versions"]["agent_shared_secret"]
    local.set("secrets.agent_shared_secret.version", str(version + 1))
    local.up()
    current = resource(exported(local), "agent_shared_secret")["outputs"]["current"]["plaintext"]

    assert _query(local, "select decrypted_secret from vault.decrypted_secrets") == [(json.loads(current),)]


def _hidden(page: str) -> dict[str, str]:
    """Collect the hidden fields of a page's forms, as a browser sends them."""
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))


def test_the_demo_account_can_ask_the_agent(local: Program) -> None:
    """The whole path: page, sign-in, question, the agent's answer, data exported."""
    with httpx.Client(base_url=local.outputs()["app_url"], follow_redirects=True) as visitor:
        front = visitor.get("/")
        account = visitor.post("/demo", data=_hidden(front.text))
        answer = visitor.post("/ask", data={**_hidden(account.text), "message": "hello there"})
        archive = visitor.get("/export.zip")

    assert account.status_code == 200
    assert answer.status_code == 200
    assert "hello" in answer.text
    with zipfile.ZipFile(io.BytesIO(archive.content)) as data:
        messages = next(name for name in data.namelist() if name.endswith("messages.csv"))
        assert "hello there" in data.read(messages).decode()


def test_no_secret_is_written_in_plain(local: Program) -> None:
    """State, its backups and history, logs, event output and process arguments hold no secret value."""
    result = local.up()
    shown = pulumi(local, "preview", "--diff", "--event-log", str(local.folder / ".local" / "events.log"))
    values = secret_values(exported(local))
    texts = {str(path): path.read_bytes() for path in _written(local)}
    arguments = " ".join(part for process in processes_of(local.folder) for part in process.cmdline())

    assert len(values) >= 6
    assert [path for path, text in texts.items() if any(value.encode() in text for value in values)] == []
    assert not [value for value in values if value in result.stdout + shown + arguments]


def _written(program: Program) -> list[Path]:
    """List all that a run wrote, the database's files included, but for where secrets must lie to be used.

    Those are the services' secret files and the stand-in's own account of its projects.
    """
    below = program.folder / ".local"
    used = (below / "local" / "secrets", below / "local" / "supabase" / "state")
    return [
        path
        for path in below.rglob("*")
        if path.is_file() and not path.is_relative_to(used[0]) and not path.is_relative_to(used[1])
    ]


def test_files_that_hold_secrets_are_closed_to_others(local: Program) -> None:
    """Where a value must lie in plain to be used, only its owner can read it."""
    below = local.folder / ".local" / "local"
    holders = [*(below / "secrets").rglob("*"), *(below / "supabase" / "state").rglob("*")]

    assert [path for path in holders if path.is_file()]
    assert [path for path in holders if path.stat().st_mode & 0o077] == []


def test_a_model_out_of_reach_fails_the_gate_by_the_name_of_the_check(local: Program) -> None:
    """The update fails and says which check of which service; the key given for the model shows nowhere."""
    canary = "sk-canary-51f0b7"
    local.set("agent.ai_provider", "openai")
    local.set("agent.ai_base_url", "http://127.0.0.1:1")
    local.set("agent.ai_model", "some-model")
    local.set("health.timeout", "1s")
    key = auto.ConfigValue(canary, secret=True)
    local.stack.set_config("groundwork:secrets.ai_api_key.value", key, path=True)
    with pytest.raises(auto.CommandError) as caught:
        local.up()
    texts = {str(path): path.read_bytes() for path in _written(local)}
    for path in ("agent.ai_provider", "agent.ai_base_url", "agent.ai_model", "health", "secrets.ai_api_key"):
        local.stack.remove_config(f"groundwork:{path}", path=True)
    local.up()

    assert "agent.ai" in str(caught.value)
    assert canary not in str(caught.value)
    assert [path for path, text in texts.items() if canary.encode() in text] == []
    assert health(local)["status"] == "healthy"


def test_destroy_leaves_nothing_running_and_keeps_the_data(local: Program) -> None:
    """No process and no port is left; with `on_destroy: keep` the next update finds the data again."""
    with psycopg.connect(local.outputs()["database_url"], autocommit=True) as session:
        session.execute("create table if not exists private.kept_over (id int)")
    url = local.outputs()["app_url"]
    local.stack.destroy()
    left = [process.cmdline() for process in processes_of(local.folder)]
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    local.up()

    assert left == []
    assert _query(local, "select count(*) from private.kept_over") == [(0,)]
