"""Requests fail as tests ask for it, and as often; the client takes each fault as the real one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from engines import supabase
from engines.supabase import CreateProject, Limiter, ManagementClient, Timing
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fix_emulator import Emulator

FAULTS = "/emulator/faults"


@pytest.fixture
def faulty(emulator: Emulator) -> Iterator[Emulator]:
    """Give the emulator, and forget the faults afterwards."""
    yield emulator
    emulator.client.delete(FAULTS).raise_for_status()


def add(emulator: Emulator, **fault: Any) -> None:
    """Let something go wrong."""
    emulator.client.post(FAULTS, json=fault).raise_for_status()


def impatient(emulator: Emulator) -> ManagementClient:
    """Give a client that waits for an answer for a short time only, and does not wait between tries."""
    timing = Timing(lambda _: None, lambda: 0.0, 0.5, create_timeout_s=0.5)
    return ManagementClient(emulator.api_url, emulator.token, timing=timing, limiter=Limiter(lambda _: None))


def test_fault_is_used_up(faulty: Emulator) -> None:
    """A fault meets as many requests as it says, of its method and path only."""
    add(faulty, kind="status", status=503, method="GET", path="/v1/organizations", times=2)
    statuses = [faulty.client.get(path).status_code for path in ("/v1/profile", *["/v1/organizations"] * 3)]

    assert statuses == [200, 503, 503, 200]
    assert faulty.client.get(FAULTS).json() == []


def test_faults_need_the_token(faulty: Emulator) -> None:
    """Nobody without the token disturbs others."""
    answer = httpx.post(f"{faulty.api_url}{FAULTS}", json={"kind": "cut"}, trust_env=False)

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "fault", [{"kind": "earthquake"}, {"kind": "cut", "path": "("}, {"kind": "cut", "tims": 2}]
)
def test_wrong_fault_is_refused(fault: dict[str, Any], faulty: Emulator) -> None:
    """A fault that cannot happen is an error, not a test that proves nothing."""
    assert faulty.client.post(FAULTS, json=fault).status_code == 400


@pytest.mark.parametrize("kind", ["cut", "cut_after"])
def test_connection_is_cut(kind: str, faulty: Emulator) -> None:
    """The answer breaks off, with the request carried out or not."""
    add(faulty, kind=kind, path="/v1/profile")

    with pytest.raises(httpx.RemoteProtocolError):
        faulty.client.get("/v1/profile")
    assert faulty.client.get("/v1/profile").status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 429, "headers": {"retry-after": "1"}},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503},
        {"kind": "cut"},
        {"kind": "cut_after"},
        {"kind": "slow", "seconds": 1},
        {"kind": "late", "seconds": 1},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}",
)
def test_client_reads_through_faults(fault: dict[str, Any], faulty: Emulator) -> None:
    """Two faults of each kind are waited out."""
    add(faulty, **fault, path="/v1/profile|/v1/organizations", times=2)

    with impatient(faulty) as client:
        assert client.organizations.all()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429, "headers": {"retry-after": "1"}},
        {"kind": "cut_after"},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}",
)
def test_client_creates_one_project_through_faults(fault: dict[str, Any], faulty: Emulator) -> None:
    """A create that fails or loses its answer leaves one project, which the client takes."""
    name = f"{fault['kind'].replace('_', '-')}-{fault.get('status', 0)}"
    add(faulty, **fault, method="POST", path="/v1/projects")

    with impatient(faulty) as client:
        made = client.projects.create(CreateProject(name, "groundwork", "eu-central-1", "a long password"))
        found = [one.ref for one in client.projects.all() if one.name == name]
        wait_until(lambda: faulty.status(made.ref) not in {"UNKNOWN", "COMING_UP"}, "the project to come up")
        client.projects.delete(made.ref)

    assert found == [made.ref]


def test_client_gives_a_late_create_up(faulty: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """A create that is answered after the client gave up is found by a look, and not sent again."""
    caplog.set_level(logging.DEBUG, "engines.supabase")
    add(faulty, kind="late", seconds=5, method="POST", path="/v1/projects")

    with impatient(faulty) as client:
        made = client.projects.create(
            CreateProject("too-late", "groundwork", "eu-central-1", "a long password")
        )
        wait_until(lambda: faulty.status(made.ref) not in {"UNKNOWN", "COMING_UP"}, "the project to come up")
        found = [one.ref for one in client.projects.all() if one.name == "too-late"]
        client.projects.delete(made.ref)

    assert found == [made.ref]
    sent = [record.getMessage() for record in caplog.records if "POST /v1/projects:" in record.getMessage()]
    assert sent == ["POST /v1/projects: timed out"]


SIGNING_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "eA",
    "y": "eQ",
    "d": "ZA",
    "kid": "5c1f1b9e-2d2f-4d8e-9a5e-3a1d0c5b7e11",
}
THINGS: dict[str, tuple[Callable[[ManagementClient, str], Any], Callable[[ManagementClient, str], Any]]] = {
    "api-keys": (
        lambda client, ref: client.keys.create(ref, "secret", "for_faults", "once"),
        lambda client, ref: [one for one in client.keys.all(ref) if one.name == "for_faults"],
    ),
    "config/auth/third-party-auth": (
        lambda client, ref: client.third_parties.create(
            ref, {"oidc_issuer_url": "https://once.test", "jwks_url": None}
        ),
        lambda client, ref: client.third_parties.all(ref),
    ),
    "config/auth/signing-keys": (
        lambda client, ref: client.signing_keys.create(ref, "ES256", SIGNING_KEY),
        lambda client, ref: client.signing_keys.all(ref),
    ),
}


@pytest.mark.parametrize("path", THINGS)
def test_repeated_creates_make_one(path: str, faulty: Emulator) -> None:
    """A create whose answer is lost, and the same one of the next run, leave one thing, which both give."""
    create, listed = THINGS[path]
    ref = faulty.create("repeats").ref
    add(faulty, kind="cut_after", method="POST", path=f"/v1/projects/{ref}/{path}")

    with impatient(faulty) as client:
        first, second = create(client, ref), create(client, ref)
        found = listed(client, ref)
        client.projects.delete(ref)

    assert [one.id for one in found] == [first.id] == [second.id]
    assert faulty.client.get(FAULTS).json() == []


def test_client_creates_nothing_in_doubt(faulty: Emulator) -> None:
    """A create of which nobody knows whether it arrived is not repeated; the next update may."""
    add(faulty, kind="cut", method="POST", path="/v1/projects")
    wanted = CreateProject("in-doubt", "groundwork", "eu-central-1", "a long password")

    with impatient(faulty) as client:
        with pytest.raises(supabase.UnavailableError, match="Nobody knows whether") as caught:
            client.projects.create(wanted)

        assert client.projects.find("in-doubt", "groundwork") is None
    assert caught.value.fate is supabase.Fate.UNKNOWN
