"""Sessions open on a real server, and failures never show the password."""

from __future__ import annotations

import pytest

from engines import postgres


def test_opens_a_named_session(database: str) -> None:
    """A session carries the application name that operators look for."""
    with postgres.connect(database) as session:
        name = session.execute("show application_name").fetchone()

    assert name == ("groundwork",)


@pytest.mark.parametrize(
    "dsn", ["postgresql://u:hunter2@127.0.0.1:1/db", "host=127.0.0.1 port=1 password=hunter2 user=u"]
)
def test_unreachable_server_is_named_without_password(dsn: str) -> None:
    """A refused connection names host and port, and hides the password."""
    with pytest.raises(postgres.DatabaseUnreachableError) as caught:
        postgres.connect(dsn)

    assert "127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_broken_url_is_not_quoted_back() -> None:
    """A URL that cannot be parsed is not repeated, for it holds the password."""
    with pytest.raises(postgres.DatabaseUnreachableError) as caught:
        postgres.describe("postgresql://u:hunter2@host:port:twice/db x=y")

    assert "hunter2" not in str(caught.value)
