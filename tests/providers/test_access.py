"""Logins that the platform makes for a while: asked for once, shared, and asked for again when they ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from pulumi.output import Unknown

from engines import postgres, supabase
from providers import _access
from tests.providers.fix_reach import reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fix_emulator import Project

REFUSAL = "Failed to create login role: ERROR:  42501: permission denied to alter role"
pytestmark = pytest.mark.usefixtures("fresh_logins")


def who(dsn: str) -> tuple[Any, ...]:
    """Open a session, and tell who logged in and who works."""
    with postgres.connect(dsn) as session:
        row = session.execute("select session_user::text, current_user::text").fetchone()
    assert row is not None
    return row


def fault(project: Project, **what: Any) -> None:
    """Let requests for a login fail."""
    body = {"kind": "status", "path": ".*/cli/login-role", "times": 100, **what}
    project.emulator.client.post("/emulator/faults", json=body).raise_for_status()


@pytest.fixture
def refuse(reached_project: Project) -> Any:
    """Let the platform make no logins, until the test is over."""
    yield lambda status, message: fault(reached_project, status=status, message=message)
    reached_project.emulator.client.delete("/emulator/faults").raise_for_status()


def ask_elsewhere(project: Project, *, read_only: bool = False) -> None:
    """Ask for a login as another process would, which ends ours."""
    body = {"read_only": read_only}
    project.emulator.client.post(f"{project.path}/cli/login-role", json=body).raise_for_status()


def test_operation_works_as_the_owner_and_a_preview_as_a_reader(reached_project: Project) -> None:
    """Two kinds of logins, which do not end each other."""
    props = reach(reached_project)
    assert _access.run(props, who) == ("cli_login_postgres", "postgres")
    reader = ("cli_login_supabase_read_only_user", "supabase_read_only_user")
    assert _access.run(props, who, read_only=True) == reader
    assert _access.preview({}, props, who) == reader


def test_threads_share_one_login(reached_project: Project) -> None:
    """Four threads that come at once ask for one login, and so do those after them."""
    props, together = reach(reached_project), Barrier(4)

    def operation(_number: int) -> str:
        together.wait(30)
        return _access.run(props, lambda dsn: dsn)

    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(operation, range(4)))

    assert len(found) == 1
    assert who(found.pop()) == ("cli_login_postgres", "postgres")


def test_login_that_somebody_else_ended_is_asked_for_again(reached_project: Project) -> None:
    """In the middle of an operation, too: it is begun anew with a new login."""
    props, begun = reach(reached_project), []

    def operation(dsn: str) -> tuple[Any, ...]:
        begun.append(dsn)
        who(dsn)
        if len(begun) == 1:
            ask_elsewhere(reached_project)
        return who(dsn)

    assert _access.run(props, operation) == ("cli_login_postgres", "postgres")
    assert len(set(begun)) == 2


def test_login_that_expired_is_asked_for_again(reached_project: Project) -> None:
    """One that the platform ended earlier than it said is no failure."""
    props = reach(reached_project)
    _access.run(props, who)
    with psycopg.connect(reached_project.admin_dsn, autocommit=True) as session:
        session.execute("alter role cli_login_postgres valid until '2000-01-01'")

    assert _access.run(props, who) == ("cli_login_postgres", "postgres")


def test_login_that_is_always_ended_is_given_up(reached_project: Project) -> None:
    """After three tries the refusal is told, without the password."""
    tried: list[str] = []

    def operation(dsn: str) -> None:
        tried.append(dsn)
        ask_elsewhere(reached_project)
        who(dsn)

    with pytest.raises(postgres.LoginRefusedError) as caught:
        _access.run(reach(reached_project), operation)
    assert len(set(tried)) == 3
    passwords = [dsn.split(":")[2].split("@")[0] for dsn in tried]
    assert not [one for one in passwords if one in str(caught.value)]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_owners_password_does_where_there_are_no_logins(
    reached_project: Project, refuse: Callable[[int, str], None], status: int
) -> None:
    """Where the platform makes no login, the password that the stack keeps is used."""
    refuse(status, REFUSAL)
    props = {**reach(reached_project), "owner_password": reached_project.password}

    assert _access.run(props, who) == ("postgres", "postgres")
    assert _access.preview({}, props, who) == ("postgres", "postgres")


def test_without_a_password_the_refusal_says_what_to_do(
    reached_project: Project, refuse: Callable[[int, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A stack that keeps no password is told to; a preview goes on without the database."""
    refuse(400, REFUSAL)
    props = reach(reached_project)

    with pytest.raises(
        supabase.SupabaseError, match=r"set groundwork:supabase\.owner_password to keep"
    ) as caught:
        _access.run(props, who)
    assert REFUSAL in str(caught.value)
    assert _access.preview({}, props, who) is None
    assert "owner_password to keep" in capsys.readouterr().err


def test_api_that_fails_is_no_refusal(reached_project: Project, refuse: Callable[[int, str], None]) -> None:
    """A service that is down makes no preview fail, and is not taken for one that makes no logins."""
    refuse(503, "maintenance")
    props = {**reach(reached_project), "owner_password": reached_project.password}

    assert _access.preview({}, props, who) is None


def test_preview_uses_what_was_stored_for_what_is_unknown(reached_project: Project) -> None:
    """While the project waits for an update its address is that of the last one."""
    olds = reach(reached_project)
    news = {**olds, "host": Unknown(), "port": Unknown(), "project_ref": Unknown()}

    assert _access.preview(olds, news, who) is not None
    assert _access.preview({}, news, who) is None
    assert _access.preview({"dsn": reached_project.dsn}, news, who) == ("postgres", "postgres")


def test_state_of_before_is_left_by_its_own_login(reached_project: Project) -> None:
    """What was made with the owner's DSN is removed with it."""
    seen: list[Any] = []
    _access.remove({"dsn": reached_project.dsn}, lambda dsn: seen.append(who(dsn)))

    assert seen == [("postgres", "postgres")]


def test_preview_waits_for_no_login_for_long(
    reached_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API that takes a request and says nothing holds a preview up for seconds, an update for longer."""
    patience: list[float] = []
    send = httpx.HTTPTransport.handle_request

    def watched(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/cli/login-role"):
            patience.append(request.extensions["timeout"]["read"])
        return send(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", watched)

    _access.run(reach(reached_project), who, read_only=True)
    _access.run(reach(reached_project), who)

    assert patience == [10.0, 30.0]
