"""Every function of the client meets every fault of the service, and ends well or says why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from engines import supabase
from tests.contract_service import LACKING, ContractService
from tests.samples import Fill
from tests.supabase_calls import CALLS

if TYPE_CHECKING:
    from tests.fix_operations import Operations

Fault = httpx.Response | Exception
PASSING: list[Fault] = [
    httpx.Response(429, json={"message": "slow down"}, headers={"retry-after": "5"}),
    httpx.Response(500, json={"message": "oops"}),
    httpx.Response(503, text="<html>maintenance</html>"),
    httpx.ConnectError("connection refused"),
]
LOST: list[Fault] = [
    httpx.ReadTimeout("no answer"),
    httpx.RemoteProtocolError("server disconnected"),
    httpx.Response(504, text="<html>gateway timeout</html>"),
]
# What must not be sent again when nobody knows whether it was carried out.
ONCE = {
    *("POST /v1/projects", "POST /v1/projects/{ref}/pause", "POST /v1/projects/{ref}/restore"),
    *("POST /v1/projects/{ref}/api-keys", "POST /v1/projects/{ref}/database/query"),
    "POST /v1/projects/{ref}/config/auth/signing-keys",
    "POST /v1/projects/{ref}/config/auth/signing-keys/legacy",
    "POST /v1/projects/{ref}/config/auth/third-party-auth",
    "POST /v1/projects/{ref}/custom-hostname/initialize",
    "POST /v1/projects/{ref}/database/backups/restore-pitr",
    "POST /v1/projects/{ref}/database/backups/restore-point",
}
# Not repeated even when the service says that it failed: there is nothing to look at before.
NEVER_AGAIN = {
    "POST /v1/projects/{ref}/database/query",
    "POST /v1/projects/{ref}/database/backups/restore-pitr",
    "POST /v1/projects/{ref}/database/backups/restore-point",
}


@dataclass
class FaultyService(ContractService):
    """Fails at one route some times, and is as the contracts say otherwise.

    Attributes:
        route: where it fails.
        faults: what happens there, in turn.
        tries: how many requests came there.
        carried_out: how many of them were answered with success.
    """

    route: str = ""
    faults: list[Fault] = field(default_factory=list)
    tries: int = 0
    carried_out: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Fail, or answer."""
        operation = self.operations.of(request)[0]
        if f"{operation.method} {operation.template}" != self.route:
            return super().__call__(request)
        self.tries += 1
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        self.carried_out += 0 if fault else 1
        return fault or super().__call__(request)


def _service(called: tuple[str, str], operations: Operations, faults: list[Fault]) -> FaultyService:
    status = "ACTIVE_HEALTHY" if called[1] == "pause" else "INACTIVE"
    lacking = LACKING.get(called, "")
    return FaultyService(operations, 0, Fill.ALL, status, lacking, route=CALLS[called][1], faults=faults)


def _name(fault: Fault) -> str:
    return str(fault.status_code) if isinstance(fault, httpx.Response) else type(fault).__name__


@pytest.mark.parametrize("fault", PASSING, ids=_name)
@pytest.mark.parametrize("called", sorted(CALLS), ids=".".join)
def test_passing_fault_is_waited_out(called: tuple[str, str], fault: Fault, operations: Operations) -> None:
    """A fault that passes is waited out by every function that may; the others say what failed."""
    act, route = CALLS[called]
    service = _service(called, operations, [fault])
    may_repeat = route not in NEVER_AGAIN or isinstance(fault, httpx.ConnectError)

    with service.client() as client:
        if may_repeat:
            act(client)
        else:
            with pytest.raises(supabase.SupabaseError, match=r"project abcdefghijklmnopqrst failed at https"):
                act(client)

    # What was made in the meantime, as far as a look can tell, is not asked for again.
    assert service.tries >= (1 if route in ONCE else 2)


@pytest.mark.parametrize("fault", LOST, ids=_name)
@pytest.mark.parametrize("called", sorted(CALLS), ids=".".join)
def test_lost_answer_is_asked_for_again_or_told(
    called: tuple[str, str], fault: Fault, operations: Operations
) -> None:
    """What may be sent twice is; of the rest it is said that nobody knows, and the next try goes through."""
    act, route = CALLS[called]
    service = _service(called, operations, [fault])

    with service.client() as client:
        if route not in ONCE:
            act(client)
            assert service.tries >= 2
            return
        with pytest.raises(supabase.UnavailableError, match=r"(?i)nobody knows"):
            act(client)
        assert service.tries == 1
        act(client)
    # Of what the lost request was to make there is one now.
    assert service.carried_out == 1


@pytest.mark.parametrize("called", sorted(CALLS), ids=".".join)
def test_lasting_fault_is_told(called: tuple[str, str], operations: Operations) -> None:
    """A service that stays away is named, with what to do, after a bounded number of tries."""
    act, _ = CALLS[called]
    service = _service(called, operations, [httpx.ConnectError("connection refused")] * 100)

    with service.client() as client, pytest.raises(supabase.UnavailableError) as caught:
        act(client)

    assert "cannot reach https://api.test (connection refused)" in str(caught.value)
    assert "groundwork:supabase.api_url" in str(caught.value)
    assert service.tries == 6
