"""What the client does and says when the service refuses, limits, fails or is something else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from engines import supabase
from engines.supabase import CreateProject, ManagementClient

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "sbp_canary_token"
PASSWORD = "canary-db-pass"
REF = "abcdefghijklmnopqrst"
PROJECT = {
    "id": REF,
    "ref": REF,
    "organization_id": "groundwork",
    "organization_slug": "groundwork",
    "name": "demo",
    "region": "eu-central-1",
    "created_at": "2026-01-01T00:00:00Z",
    "status": "ACTIVE_HEALTHY",
    "database": {
        "host": f"db.{REF}.supabase.co",
        "version": "17",
        "postgres_engine": "17",
        "release_channel": "ga",
    },
}
WANTED = CreateProject("demo", "groundwork", "eu-central-1", PASSWORD)


class Service:
    """Answers by a script: one entry per request, the last one for ever; remembers what it got."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        """Take the answers in their order."""
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Give the next answer."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def client(self) -> ManagementClient:
        """Give a client that talks to this service and does not really wait."""
        transport = httpx.MockTransport(self)
        return ManagementClient("https://api.test", TOKEN, transport=transport, pause=self.pauses.append)

    def methods(self) -> list[str]:
        """List the methods of the requests so far."""
        return [request.method for request in self.requests]


def answer(status: int, body: Any = None, **headers: str) -> httpx.Response:
    """Make an answer; header names have _ for -."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return httpx.Response(status, json={} if body is None else body, headers=named)


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
        client.project(REF)

    assert f"reading the project {REF} failed at https://api.test" in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.create_project(WANTED),
        lambda client: client.set_database_password(REF, PASSWORD),
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
        keys = client.api_keys(REF)
        with pytest.raises(supabase.RejectedError, match=r"no \[secret\]"):
            client.project(REF)

    assert keys.service_role == "canary-key"
    assert "canary-key" not in repr(keys)


