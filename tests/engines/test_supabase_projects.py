"""Projects are made once, found by name, waited for and deleted; addresses are read as they are meant."""

from __future__ import annotations

import json

import httpx
import pytest

from engines import supabase
from engines.supabase import CreateProject
from tests.fix_management import PASSWORD, PROJECT, REF, TOKEN, WANTED, Service, answer


class TestCreate:
    """A project is never made twice."""

    def test_lost_answer_finds_the_made_project(self) -> None:
        """A create whose answer was lost takes the project that it made."""
        service = Service(httpx.ReadTimeout("slow"), answer(200, [PROJECT]))

        with service.client() as client:
            made = client.projects.create(WANTED)

        assert made.ref == REF
        assert service.methods() == ["POST", "GET"]

    def test_lost_request_is_sent_again(self) -> None:
        """A create that did not arrive is repeated after a look."""
        service = Service(answer(503), answer(200, []), answer(201, PROJECT))

        with service.client() as client:
            client.projects.create(WANTED)

        assert service.methods() == ["POST", "GET", "POST"]

    def test_refused_create_is_not_repeated(self) -> None:
        """A create that the server refuses is told with its reason."""
        service = Service(answer(400, {"message": "Project limit reached"}))

        with service.client() as client, pytest.raises(supabase.RejectedError, match="Project limit reached"):
            client.projects.create(WANTED)

        assert service.methods() == ["POST"]

    def test_body_is_the_documented_one(self) -> None:
        """Name, owner, password, region and size are sent under the API's own names."""
        service = Service(answer(201, PROJECT))

        with service.client() as client:
            client.projects.create(CreateProject("demo", "groundwork", "eu-central-1", PASSWORD, "micro"))

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
            assert client.projects.find("demo", "groundwork") is None

    def test_two_of_a_name_are_refused(self) -> None:
        """Which of two is meant is not guessed."""
        service = Service(answer(200, [PROJECT, {**PROJECT, "ref": "z" * 20}]))

        with (
            service.client() as client,
            pytest.raises(supabase.ConflictError, match=r"`groundwork:supabase.ref`"),
        ):
            client.projects.find("demo", "groundwork")


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
            found = client.projects.wait_until_healthy(REF, lines.append, 60)

        assert found.status == "ACTIVE_HEALTHY"
        assert lines == [f"project {REF}: COMING_UP", f"project {REF}: waiting for auth COMING_UP"]

    @pytest.mark.parametrize(
        "status", ["INIT_FAILED", "RESTORE_FAILED", "PAUSE_FAILED", "INACTIVE", "REMOVED"]
    )
    def test_dead_ends_are_told_at_once(self, status: str) -> None:
        """A state that does not become health is an error without waiting."""
        service = Service(answer(200, {**PROJECT, "status": status}))

        with service.client() as client, pytest.raises(supabase.ProjectFailedError, match=f"is {status}: "):
            client.projects.wait_until_healthy(REF, print, 60)

        assert service.pauses == []

    def test_deadline_names_the_state(self) -> None:
        """When the time is over, the text says what was still missing."""
        service = Service(answer(200, {**PROJECT, "status": "SOMETHING_NEW"}))

        with service.client() as client, pytest.raises(supabase.ProjectFailedError, match="SOMETHING_NEW"):
            client.projects.wait_until_healthy(REF, lambda _: None, 0)


class TestRestore:
    """What is not awake is woken."""

    @pytest.mark.parametrize(
        "status",
        [
            *("ACTIVE_HEALTHY", "ACTIVE_UNHEALTHY", "COMING_UP", "RESTORING", "RESTARTING"),
            *("UPGRADING", "RESIZING"),
        ],
    )
    def test_awake_project_is_left_alone(self, status: str) -> None:
        """A project that is awake or on its way there is not asked."""
        service = Service(answer(200, {**PROJECT, "status": status}))

        with service.client() as client:
            client.projects.restore(REF)

        assert service.methods() == ["GET"]

    @pytest.mark.parametrize(
        "status", ["INACTIVE", "PAUSING", "PAUSE_FAILED", "RESTORE_FAILED", "INIT_FAILED", "SOMETHING_NEW"]
    )
    def test_others_are_restored_or_refused(self, status: str) -> None:
        """From each other state the service is asked, and its refusal is told."""
        project, refusal = answer(200, {**PROJECT, "status": status}), answer(400, {"message": "not now"})

        with Service(project, answer(201)).client() as client:
            client.projects.restore(REF)
        with (
            Service(project, refusal).client() as client,
            pytest.raises(supabase.RejectedError, match="not now"),
        ):
            client.projects.restore(REF)


class TestDelete:
    """Deleting is done once, waits for what is coming up, and forgives what is gone."""

    def test_gone_project_is_no_error(self) -> None:
        """What is gone already counts as deleted."""
        service = Service(answer(404))

        with service.client() as client:
            client.projects.delete(REF)

        assert service.methods() == ["DELETE"]

    def test_rising_project_is_asked_again(self) -> None:
        """A project that is not ready for deletion is deleted when it is."""
        early = answer(400, {"message": "Project not ready for deletion."})
        service = Service(early, early, answer(200, {"id": 1, "ref": REF, "name": "demo"}))

        with service.client() as client:
            client.projects.delete(REF)

        assert len(service.requests) == 3

    def test_other_refusals_are_told(self) -> None:
        """A refusal for another reason is an error."""
        service = Service(answer(400, {"message": "Project is protected"}))

        with service.client() as client, pytest.raises(supabase.RejectedError, match="Project is protected"):
            client.projects.delete(REF)


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
            found = client.projects.session_pooler(REF)

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
            keys = client.keys.pairs(REF)

        assert keys == supabase.ApiKeys(anon="a", service_role=None, publishable="p1", secret="s1")
        assert service.requests[0].url.params["reveal"] == "true"
