"""Releases on a real Swarm while requests keep coming: none may fail, whatever is rolled out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pulumi import automation as auto

from tests.polling import until

if TYPE_CHECKING:
    from tests.release.fix_release import Release

pytestmark = [pytest.mark.engine, pytest.mark.docker]

READY = 'api = FastAPI(title="app"'
NO_START = 'raise SystemExit("planted: no start")\n'
PROBE = '@api.get("/api/probe")'
ERRORS = f'''{PROBE}
async def planted() -> None:
    """Fail."""
    raise RuntimeError("planted")


'''
SLOW = f'''{PROBE}
async def slow(request: Request) -> JSONResponse:
    """Answer late."""
    import asyncio

    await asyncio.sleep(0.1)
    return await probe(request)


'''


def test_everything_is_there(release: Release) -> None:
    """App and agent run twice each behind the proxy, healthy, and a second update changes nothing."""
    release.up()

    assert release.changed() == {}
    assert {name: len(release.containers(name)) for name in ("app", "agent", "proxy")} == {
        "app": 2,
        "agent": 2,
        "proxy": 1,
    }
    assert release.health("app")["status"] == "healthy"


def test_a_refresh_shows_nothing(release: Release) -> None:
    """What the engine has is what the state says."""
    release.stack.refresh()
    release.up()

    assert release.changed() == {}


def test_a_new_image_costs_no_request(release: Release) -> None:
    """Both services are exchanged one container at a time, behind the proxy."""
    before = {name: release.health(name)["version"] for name in ("app", "agent")}
    for name in before:
        release.edit(f"workloads/{name}/main.py", '"""', f'"""{name}: a new release. ')
    with release.under_load():
        release.up()
    after = {name: release.health(name)["version"] for name in ("app", "agent")}

    assert before["app"] != after["app"]
    assert before["agent"] != after["agent"]
    assert release.outputs()["health"]["verdict"] == "pass"


def test_a_migration_pair_costs_no_request(release: Release) -> None:
    """What new code needs comes before it, and what old code needed goes behind the gate."""
    folder = release.folder / "migrations"
    (folder / "090_wide.sql").write_text("create table private.wide (old int, new int);\n")
    (folder / "091_narrow.sql").write_text(
        "-- groundwork: phase=contract\nalter table private.wide drop column old;\n"
    )
    with release.under_load():
        release.up()

    assert release.outputs()["migrations"]["latest"] == "091"


def test_a_killed_replica_costs_no_request(release: Release) -> None:
    """What it was asked is asked again of another; the Swarm starts a new one."""
    victims = {name: release.containers(name)[0].id for name in ("app", "agent")}
    with release.under_load():
        for victim in victims.values():
            release.docker.containers.get(victim).kill()
        until(lambda: _replaced(release, victims), 120, what="new replicas")


def _replaced(release: Release, victims: dict[str, str]) -> bool:
    running = {name: {one.id for one in release.containers(name)} for name in victims}
    return all(len(found) == 2 and victims[name] not in found for name, found in running.items())


def test_an_image_that_does_not_start_is_turned_back(release: Release) -> None:
    """The update fails and says why; the old containers were never ended. A corrected one passes."""
    before = release.health("app")["version"]
    release.edit("workloads/app/main.py", READY, NO_START + READY)
    with release.under_load():
        with pytest.raises(auto.CommandError) as caught:
            release.up()
        release.edit("workloads/app/main.py", NO_START, "")
        release.up()

    assert "non-zero exit (1)" in str(caught.value)
    assert release.health("app")["version"] == before


def test_a_release_with_errors_is_taken_back_by_the_gate(release: Release) -> None:
    """It starts and is ready, but requests fail: the one before serves again, and contract files wait."""
    before = release.health("app")["version"]
    (release.folder / "migrations" / "095_gone.sql").write_text("-- groundwork: phase=contract\nselect 1;\n")
    release.edit("workloads/app/main.py", PROBE, ERRORS + PROBE)
    with pytest.raises(auto.CommandError) as caught:
        release.up()
    with release.under_load():
        served = release.health("app")["version"]

    assert served == before
    assert "rolled back" in str(caught.value)
    assert release.outputs()["migrations"]["latest"] != "095"
    release.edit("workloads/app/main.py", ERRORS, "")
    release.edit("workloads/app/main.py", '"""', '"""Corrected. ')
    release.up()

    assert release.outputs()["migrations"]["latest"] == "095"


def test_what_was_taken_back_stays_back_when_the_code_is_reverted(release: Release) -> None:
    """A refresh tells Pulumi of it, so the app has nothing to do; then the agent alone is released."""
    before = release.health("app")["version"]
    release.edit("workloads/app/main.py", PROBE, ERRORS + PROBE)
    with pytest.raises(auto.CommandError):
        release.up()
    release.stack.refresh()
    release.edit("workloads/app/main.py", ERRORS, "")
    release.edit("workloads/agent/main.py", '"""', '"""Alone. ')
    with release.under_load():
        release.up()

    assert release.health("app")["version"] == before
    assert release.outputs()["health"]["verdict"] == "pass"


def test_a_secret_that_goes_bad_is_taken_back(release: Release) -> None:
    """The one before is still there for the release before, and the same update passes once it may."""
    # What the limit of the second update finds too slow on every machine, however quick.
    release.edit("workloads/app/main.py", PROBE, SLOW + PROBE)
    release.up()
    before = release.live("app")["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    release.give("mail_api_key", release.outputs()["secret_versions"]["mail_api_key"] + 1)
    release.set("health.max_latency", "1ms")
    with release.under_load():
        with pytest.raises(auto.CommandError) as caught:
            release.up()
        release.set("health.max_latency", "10s")
        back = release.live("app")["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
        release.up()
    forth = release.live("app")["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]

    assert "app: rolled back to what passed before; 2 of 2 instances run" in str(caught.value)
    assert back == before
    assert forth != before


def test_a_session_of_the_database_that_ends_costs_no_request(release: Release) -> None:
    """The platform restarts its pooler, or ends a session: pools open another one and ask again."""
    with release.under_load():
        ended = release.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename ~ '_[ab]$'")

    assert ended
