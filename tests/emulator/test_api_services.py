"""A project's own URL: auth, rest and storage are as healthy as the project's database."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator, Project

PATHS = ["/auth/v1/health", "/auth/v1/.well-known/jwks.json", "/rest/v1/", "/storage/v1/status"]


@pytest.mark.parametrize("path", [*PATHS, "/storage/v1/health"])
def test_service_answers_with_a_key(path: str, project: Project) -> None:
    """Each service answers 200 and JSON to a caller with the public key."""
    answer = httpx.get(f"{project.url}{path}", headers={"apikey": project.key("anon")})

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/auth/v1/health", "/rest/v1/"])
@pytest.mark.parametrize(
    ("headers", "message"),
    [({}, "No API key found in request"), ({"apikey": "sb_publishable_wrong"}, "Invalid API key")],
)
def test_service_asks_for_a_key(path: str, headers: dict[str, str], message: str, project: Project) -> None:
    """Auth and rest refuse a caller without a valid key; the Management API's token is none."""
    answer = httpx.get(f"{project.url}{path}", headers=headers)
    with_token = project.emulator.client.get(f"/projects/{project.ref}{path}")

    assert (answer.status_code, answer.json()["message"]) == (401, message)
    assert with_token.status_code == 401


def test_opaque_keys_open_the_same_doors(project: Project) -> None:
    """The publishable key is a visitor, the secret key sees what the service role may."""
    project.sql("create table seen (n int); grant select on seen to service_role")
    listed = {
        name: httpx.get(f"{project.url}/rest/v1/", headers={"apikey": project.key(name)}).json()["paths"]
        for name in ("anon", "service_role")
    }
    project.sql("drop table seen")

    assert "/seen" in listed["service_role"]
    assert "/seen" not in listed["anon"]


def test_unknown_project_is_404(emulator: Emulator) -> None:
    """There is no project behind a made-up reference."""
    answer = httpx.get(f"{emulator.api_url}/projects/{'z' * 20}/storage/v1/status")

    assert (answer.status_code, answer.json()) == (404, {"message": "Project not found"})


def test_hanging_database_makes_every_service_unhealthy(own_emulator: Emulator) -> None:
    """While the database does not answer, services say 503 and health UNHEALTHY; then all is well again."""
    project = own_emulator.create("hangs")
    headers = {"apikey": project.key("anon")}
    asked = {"services": "auth,db,rest,storage", "timeout_ms": "2000"}
    postmaster = own_emulator.postmaster(project.ref)
    os.kill(postmaster, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor() as pool:
            get = partial(httpx.get, headers=headers, timeout=30)
            answers = list(pool.map(get, [f"{project.url}{path}" for path in PATHS]))
        health = own_emulator.client.get(f"{project.path}/health", params=asked).json()
    finally:
        os.kill(postmaster, signal.SIGCONT)

    assert [answer.status_code for answer in answers] == [503] * len(PATHS)
    assert "the project's database failed" in answers[0].json()["message"]
    assert [one["status"] for one in health] == ["UNHEALTHY"] * 4
    again = [httpx.get(f"{project.url}{path}", headers=headers).status_code for path in PATHS]
    assert again == [200] * len(PATHS)
