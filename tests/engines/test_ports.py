"""Free and taken ports are told apart with real sockets."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from engines import ports

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["127.0.0.1", ""], ids=["loopback", "all addresses"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """Give a port on which this process listens."""
    with socket.create_server((request.param, 0)) as listener:
        yield listener.getsockname()[1]


def test_owner_of_a_port_is_named(taken: int) -> None:
    """The owner is named with its pid, on whichever address it listens."""
    assert f"(pid {os.getpid()})" in str(ports.port_taken(taken))


def test_taken_port_is_not_given(taken: int) -> None:
    """A preferred port that is taken is replaced by a free one."""
    given = ports.free_port(taken)

    assert given != taken
    assert ports.port_taken(given) is None


def test_preferred_port_is_given() -> None:
    """A preferred port that is free is kept."""
    wanted = ports.free_port()

    assert ports.free_port(wanted) == wanted


def test_closed_connections_do_not_count() -> None:
    """A port whose server ended a moment ago, connections included, is free at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()

    assert ports.port_taken(port) is None
