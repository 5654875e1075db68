"""The password of the database's owner: kept and proven, or known to nobody."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from pulumi.output import Unknown

from engines import postgres, supabase
from providers import owner
from providers.owner import OwnerPasswordProvider
from tests.providers.fix_reach import reach

if TYPE_CHECKING:
    from pulumi.dynamic import CreateResult, UpdateResult

    from tests.fix_emulator import Project

PROVIDER = OwnerPasswordProvider()


@pytest.fixture
def owned(reached_project: Project) -> Any:
    """Give a project that has its first password again after the test."""
    yield reached_project
    body = {"password": reached_project.password}
    reached_project.emulator.client.patch(f"{reached_project.path}/database/password", json=body)


def props(project: Project, **changes: Any) -> dict[str, Any]:
    """Give the inputs; without changes, the stack keeps the password that the project has."""
    ours = {"mode": "keep", "password": project.password, "adopt": False}
    return {**reach(project), **ours, **changes}


def outs(result: CreateResult | UpdateResult) -> dict[str, Any]:
    """Give what the provider stored."""
    assert result.outs is not None
    return dict(result.outs)


def opens(url: str) -> bool:
    """Tell whether a URL opens the database as the owner."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_kept_password_is_proven(owned: Project) -> None:
    """One that opens the database is taken as it is, and is in the URL."""
    made = outs(PROVIDER.create(props(owned)))

    assert opens(made["url"])
    assert opens(owned.dsn)
    assert not PROVIDER.diff("postgres", made, props(owned)).changes


def test_password_of_a_project_of_others_is_left(owned: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `adopt` it is not replaced, and no password is told; with it, it is."""
    monkeypatch.setattr(owner, "_PAUSE_S", 0.0)
    wanted = props(owned, password="CANARY-not-its-password")
    with pytest.raises(supabase.SupabaseError, match=r"set groundwork:supabase\.adopt to true") as caught:
        PROVIDER.create(wanted)
    assert "CANARY" not in str(caught.value)
    assert opens(owned.dsn)

    made = outs(PROVIDER.create({**wanted, "adopt": True}))
    assert opens(made["url"])
    assert not opens(owned.dsn)


def test_rotation_sets_the_new_password(owned: Project) -> None:
    """A new password of the stack is set without further leave; a preview shows it before it is known."""
    made = outs(PROVIDER.create(props(owned)))
    news = props(owned, password=secrets.token_urlsafe(16))
    assert PROVIDER.diff("postgres", made, {**news, "password": Unknown()}).changes
    assert not PROVIDER.diff("postgres", made, {**made, "host": Unknown(), "port": Unknown()}).changes

    updated = outs(PROVIDER.update("postgres", made, news))
    assert opens(updated["url"])
    assert not opens(owned.dsn)
    # Killed before the state was written, the same is done again.
    assert outs(PROVIDER.update("postgres", made, news)) == updated


def test_forgotten_password_opens_nothing(owned: Project) -> None:
    """What the stack knows is replaced where it opens the database, and no output has a password then."""
    made = outs(PROVIDER.create(props(owned)))
    forgotten = outs(PROVIDER.update("postgres", made, props(owned, mode="forget")))
    assert not opens(owned.dsn)
    assert forgotten["url"] == made["url"].replace(f":{owned.password}@", "@")

    kept = outs(PROVIDER.update("postgres", forgotten, props(owned)))
    assert opens(kept["url"])
    # Given up and rotated in one update, it is the former one that must open nothing.
    PROVIDER.update("postgres", kept, props(owned, mode="forget", password="next"))
    assert not opens(owned.dsn)


def test_password_of_others_is_forgotten_without_a_change(owned: Project) -> None:
    """A project that is taken over keeps the password that its people know."""
    PROVIDER.create(props(owned, mode="forget", password="of the stack, and of no use"))

    assert opens(owned.dsn)


def test_database_that_does_not_answer_changes_no_password(owned: Project) -> None:
    """Only a refusal tells that a password is wrong."""
    with pytest.raises(postgres.DatabaseUnreachableError):
        PROVIDER.create(props(owned, adopt=True, port=1.0, password="another"))

    assert opens(owned.dsn)
