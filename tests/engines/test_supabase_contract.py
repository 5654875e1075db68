"""Every function of the client keeps to both published contracts: what it sends, and what it can read."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema
import pytest

from engines import supabase
from engines.supabase import ManagementClient
from tests.contract_service import LACKING, ContractService
from tests.fix_management import REF, TOKEN
from tests.samples import Fill
from tests.supabase_calls import BUNDLE, CALLS

if TYPE_CHECKING:
    from tests.fix_operations import Operations

# Made of other calls; `configuration` has its own tests, section by section.
COMPOSED = {
    ("projects", name)
    for name in ("wait_until_healthy", "wait_until_paused", "wait_until_resized", "wake", "put_to_sleep")
}
OTHERS = {"configuration"}
# Sections of which nothing is required in an answer.
MAY_BE_EMPTY = {"postgres", "network"}


@pytest.mark.parametrize("contract", [0, 1], ids=["May", "newer"])
@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("called", sorted(CALLS), ids=".".join)
def test_call_keeps_to_the_contracts(
    called: tuple[str, str], fill: Fill, contract: int, operations: Operations
) -> None:
    """A function sends what a contract allows and nothing beside it, and reads every answer it may get."""
    act, route = CALLS[called]
    status = "ACTIVE_HEALTHY" if called[1] == "pause" else "INACTIVE"
    service = ContractService(operations, contract, fill, status, LACKING.get(called, ""))

    with service.client() as client:
        act(client)

    assert route in service.seen


@pytest.mark.parametrize("contract", [0, 1], ids=["May", "newer"])
@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("section", sorted(supabase.SECTIONS))
def test_section_keeps_to_the_contracts(
    section: str, fill: Fill, contract: int, operations: Operations
) -> None:
    """A section is read and changed as the contracts say, whichever of them the service follows."""
    kind = supabase.SECTIONS[section]
    service = ContractService(operations, contract, fill, "ACTIVE_HEALTHY")

    with service.client() as client:
        found = client.configuration.read(REF, kind)
        client.configuration.change(REF, kind.of(_some(kind)))

    values = found.values()
    assert "jwt_secret" not in values
    assert values or section in MAY_BE_EMPTY


def _some(kind: type[supabase.Settings]) -> dict[str, Any]:
    """Give one setting of each kind of value that a section has."""
    values: dict[str, dict[str, Any]] = {
        "auth": {"site_url": "https://a.test", "jwt_exp": 3600, "smtp_pass": "x", "sessions_timebox": 1.5},
        "postgrest": {"db_schema": "public", "max_rows": 10},
        "postgres": {"statement_timeout": "10s", "max_connections": 100, "hot_standby_feedback": True},
        "pooler": {"default_pool_size": None, "pool_mode": "transaction"},
        "storage": {"fileSizeLimit": 1000, "features": {"imageTransformation": {"enabled": True}}},
        "realtime": {"private_only": True, "max_concurrent_users": 100},
        "ssl": {"database": True},
        "network": {"dbAllowedCidrs": ["203.0.113.0/24"], "dbAllowedCidrsV6": []},
    }
    return values[kind.section]


@pytest.mark.parametrize(
    ("section", "route"),
    [
        ("auth", ("PATCH", "/config/auth")),
        ("postgrest", ("PATCH", "/postgrest")),
        ("postgres", ("PUT", "/config/database/postgres")),
        ("pooler", ("PATCH", "/config/database/pooler")),
        ("storage", ("PATCH", "/config/storage")),
        ("realtime", ("PATCH", "/config/realtime")),
        ("network", ("POST", "/network-restrictions/apply")),
    ],
)
def test_section_has_every_field(section: str, route: tuple[str, str], operations: Operations) -> None:
    """A section has the fields that the two contracts have together, no more and no less."""
    request = httpx.Request(route[0], f"https://api.test/v1/projects/{REF}{route[1]}")
    documented = {name for one in operations.of(request) for name in (one.body or {})["properties"]}

    assert supabase.SECTIONS[section].names() == documented - {"restart_database"}


def test_every_function_is_checked() -> None:
    """A new function of the client comes with a call in this file."""
    with ManagementClient("https://api.test", TOKEN) as client:
        public = {
            (part, name)
            for part, group in vars(client).items()
            if not part.startswith("_") and part not in OTHERS
            for name, _ in inspect.getmembers(group, inspect.ismethod)
            if not name.startswith("_")
        }

    assert public == set(CALLS) | COMPOSED


@pytest.mark.parametrize(
    "request_",
    [
        httpx.Request("GET", f"https://api.test/v1/projects/{REF}/nothing"),
        httpx.Request("GET", f"https://api.test/v1/projects/{REF}?unknown=1"),
        httpx.Request("PATCH", f"https://api.test/v1/projects/{REF}", json={"name": ""}),
        httpx.Request("PATCH", f"https://api.test/v1/projects/{REF}", json={"name": "a", "other": 1}),
        httpx.Request("PATCH", f"https://api.test/v1/projects/{REF}/postgrest", json={"max_row": 1}),
        httpx.Request("GET", f"https://api.test/v1/projects/{REF}/health"),
    ],
    ids=lambda request: f"{request.method} {request.url.path} {request.content.decode()}",
)
def test_judge_can_fail(request_: httpx.Request, operations: Operations) -> None:
    """The judge is not blind: unknown routes, parameters and members are refused, and missing ones."""
    with pytest.raises((AssertionError, jsonschema.ValidationError)):
        operations.check(request_)


def test_files_of_a_function_arrive_as_they_are(operations: Operations) -> None:
    """Binary content with line ends in it is neither cut nor changed."""
    service = ContractService(operations, 0, Fill.ALL, "ACTIVE_HEALTHY")

    with service.client() as client:
        assert client.functions.files(REF, "hello") == {"a.ts": b"\x00\r\n1"}


def test_form_of_a_function_has_its_paths() -> None:
    """Each file is sent under its path, beside what starts the function."""
    form = BUNDLE.form()

    assert form.files == (("functions/hello/index.ts", b"\x00 1"),)
    assert json.loads(form.fields["metadata"])["entrypoint_path"] == "functions/hello/index.ts"