@pytest.mark.parametrize(
    "fault", [answer(500), answer(503), answer(429), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")]
)
def test_passing_faults_are_waited_out(fault: httpx.Response | Exception) -> None:
    """A read is repeated until the fault is gone."""
    service = Service(fault, fault, answer(200, PROJECT))

    with service.client() as client:
        found = client.project(REF)

    assert found.ref == REF
    assert len(service.requests) == 3
    assert all(0 < pause <= 66 for pause in service.pauses)


@pytest.mark.parametrize("header", ["retry_after", "x_ratelimit_reset"])
def test_limit_is_honoured(header: str) -> None:
    """A limited client waits as long as the server says."""
    service = Service(answer(429, None, **{header: "17"}), answer(200, PROJECT))

    with service.client() as client:
        client.project(REF)

    assert 17 <= service.pauses[0] <= 18


def test_faults_that_stay_are_reported() -> None:
    """Repeats end, and the last fault is told."""
    service = Service(httpx.ConnectError("connection refused"))

    with service.client() as client, pytest.raises(supabase.UnavailableError) as caught:
        client.project(REF)

    assert "cannot reach https://api.test (connection refused)" in str(caught.value)
    assert "groundwork:supabase.api_url" in str(caught.value)
    assert len(service.requests) == 6


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_refusals_are_not_repeated(status: int) -> None:
    """What is wrong stays wrong."""
    service = Service(answer(status))

    with service.client() as client, pytest.raises(supabase.SupabaseError):
        client.project(REF)

    assert len(service.requests) == 1


class TestCreate:
    """A project is never made twice."""

    def test_lost_answer_finds_the_made_project(self) -> None:
        """A create whose answer was lost takes the project that it made."""
        service = Service(httpx.ReadTimeout("slow"), answer(200, [PROJECT]))

        with service.client() as client:
            made = client.create_project(WANTED)

        assert made.ref == REF
        assert service.methods() == ["POST", "GET"]

    def test_lost_request_is_sent_again(self) -> None:
        """A create that did not arrive is repeated after a look."""
        service = Service(answer(503), answer(200, []), answer(201, PROJECT))

        with service.client() as client:
            client.create_project(WANTED)

        assert service.methods() == ["POST", "GET", "POST"]

    def test_refused_create_is_not_repeated(self) -> None:
        """A create that the server refuses is told with its reason."""
        service = Service(answer(400, {"message": "Project limit reached"}))

        with service.client() as client, pytest.raises(supabase.RejectedError, match="Project limit reached"):
            client.create_project(WANTED)

        assert service.methods() == ["POST"]

    def test_body_is_the_documented_one(self) -> None:
        """Name, owner, password, region and size are sent under the API's own names."""
        service = Service(answer(201, PROJECT))

        with service.client() as client:
            client.create_project(CreateProject("demo", "groundwork", "eu-central-1", PASSWORD, "micro"))

        assert json.loads(service.requests[0].content) == {
            "name": "demo",
            "organization_slug": "groundwork",
            "db_pass": PASSWORD,
            "region_selection": {"type": "specific", "code": "eu-central-1"},
            "desired_instance_size": "micro",
        }
        assert service.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


class TestFind:
    """A name is looked for in one organization, among the living."""

    @pytest.mark.parametrize("change", [{"name": "x"}, {"organization_slug": "x"}, {"status": "REMOVED"}])
    def test_others_do_not_count(self, change: dict[str, str]) -> None:
        """Another name, another organization and a deleted project are no match."""
        service = Service(answer(200, [{**PROJECT, **change}]))

        with service.client() as client:
            assert client.find_project("demo", "groundwork") is None

    def test_two_of_a_name_are_refused(self) -> None:
        """Which of two is meant is not guessed."""
        service = Service(answer(200, [PROJECT, {**PROJECT, "ref": "z" * 20}]))

        with (
            service.client() as client,
            pytest.raises(supabase.ConflictError, match=r"`groundwork:supabase.ref`"),
        ):
            client.find_project("demo", "groundwork")


class TestWait:
    """Waiting ends with health, a reason, or the deadline."""

    def test_progress_is_reported_once_each(self) -> None:
        """Each new state is one line; the services count as well."""
        rising = {**PROJECT, "status": "COMING_UP"}
        ill = [{"name": "auth", "healthy": False, "status": "COMING_UP"}]
        well = [{"name": "auth", "healthy": True, "status": "ACTIVE_HEALTHY"}]
        service = Service(
            answer(200, rising),
            answer(200, rising),
            answer(200, PROJECT),
            answer(200, ill),
            answer(200, PROJECT),
            answer(200, well),
        )
        lines: list[str] = []

        with service.client() as client:
            found = client.wait_until_healthy(REF, lines.append, 60)

        assert found.status == "ACTIVE_HEALTHY"
        assert lines == [f"project {REF}: COMING_UP", f"project {REF}: waiting for auth COMING_UP"]

    @pytest.mark.parametrize(
        "status", ["INIT_FAILED", "RESTORE_FAILED", "PAUSE_FAILED", "INACTIVE", "REMOVED"]
    )
    def test_dead_ends_are_told_at_once(self, status: str) -> None:
        """A state that does not become health is an error without waiting."""
        service = Service(answer(200, {**PROJECT, "status": status}))

        with service.client() as client, pytest.raises(supabase.ProjectFailedError, match=f"is {status}: "):
            client.wait_until_healthy(REF, print, 60)

        assert service.pauses == []

    def test_deadline_names_the_state(self) -> None:
        """When the time is over, the text says what was still missing."""
        service = Service(answer(200, {**PROJECT, "status": "SOMETHING_NEW"}))

        with service.client() as client, pytest.raises(supabase.ProjectFailedError, match="SOMETHING_NEW"):
            client.wait_until_healthy(REF, lambda _: None, 0)


class TestDelete:
    """Deleting is done once, waits for what is coming up, and forgives what is gone."""

    def test_gone_project_is_no_error(self) -> None:
        """What is gone already counts as deleted."""
        service = Service(answer(404))

        with service.client() as client:
            client.delete_project(REF)

        assert service.methods() == ["DELETE"]

    def test_rising_project_is_asked_again(self) -> None:
        """A project that is not ready for deletion is deleted when it is."""
        early = answer(400, {"message": "Project not ready for deletion."})
        service = Service(early, early, answer(200, {"id": 1, "ref": REF, "name": "demo"}))

        with service.client() as client:
            client.delete_project(REF)

        assert len(service.requests) == 3

    def test_other_refusals_are_told(self) -> None:
        """A refusal for another reason is an error."""
        service = Service(answer(400, {"message": "Project is protected"}))

        with service.client() as client, pytest.raises(supabase.RejectedError, match="Project is protected"):
            client.delete_project(REF)


@pytest.mark.parametrize(
    "body", [b"<html>proxy</html>", b"{}", b"[]", b"null", b'"text"', b"", b'[{"ref": 1}]', b"\xff"]
)
def test_other_servers_are_recognised(body: bytes) -> None:
    """A proxy's page or another API is named as such, not a KeyError."""
    service = Service(httpx.Response(200, content=body, headers={"content-type": "text/html"}))

    with service.client() as client, pytest.raises(supabase.UnexpectedAnswerError) as caught:
        client.project(REF)

    assert "answers unlike the Management API" in str(caught.value)
    assert "groundwork:supabase.api_url" in str(caught.value)


@pytest.mark.parametrize("url", ["", "api.supabase.com", "ftp://x", "https://", "http://a:b:c"])
def test_broken_url_is_named(url: str) -> None:
    """A setting that is no URL is told by its key."""
    with pytest.raises(supabase.UnavailableError, match=r"`groundwork:supabase.api_url` is "):
        ManagementClient(url, TOKEN)


def test_token_that_is_no_header_is_hidden() -> None:
    """A token with a line end, as a careless copy has it, is refused without being shown."""
    with (
        ManagementClient("http://127.0.0.1:1", f"{TOKEN}\n", pause=lambda _: None) as client,
        pytest.raises(supabase.SupabaseError) as caught,
    ):
        client.organizations()

    assert TOKEN not in str(caught.value)


class TestAddresses:
    """Where the database and the services are, from what the platform says."""

    @pytest.mark.parametrize(
        ("entries", "expected"),
        [
            ([("PRIMARY", "transaction", 6543)], 5432),
            ([("PRIMARY", "session", 5432)], 5432),
            ([("PRIMARY", "transaction", 6543), ("PRIMARY", "session", 54321)], 54321),
            ([("READ_REPLICA", "session", 1), ("PRIMARY", "transaction", 6543)], 5432),
        ],
    )
    def test_session_mode_is_found(self, entries: list[tuple[str, str, int]], expected: int) -> None:
        """Of the primary's entries, session mode; if not listed, its port beside transaction mode."""
        rows = [
            {
                "database_type": kind,
                "pool_mode": mode,
                "db_host": f"aws-1-{kind.lower()}.pooler.supabase.com",
                "db_port": port,
                "db_user": f"postgres.{REF}",
                "db_name": "postgres",
            }
            for kind, mode, port in entries
        ]
        service = Service(answer(200, rows))

        with service.client() as client:
            found = client.session_pooler(REF)

        host = "aws-1-primary.pooler.supabase.com"
        assert found == supabase.DatabaseAddress(host, expected, f".{REF}", "postgres")

    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            (f"db.{REF}.supabase.co", f"https://{REF}.supabase.co"),
            ("127.0.0.1", f"http://127.0.0.1:1/projects/{REF}"),
            (None, f"http://127.0.0.1:1/projects/{REF}"),
        ],
    )
    def test_project_url(self, host: str | None, expected: str) -> None:
        """The platform's domain, or a path below the stand-in."""
        project = supabase.Project(REF, "demo", "groundwork", "eu-central-1", "ACTIVE_HEALTHY", host)

        assert supabase.project_url(project, "http://127.0.0.1:1/") == expected

    def test_default_keys_come_first(self) -> None:
        """Of several keys of a kind the one named default is taken; masked and legacy ones are told apart."""
        rows = [
            {"name": "other", "type": "secret", "api_key": "s2"},
            {"name": "default", "type": "secret", "api_key": "s1"},
            {"name": "default", "type": "publishable", "api_key": "p1"},
            {"name": "anon", "type": "legacy", "api_key": "a"},
        ]
        service = Service(answer(200, rows))

        with service.client() as client:
            keys = client.api_keys(REF)

        assert keys == supabase.ApiKeys(anon="a", service_role=None, publishable="p1", secret="s1")
        assert service.requests[0].url.params["reveal"] == "true"
