"""A project's life, by the provider's own methods and a real stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pulumi.output import Unknown

from engines import postgres, supabase
from providers import _access
from providers.migrations import MigrationsProvider
from providers.schedule import CronJobProvider
from providers.supabase import SupabaseProjectProvider
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator, Project

PROVIDER = SupabaseProjectProvider()
ROOT = Path(__file__).parents[2]
CREATE = """
import json, sys
from providers.supabase import SupabaseProjectProvider
SupabaseProjectProvider().create(json.load(sys.stdin))
"""


def props(emulator: Emulator, name: str, **changes: Any) -> dict[str, Any]:
    """Give the inputs of a project."""
    return {
        "api_url": emulator.api_url,
        "access_token": emulator.token,
        "project_name": name,
        "organization_slug": "groundwork",
        "ref": "",
        "adopt": False,
        "region": "us-east-1",
        "instance_size": "",
        "database_password": "",
        "paused": False,
        "on_destroy": "keep",
        **changes,
    }


def named(emulator: Emulator, name: str) -> list[dict[str, Any]]:
    """List the projects of a name."""
    return [one for one in emulator.client.get("/v1/projects").json() if one["name"] == name]


def changes(id_: str, olds: dict[str, Any], news: dict[str, Any]) -> bool:
    """Tell whether a preview would show an update."""
    return bool(PROVIDER.diff(id_, olds, news).changes)


@pytest.fixture(scope="module")
def lived(emulator: Emulator) -> tuple[Project, dict[str, Any]]:
    """Give a project that these tests change, and what the provider stored of it."""
    project = emulator.create("lived")
    outs = PROVIDER.create(props(emulator, "lived", ref=project.ref)).outs
    assert outs is not None
    return project, outs


def test_outputs_are_read_from_the_platform(lived: tuple[Project, dict[str, Any]]) -> None:
    """All keys and addresses are there, and no address has a password; the next preview shows nothing."""
    project, outs = lived
    address = f"postgresql://postgres@127.0.0.1:{outs['port']}/postgres"

    assert outs["project_ref"] == project.ref
    assert [outs[f"{name}_url"] for name in ("direct", "session", "transaction")] == [address, address, ""]
    keys = {name: outs[name] for name in ("anon_key", "service_role_key", "publishable_key", "secret_key")}
    assert all(keys.values())
    assert len(set(keys.values())) == 4
    assert not changes(project.ref, outs, props(project.emulator, "lived", ref=project.ref))


def test_keys_that_are_switched_off_are_empty(lived: tuple[Project, dict[str, Any]]) -> None:
    """A refresh sees it."""
    project, outs = lived
    path = f"{project.path}/api-keys/legacy"
    project.emulator.client.put(path, params={"enabled": "false"}).raise_for_status()
    seen = PROVIDER.read(project.ref, outs).outs
    project.emulator.client.put(path, params={"enabled": "true"}).raise_for_status()

    assert seen is not None
    assert (seen["anon_key"], seen["service_role_key"]) == ("", "")
    assert seen["publishable_key"] == outs["publishable_key"]


def test_refresh_sees_a_project_that_was_renamed_and_paused(lived: tuple[Project, dict[str, Any]]) -> None:
    """What is live is in outputs and inputs; the next update brings it back, with lines that say so."""
    project, outs = lived
    api = project.emulator.client
    api.patch(project.path, json={"name": "other"}).raise_for_status()
    api.post(f"{project.path}/pause").raise_for_status()
    project.emulator.wait_for_status(project.ref, "INACTIVE")
    news = props(project.emulator, "lived", ref=project.ref)
    assert changes(project.ref, outs, news)
    seen = PROVIDER.read(project.ref, outs)
    assert seen.outs is not None
    assert seen.inputs is not None
    for found in (seen.outs, seen.inputs):
        assert (found["project_name"], found["paused"]) == ("other", True)
    assert "secret_key" not in seen.inputs

    updated = PROVIDER.update(project.ref, seen.outs, news).outs
    assert updated is not None
    assert named(project.emulator, "lived")[0]["status"] == "ACTIVE_HEALTHY"
    assert not changes(project.ref, updated, news)


def test_project_that_is_new_to_a_stack_is_paused_by_its_second_update(
    lived: tuple[Project, dict[str, Any]],
) -> None:
    """The first update needs the database for all that is in it; the preview after it shows the pause."""
    project, _ = lived
    wanted = props(project.emulator, "lived", ref=project.ref, paused=True)

    outs = PROVIDER.create(wanted).outs or {}

    assert project.emulator.status(project.ref) == "ACTIVE_HEALTHY"
    assert changes(project.ref, outs, wanted)


def test_project_is_paused_and_restored_as_the_stack_says(
    lived: tuple[Project, dict[str, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    """It sleeps when the update ends, with its outputs kept; then nothing more is shown."""
    project, outs = lived
    news = props(project.emulator, "lived", ref=project.ref, paused=True)
    asleep = PROVIDER.update(project.ref, outs, news).outs
    assert asleep is not None
    assert project.emulator.status(project.ref) == "INACTIVE"
    assert asleep["anon_key"] == outs["anon_key"]
    assert _access.preview({}, asleep, str) is None
    with pytest.raises(postgres.DatabaseUnreachableError, match="is INACTIVE"):
        _access.run(asleep, str)
    for inside in (MigrationsProvider(), CronJobProvider()):
        stored = {**asleep, "folder": "migrations", "layout": "auto", "latest": "1", "job": "x"}
        assert inside.read("id", stored).outs == stored
    assert not changes(project.ref, asleep, news)

    awake = PROVIDER.update(project.ref, asleep, {**news, "paused": False}).outs
    assert project.emulator.status(project.ref) == "ACTIVE_HEALTHY"
    assert not changes(project.ref, awake or {}, {**news, "paused": False})
    lines = capfd.readouterr().err
    assert f"pausing project {project.ref}" in lines
    assert f"project {project.ref} is paused: restoring it" in lines


def test_state_of_before_some_outputs_is_brought_up_to_date(lived: tuple[Project, dict[str, Any]]) -> None:
    """A stack that an older version made gets what it lacks, and the owner's URL leaves its state."""
    project, outs = lived
    news = props(project.emulator, "lived", ref=project.ref)
    old = {name: value for name, value in outs.items() if not name.endswith(("_url", "secret_key"))}
    old |= {"api_url": outs["api_url"], "database_url": "postgresql://postgres:pw@x/y"}
    assert changes(project.ref, old, news)

    updated = PROVIDER.update(project.ref, old, news).outs or {}
    assert "database_url" not in updated
    assert not changes(project.ref, updated, news)


