"""An old version goes when nobody uses it any more, looked up in a real project's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from pulumi.output import Unknown

from providers import _retirement
from providers.database import LoginProvider
from providers.secret import GeneratedSecretProvider
from tests.providers.fix_reach import reach
from tests.secret_use import TABLE, used

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Project

pytestmark = pytest.mark.usefixtures("fresh_logins")
PROVIDER = GeneratedSecretProvider()
NAME = "agent_shared_secret"


@pytest.fixture
def uses(reached_project: Project) -> Iterator[Project]:
    """Give a project whose services note what they are shown."""
    reached_project.sql(TABLE)
    yield reached_project
    reached_project.sql("drop table private.secret_use")


def inputs(project: Project, version: int, *accept: int, **more: Any) -> dict[str, Any]:
    """Give the inputs of a guarded secret."""
    wanted = {"secret_name": NAME, "version": float(version), "accept": list(accept)}
    return {**reach(project), **wanted, "retire_after_s": 60.0, "compromised": False, **more}


def reasons(olds: dict[str, Any], news: dict[str, Any]) -> str:
    """Check inputs, and give what speaks against them."""
    return "; ".join(one.reason for one in PROVIDER.check(olds, news).failures)


def outputs(olds: dict[str, Any]) -> dict[str, Any]:
    """Give the outputs of an update that accepts versions."""
    return {**olds, "values": {str(one): f"v{one}" for one in _retirement.accepted(olds)}}


def test_a_version_in_use_stays(uses: Project) -> None:
    """The preview names secret, version, user, window and the three ways out; the update drops nothing."""
    uses.sql(used(NAME, 1, "app", 12))
    olds, news = inputs(uses, 2, 1), inputs(uses, 2)
    said = reasons(olds, news)

    assert said == (
        "groundwork:secrets.agent_shared_secret: version 1 is still in use: the app was shown it 12 s ago "
        "(groundwork:secrets.retire_after wants 60 s without use). Wait and run this again; or keep it, with "
        "groundwork:secrets.agent_shared_secret.accept: [1]; or set "
        "groundwork:secrets.agent_shared_secret.compromised to true, which refuses it at once"
    )
    with pytest.raises(_retirement.StillInUseError, match="version 1 is still in use"):
        PROVIDER.update("id", outputs(olds), news)


def test_a_version_that_a_new_one_pushes_out_stays_too(uses: Project) -> None:
    """Who raises the version again keeps the one before only; that drops the one before that."""
    uses.sql(used(NAME, 1, "agent", 30))
    olds = inputs(uses, 2, 1)

    assert "version 1 is still in use" in reasons(olds, inputs(uses, 3, 2))
    assert "accept: [2, 1]" in reasons(olds, inputs(uses, 3, 2))
    assert reasons(olds, inputs(uses, 3, 2, 1)) == ""


def test_an_unused_version_goes(uses: Project) -> None:
    """Neither a use long ago speaks against it, nor one of another version or secret."""
    uses.sql(used(NAME, 1, "app", 61))
    uses.sql(used(NAME, 2, "app", 1))
    uses.sql(used("session_key", 1, "app", 1))
    olds, news = inputs(uses, 2, 1), inputs(uses, 2)

    assert reasons(olds, news) == ""
    assert dict(PROVIDER.update("id", outputs(olds), news).outs or {})["values"] == {"2": "v2"}


def test_a_stolen_version_goes_at_once(uses: Project) -> None:
    """Nobody waits for whoever uses it."""
    uses.sql(used(NAME, 1, "app", 1))
    olds, news = inputs(uses, 2, 1), inputs(uses, 2, compromised=True)

    assert reasons(olds, news) == ""
    assert dict(PROVIDER.update("id", outputs(olds), news).outs or {})["values"] == {"2": "v2"}


def test_an_older_schema_knows_of_no_use(reached_project: Project) -> None:
    """Without the table nothing holds an update up."""
    assert reasons(inputs(reached_project, 2, 1), inputs(reached_project, 2)) == ""


def test_a_preview_that_cannot_ask_says_so_and_the_update_fails(
    uses: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gap in what is known lets a preview through, and no update."""
    gone = {"api_url": "http://127.0.0.1:9"}
    olds, news = inputs(uses, 2, 1, **gone), inputs(uses, 2, **gone)

    assert reasons(olds, news) == ""
    assert "whether version 1 is still in use could not be checked" in capsys.readouterr().err


def test_a_closed_database_keeps_the_version(uses: Project) -> None:
    """The update fails before it drops anything, and says why."""
    news = {**inputs(uses, 2), "dsn": "postgresql://u:p@127.0.0.1:9/x"}

    with pytest.raises(_retirement.StillInUseError, match="version 1 stays, because nobody says whether"):
        PROVIDER.update("id", outputs(inputs(uses, 2, 1)), news)


def test_what_is_not_known_yet_is_taken_from_the_last_update(uses: Project) -> None:
    """A project that changes in the same update is asked where it was."""
    uses.sql(used(NAME, 1, "app", 3))
    waiting = dict.fromkeys(("host", "port", "project_ref"), Unknown())

    assert "still in use" in reasons(inputs(uses, 2, 1), {**inputs(uses, 2), **waiting})


class TestLogins:
    """A login's password is in use while its role has sessions."""

    @pytest.fixture
    def login(self, reached_project: Project) -> Iterator[dict[str, Any]]:
        """Make version 1 of a login."""
        reached_project.sql("create role stall_runtime")
        props = {**reach(reached_project), "role": "stall", "group": "stall_runtime", "schema": "1"}
        props |= {"version": 1.0, "passwords": {"1": "first"}}
        yield dict(LoginProvider().create(props).outs or {})
        LoginProvider().delete("stall", props)
        reached_project.sql("drop role stall_runtime")

    def test_open_sessions_keep_the_version(self, reached_project: Project, login: dict[str, Any]) -> None:
        """Two roles take turns, so the way out is not to raise the version."""
        more = {"secret_name": "stall_database_password", "login": "stall"}
        olds = inputs(reached_project, 2, 1, **more)
        with psycopg.connect(login["url"]):
            said = reasons(olds, inputs(reached_project, 3, 2, **more))
            explicit = reasons(olds, inputs(reached_project, 2, **more))

        assert "version 1 is still in use: stall_a has 1 open session. Wait and run this again" in said
        assert "with groundwork:secrets.stall_database_password.version: 2 for now" in said
        assert "with groundwork:secrets.stall_database_password.accept: [1]" in explicit

    def test_sessions_of_versions_that_stay_do_not_count(
        self, reached_project: Project, login: dict[str, Any]
    ) -> None:
        """Whoever uses the version in use keeps no older one."""
        more = {"secret_name": "stall_database_password", "login": "stall"}
        with psycopg.connect(login["url"]):
            said = reasons(inputs(reached_project, 1, 0, **more), inputs(reached_project, 1, **more))

        assert said == ""

    def test_stolen_ones_are_cut_off(self, login: dict[str, Any]) -> None:
        """Whoever holds the password of a compromised login is thrown out in the same update."""
        with psycopg.connect(login["url"]) as stolen:
            news = {**login, "version": 2.0, "passwords": {"2": "second"}, "cut_off": True}
            LoginProvider().update("stall", login, news)
            with pytest.raises(psycopg.errors.AdminShutdown):
                stolen.execute("select 1")
