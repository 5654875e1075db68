"""Projects that sleep, wake, or are on their way; and whether one may be made where it is wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from engines import supabase
from tests.fix_management import PROJECT, REF, WANTED, Service, answer

if TYPE_CHECKING:
    import httpx

WELL = answer(200, [{"name": "auth", "healthy": True, "status": "ACTIVE_HEALTHY"}])


def states(*names: str) -> list[httpx.Response]:
    """Answer the project in these states, one after the other."""
    return [answer(200, {**PROJECT, "status": name}) for name in names]


def posts(service: Service) -> list[str]:
    """List what was asked to happen."""
    return [request.url.path.rsplit("/", 1)[1] for request in service.requests if request.method == "POST"]


class TestWake:
    """A project is up in the end, whatever state it was found in."""

    def test_a_paused_one_is_restored(self) -> None:
        """Also when the platform still shows it as paused for a moment after it took the request."""
        lines: list[str] = []
        found = states("INACTIVE", "INACTIVE", "INACTIVE")
        then = states("INACTIVE", "RESTORING", "RESTORING", "COMING_UP", "ACTIVE_HEALTHY")
        service = Service(*found, answer(201), *then, WELL)

        with service.client() as client:
            assert client.projects.wake(REF, lines.append, 60).status == "ACTIVE_HEALTHY"

        assert posts(service) == ["restore"]
        assert f"project {REF} is paused: restoring it" in lines
        assert f"project {REF}: COMING_UP" in lines

    def test_one_that_is_being_paused_is_waited_for_first(self) -> None:
        """A restore is refused while the pause is under way, so it is asked for afterwards."""
        found = states("PAUSING", "PAUSING", "INACTIVE", "INACTIVE")
        service = Service(*found, answer(201), *states("RESTORING", "ACTIVE_HEALTHY"), WELL)

        with service.client() as client:
            client.projects.wake(REF, lambda _: None, 60)

        assert posts(service) == ["restore"]

    @pytest.mark.parametrize("status", ["RESTORING", "COMING_UP", "RESIZING", "UPGRADING", "RESTARTING"])
    def test_one_on_its_way_is_waited_for(self, status: str) -> None:
        """Nothing is asked for; the state is told."""
        lines: list[str] = []
        service = Service(*states(status, status, status, "ACTIVE_HEALTHY"), WELL)

        with service.client() as client:
            client.projects.wake(REF, lines.append, 60)

        assert posts(service) == []
        assert lines == [f"project {REF}: {status}"]

    @pytest.mark.parametrize("status", ["RESTORE_FAILED", "GOING_DOWN"])
    def test_a_dead_end_is_told(self, status: str) -> None:
        """A restore that fails, or a project that is deleted meanwhile, ends the wait."""
        service = Service(*states("INACTIVE", "INACTIVE", "INACTIVE"), answer(201), *states(status))

        with service.client() as client, pytest.raises(supabase.ProjectFailedError, match=f"is {status}: "):
            client.projects.wake(REF, lambda _: None, 60)


class TestSleep:
    """A project sleeps in the end."""

    def test_an_active_one_is_paused(self) -> None:
        """It is waited for, and shown as active for a moment."""
        found = states("ACTIVE_HEALTHY", "ACTIVE_HEALTHY")
        service = Service(*found, answer(200), *states("ACTIVE_HEALTHY", "PAUSING", "INACTIVE"))

        with service.client() as client:
            assert client.projects.put_to_sleep(REF, lambda _: None, 60).status == "INACTIVE"

        assert posts(service) == ["pause"]

    def test_one_that_comes_up_is_waited_for(self) -> None:
        """The platform pauses what is up only."""
        service = Service(
            *states("COMING_UP", "COMING_UP", "ACTIVE_HEALTHY"),
            WELL,
            *states("ACTIVE_HEALTHY"),
            answer(200),
            *states("INACTIVE"),
        )

        with service.client() as client:
            client.projects.put_to_sleep(REF, lambda _: None, 60)

        assert posts(service) == ["pause"]

    def test_one_that_sleeps_is_left(self) -> None:
        """Nothing is asked for twice."""
        service = Service(*states("INACTIVE"))

        with service.client() as client:
            client.projects.put_to_sleep(REF, lambda _: None, 60)

        assert posts(service) == []


def organization(slug: str) -> dict[str, Any]:
    """Give an organization as it is listed."""
    return {"id": slug, "slug": slug, "name": slug}


def regions(**status: str | None) -> httpx.Response:
    """Answer the regions, with a status where they take no projects."""
    listed = [
        {"code": code.replace("_", "-"), "name": code, **({"status": why} if why else {})}
        for code, why in status.items()
    ]
    return answer(200, {"all": {"specific": listed}})


MINE = answer(200, [organization("groundwork"), organization("acme")])


class TestPlacement:
    """Before a project is made, what cannot be is told with what can."""

    def check(self, service: Service, **changes: Any) -> None:
        """Ask for a project."""
        with service.client() as client:
            supabase.require_placeable(client, replace(WANTED, **changes))

    def test_all_is_well(self) -> None:
        """The organization is seen and the region takes projects; without a size no plan is asked for."""
        service = Service(MINE, regions(eu_central_1=None))
        self.check(service)

        assert len(service.requests) == 2

    def test_organization_that_is_not_seen(self) -> None:
        """Those that are seen are named."""
        with pytest.raises(supabase.ConflictError, match=r"'nobody', but .* it sees acme, groundwork"):
            self.check(Service(MINE), organization_slug="nobody")
        with pytest.raises(supabase.ConflictError, match="it sees none"):
            self.check(Service(answer(200, [])))

    @pytest.mark.parametrize(
        ("offered", "why"),
        [
            ({"eu_central_1": "capacity", "eu_west_1": None}, r"takes no projects now \(capacity\)"),
            ({"eu_west_1": None}, "does not offer it"),
        ],
    )
    def test_region_that_takes_no_projects(self, offered: dict[str, str | None], why: str) -> None:
        """Those that do are named."""
        with pytest.raises(supabase.ConflictError, match=f"eu-central-1, but .*{why}.*may be eu-west-1"):
            self.check(Service(MINE, regions(**offered)))

    @pytest.mark.parametrize("listed", [answer(403), answer(200, {"all": {"specific": []}})])
    def test_without_the_list_of_regions(self, listed: httpx.Response) -> None:
        """A token that may not read it, or an empty one, stops nothing."""
        self.check(Service(MINE, listed))

    def test_size_on_the_free_plan(self) -> None:
        """A choice of sizes needs a paid plan; on one of those it is fine."""
        free, paid = (answer(200, {"id": "x", "name": "x", "plan": plan}) for plan in ("free", "pro"))
        with pytest.raises(supabase.ConflictError, match=r"instance_size is small, .* free plan"):
            self.check(Service(MINE, free), desired_instance_size="small")
        self.check(Service(MINE, paid, regions(eu_central_1=None)), desired_instance_size="small")


class TestAddresses:
    """Where the database, and its poolers, are."""

    def entry(self, mode: str, port: int, user: str) -> dict[str, Any]:
        """Give an entry of the pooler's configuration."""
        return {
            "database_type": "PRIMARY",
            "pool_mode": mode,
            "db_host": "aws-1.pooler.test",
            "db_port": port,
            "db_user": user,
            "db_name": "postgres",
        }

    def test_on_the_platform(self) -> None:
        """Two poolers on one host, and the database on its own; none of them with a password."""
        service = Service(answer(200, [self.entry("transaction", 6543, f"postgres.{REF}")]))
        project = supabase.Project.read(PROJECT)
        with service.client() as client:
            found = client.projects.poolers(REF)

        assert found.transaction is not None
        assert found.session.url == f"postgresql://postgres.{REF}@aws-1.pooler.test:5432/postgres"
        assert found.transaction.url == f"postgresql://postgres.{REF}@aws-1.pooler.test:6543/postgres"
        direct = supabase.direct_address(project, found.session)
        assert direct.url == f"postgresql://postgres@db.{REF}.supabase.co:5432/postgres"

    def test_of_a_stand_in(self) -> None:
        """One server stands for all, and nothing shares sessions."""
        service = Service(answer(200, [self.entry("session", 50123, "postgres")]))
        project = supabase.Project.read({**PROJECT, "database": {"host": "127.0.0.1"}})
        with service.client() as client:
            found = client.projects.poolers(REF)

        assert found.transaction is None
        assert supabase.direct_address(project, found.session) == found.session