def test_rotation_of_the_password_is_no_change_of_the_project(
    lived: tuple[Project, dict[str, Any]],
) -> None:
    """Known or not yet, another password of the owner leaves the project alone."""
    project, outs = lived
    news = props(project.emulator, "lived", ref=project.ref)

    assert not changes(project.ref, outs, {**news, "database_password": Unknown()})
    assert not changes(project.ref, outs, {**news, "database_password": "next"})


def test_another_project_is_no_change_of_this_one(lived: tuple[Project, dict[str, Any]]) -> None:
    """A stack does not change its project."""
    project, outs = lived
    with pytest.raises(supabase.ConflictError, match=f"the project of this stack is {project.ref}"):
        PROVIDER.diff(project.ref, outs, props(project.emulator, "lived", ref="a" * 20))


def test_project_that_is_named_and_gone(emulator: Emulator) -> None:
    """The key that names it is named, and what to do."""
    with pytest.raises(supabase.NotFoundError, match=r"groundwork:supabase\.ref is aaaa.*correct it"):
        PROVIDER.create(props(emulator, "gone", ref="a" * 20))


def test_place_is_looked_at_before_anything_is_made(emulator: Emulator) -> None:
    """An organization that the token does not see is told with those that it sees."""
    with pytest.raises(supabase.ConflictError, match="it sees groundwork"):
        PROVIDER.create(props(emulator, "nowhere", organization_slug="nobody"))

    assert named(emulator, "nowhere") == []


def test_creation_that_was_killed_is_taken_over(emulator: Emulator) -> None:
    """Killed while it waited, the next creation finds the project, waits for it, and makes no second one."""
    wanted = props(emulator, "killed", on_destroy="delete")
    command = [sys.executable, "-c", CREATE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, text=True, env={**os.environ}) as process:
        assert process.stdin is not None
        json.dump(wanted, process.stdin)
        process.stdin.close()
        wait_until(lambda: named(emulator, "killed"), "the project to be there")
        process.send_signal(signal.SIGKILL)

    made = PROVIDER.create(wanted)
    (found,) = named(emulator, "killed")
    assert (made.id, found["status"]) == (found["ref"], "ACTIVE_HEALTHY")

    PROVIDER.delete(str(made.id), {**wanted, "on_destroy": "keep"})
    assert emulator.status(str(made.id)) == "ACTIVE_HEALTHY"
    PROVIDER.delete(str(made.id), wanted)
    wait_until(lambda: emulator.status(str(made.id)) == "GONE", "the project to be gone")
    assert PROVIDER.read(str(made.id), wanted).outs == {}
    assert made.outs is not None
    # Nothing is left to be removed from its database; what would be made there says what is wrong.
    _access.remove(made.outs, print)
    with pytest.raises(supabase.NotFoundError, match=str(made.id)):
        _access.run(made.outs, str)
    PROVIDER.delete(str(made.id), wanted)
