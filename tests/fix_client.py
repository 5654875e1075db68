"""A client of a real emulator process, all of whose requests are held against the published contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from engines.supabase import ManagementClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Emulator
    from tests.fix_operations import Operations


class Recorder(httpx.BaseTransport):
    """Passes requests on to the network and remembers them."""

    def __init__(self) -> None:
        """Begin without requests."""
        self.network = httpx.HTTPTransport()
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Remember a request and send it."""
        request.read()
        self.requests.append(request)
        return self.network.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self.network.close()


@pytest.fixture
def management_client(emulator: Emulator, operations: Operations) -> Iterator[ManagementClient]:
    """Give a client of the emulator; what it sent is judged afterwards."""
    recorder = Recorder()
    with ManagementClient(emulator.api_url, emulator.token, transport=recorder) as client:
        yield client
    assert recorder.requests
    for request in recorder.requests:
        operations.check(request)
