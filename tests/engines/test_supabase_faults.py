"""What the client does and says when the service refuses, limits, fails or is something else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from engines import supabase
from engines.supabase import ManagementClient
from tests.fix_management import PASSWORD, PROJECT, REF, TOKEN, WANTED, Service, answer

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (400, supabase.RejectedError, "400 the reason"),
        (401, supabase.AuthError, "check `groundwork:supabase.access_token`"),
        (403, supabase.ForbiddenError, "needs the right"),
        (404, supabase.NotFoundError, "does not exist, or the account"),
        (409, supabase.ConflictError, "409 the reason"),
        (422, supabase.RejectedError, "422 the reason"),
        (429, supabase.RateLimitedError, "too many requests"),
        (500, supabase.UnavailableError, "try again later"),
        (544, supabase.UnavailableError, "try again later"),
    ],
)
def test_status_decides_the_error(status: int, kind: type[Exception], advice: str) -> None:
    """Each status has its error, which says what was done, what the server said, and what to do."""
    service = Service(answer(status, {"message": "the reason"}))

    with service.client() as client, pytest.raises(kind) as caught:
        client.projects.get(REF)

    assert f"reading the project {REF} failed at https://api.test" in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.projects.create(WANTED),
        lambda client: client.database.set_password(REF, PASSWORD),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_no_secret_in_any_error(status: int, act: Callable[[ManagementClient], object]) -> None:
    """A server that repeats what it got does not make us repeat it."""
    echo = {"message": f"bad {PASSWORD} with {TOKEN} in {json.dumps({'db_pass': PASSWORD})}"}
    service = Service(answer(status, echo))

    with service.client() as client:
        try:
            act(client)
        except supabase.SupabaseError as error:
            text = f"{error!r} {error} {error.__context__ if not error.__suppress_context__ else ''}"
        else:
            text = ""

    assert PASSWORD not in text
    assert TOKEN not in text
    assert PASSWORD not in repr(WANTED)


def test_keys_are_secrets_too() -> None:
    """A key that was read once is hidden in later errors."""
    rows = [{"name": "service_role", "type": "legacy", "api_key": "canary-key"}]
    service = Service(answer(200, rows), answer(400, {"message": "no canary-key"}))

    with service.client() as client:
        keys = client.keys.pairs(REF)
        with pytest.raises(supabase.RejectedError, match=r"no \[secret\]"):
            client.projects.get(REF)

    assert keys.service_role == "canary-key"
    assert "canary-key" not in repr(keys)


@pytest.mark.parametrize(
    "fault", [answer(500), answer(503), answer(429), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")]
)
def test_passing_faults_are_waited_out(fault: httpx.Response | Exception) -> None:
    """A read is repeated until the fault is gone."""
    service = Service(fault, fault, answer(200, PROJECT))

    with service.client() as client:
        found = client.projects.get(REF)

    assert found.ref == REF
    assert len(service.requests) == 3
    assert all(0 < pause <= 66 for pause in service.pauses)


@pytest.mark.parametrize("header", ["retry_after", "x_ratelimit_reset"])
def test_limit_is_honoured(header: str) -> None:
    """A limited client waits as long as the server says."""
    service = Service(answer(429, None, **{header: "17"}), answer(200, PROJECT))

    with service.client() as client:
        client.projects.get(REF)

    assert 17 <= service.pauses[0] <= 18


def test_faults_that_stay_are_reported() -> None:
    """Repeats end, and the last fault is told."""
    service = Service(httpx.ConnectError("connection refused"))

    with service.client() as client, pytest.raises(supabase.UnavailableError) as caught:
        client.projects.get(REF)

    assert "cannot reach https://api.test (connection refused)" in str(caught.value)
    assert "groundwork:supabase.api_url" in str(caught.value)
    assert len(service.requests) == 6


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_refusals_are_not_repeated(status: int) -> None:
    """What is wrong stays wrong."""
    service = Service(answer(status))

    with service.client() as client, pytest.raises(supabase.SupabaseError):
        client.projects.get(REF)

    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "body", [b"<html>proxy</html>", b"{}", b"[]", b"null", b'"text"', b"", b'[{"ref": 1}]', b"\xff"]
)
def test_other_servers_are_recognised(body: bytes) -> None:
    """A proxy's page or another API is named as such, not a KeyError."""
    service = Service(httpx.Response(200, content=body, headers={"content-type": "text/html"}))

    with service.client() as client, pytest.raises(supabase.UnexpectedAnswerError) as caught:
        client.projects.get(REF)

    assert "answers unlike the Management API" in str(caught.value)
    assert "groundwork:supabase.api_url" in str(caught.value)


@pytest.mark.parametrize("url", ["", "api.supabase.com", "ftp://x", "https://", "http://a:b:c"])
def test_broken_url_is_named(url: str) -> None:
    """A setting that is no URL is told by its key."""
    with pytest.raises(supabase.UnavailableError, match=r"`groundwork:supabase.api_url` is "):
        ManagementClient(url, TOKEN)


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN} ", f"{TOKEN}é"])
def test_token_that_is_no_header_is_hidden(token: str) -> None:
    """A token with a line end, as a careless copy has it, is refused without being shown."""
    with pytest.raises(supabase.AuthError, match=r"`groundwork:supabase.access_token` holds") as caught:
        ManagementClient("http://127.0.0.1:1", token)

    assert TOKEN not in str(caught.value)
