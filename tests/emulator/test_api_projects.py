"""Projects through the API: made, shown, kept apart, paused, restored, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from tests.fix_emulator import processes, wait_until

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator, Project

NEW = {"name": "new", "organization_slug": "groundwork", "db_pass": "a long password"}


def test_new_project_comes_up_by_itself(emulator: Emulator) -> None:
    """A project is answered at once as UNKNOWN, cannot be deleted yet, and is healthy a little later."""
    made = emulator.client.post("/v1/projects", json=NEW)
    ref = made.json()["ref"]
    early = emulator.client.delete(f"/v1/projects/{ref}")
    asked = {"services": "db"}
    health = emulator.client.get(f"/v1/projects/{ref}/health", params=asked).json()
    query = emulator.client.post(f"/v1/projects/{ref}/database/query", json={"query": "select 1"})

    assert (made.status_code, made.json()["status"]) == (201, "UNKNOWN")
    assert (early.status_code, early.json()) == (400, {"message": "Project not ready for deletion."})
    assert health == [{"name": "db", "healthy": False, "status": "COMING_UP"}]
    assert query.json()["message"].startswith("Project is not active: its status is ")
    emulator.wait_for_status(ref, "ACTIVE_HEALTHY")
    health = emulator.client.get(f"/v1/projects/{ref}/health", params=asked).json()
    assert health == [{"name": "db", "healthy": True, "status": "ACTIVE_HEALTHY"}]


@pytest.mark.parametrize(
    ("given", "region"),
    [
        ({}, "us-east-1"),
        ({"region": "sa-east-1"}, "sa-east-1"),
        ({"region_selection": {"type": "specific", "code": "eu-west-3"}}, "eu-west-3"),
        ({"region_selection": {"type": "smartGroup", "code": "emea"}}, "eu-central-1"),
    ],
)
def test_region_is_taken_in_every_form(given: dict[str, str], region: str, emulator: Emulator) -> None:
    """A region is given by code, by selection or by part of the world, or not at all."""
    made = emulator.client.post("/v1/projects", json={**NEW, **given}).json()

    assert emulator.client.get(f"/v1/projects/{made['ref']}").json()["region"] == region


def test_name_changes(project: Project) -> None:
    """A renamed project is listed under its new name."""
    renamed = project.emulator.client.patch(project.path, json={"name": "other name"})
    listed = project.emulator.client.get(
        "/v1/organizations/groundwork/projects", params={"search": "OTHER", "statuses": "ACTIVE_HEALTHY"}
    ).json()
    project.emulator.client.patch(project.path, json={"name": "shared"})

    assert renamed.json()["name"] == "other name"
    assert [found["ref"] for found in listed["projects"]] == [project.ref]
    assert listed["pagination"] == {"count": 1, "limit": 100, "offset": 0}


def test_pages_cover_all_projects_once(emulator: Emulator) -> None:
    """Pages of one project each, put together, are the whole list in the order asked for."""
    made = [emulator.client.post("/v1/projects", json={**NEW, "name": f"page {n}"}).json() for n in (2, 1)]
    pages = [
        emulator.client.get(
            "/v1/organizations/groundwork/projects",
            params={"search": "page ", "limit": 1, "offset": offset, "sort": "name_asc"},
        ).json()
        for offset in (0, 1, 2)
    ]

    found = [[one["ref"] for one in page["projects"]] for page in pages]
    assert found == [[made[1]["ref"]], [made[0]["ref"]], []]
    assert {page["pagination"]["count"] for page in pages} == {2}


def test_projects_are_kept_apart(emulator: Emulator, project: Project) -> None:
    """Tables, logins and keys of one project mean nothing in another."""
    other = emulator.create("apart")
    other.sql("create table only_here (id int)")

    missing = {"query": "select * from only_here"}
    answer = emulator.client.post(f"{project.path}/database/query", json=missing)
    assert 'relation "only_here" does not exist' in answer.json()["message"]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(other.login("postgres", project.password))
    crossed = httpx.get(f"{other.url}/rest/v1/", headers={"apikey": project.key("service_role")})
    assert crossed.status_code == 401


def test_paused_project_keeps_its_data(emulator: Emulator) -> None:
    """Pausing ends the server; restoring brings it and its tables back, under the same address."""
    paused = emulator.create("pause")
    paused.sql("create table kept as select 42 as value")
    address = paused.dsn
    emulator.client.post(f"{paused.path}/pause").raise_for_status()
    emulator.wait_for_status(paused.ref, "INACTIVE")

    assert processes(paused.ref) == []
    again = emulator.client.post(f"{paused.path}/pause")
    assert again.status_code == 400
    assert "Project status is INACTIVE" in again.json()["message"]
    assert httpx.get(f"{paused.url}/storage/v1/status").status_code == 503

    emulator.client.post(f"{paused.path}/restore").raise_for_status()
    emulator.wait_for_status(paused.ref, "ACTIVE_HEALTHY")
    assert paused.dsn == address
    assert paused.sql("select value from kept") == [{"value": 42}]


def test_deleted_project_leaves_nothing(emulator: Emulator) -> None:
    """After a deletion there is no route, no process, no folder and no record."""
    gone = emulator.create("gone")
    assert processes(gone.ref)

    answer = emulator.client.delete(gone.path)
    emulator.wait_for_status(gone.ref, "GONE")

    assert answer.json()["ref"] == gone.ref
    assert processes(gone.ref) == []
    assert list(emulator.data.rglob(f"*{gone.ref}*")) == []
    assert httpx.get(f"{gone.url}/auth/v1/health").status_code == 404


def test_failed_creation_is_said_and_can_be_deleted(own_emulator: Emulator) -> None:
    """A project whose server cannot be made becomes INIT_FAILED, the log says why, and DELETE removes it."""
    (own_emulator.data / "postgres").write_text("not a folder")

    ref = own_emulator.client.post("/v1/projects", json=NEW).json()["ref"]
    wait_until(lambda: own_emulator.status(ref) == "INIT_FAILED", "the creation to fail")

    assert "Not a directory" in own_emulator.log.read_text()
    own_emulator.client.delete(f"/v1/projects/{ref}").raise_for_status()
    own_emulator.wait_for_status(ref, "GONE")
