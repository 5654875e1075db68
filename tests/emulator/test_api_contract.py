"""Every route that the emulator serves answers as the published contract says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import jsonschema
import pytest

from emulator import server
from emulator.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from tests.fix_contract import Contract
    from tests.fix_emulator import Emulator, Project

REF = "/v1/projects/{ref}"
KEY = f"{REF}/api-keys/{{id}}"
CREATE = {"name": "contract", "organization_slug": "groundwork", "db_pass": "a long password"}


def _made_key(project: Project, name: str) -> str:
    body = {"type": "secret", "name": name}
    made = project.emulator.client.post(f"{project.path}/api-keys", json=body)
    return str(made.raise_for_status().json()["id"])


def _call(method: str, path: str, **arguments: Any) -> Callable[[Project], httpx.Response]:
    def call(project: Project) -> httpx.Response:
        return project.emulator.client.request(method, path.format(ref=project.ref), **arguments)

    return call


def _call_on_key(method: str, **arguments: Any) -> Callable[[Project], httpx.Response]:
    def call(project: Project) -> httpx.Response:
        path = f"{project.path}/api-keys/{_made_key(project, f'key_{method.lower()}')}"
        return project.emulator.client.request(method, path, **arguments)

    return call


def _paused(project: Project) -> httpx.Response:
    other = project.emulator.create("paused")
    answer = project.emulator.client.post(f"{other.path}/pause")
    project.emulator.wait_for_status(other.ref, "INACTIVE")
    return answer


def _restored(project: Project) -> httpx.Response:
    other = project.emulator.create("restored")
    project.emulator.client.post(f"{other.path}/pause").raise_for_status()
    project.emulator.wait_for_status(other.ref, "INACTIVE")
    return project.emulator.client.post(f"{other.path}/restore")


def _deleted(project: Project) -> httpx.Response:
    return project.emulator.client.delete(project.emulator.create("deleted").path)


CALLS: dict[tuple[str, str], Callable[[Project], httpx.Response]] = {
    (method, path): _call(method, path, **arguments)
    for method, path, arguments in cast(
        "list[tuple[str, str, dict[str, Any]]]",
        [
            ("GET", "/v1/organizations", {}),
            ("GET", "/v1/profile", {}),
            ("POST", "/v1/projects", {"json": CREATE}),
            ("GET", "/v1/projects", {}),
            ("GET", "/v1/projects/available-regions", {"params": {"organization_slug": "groundwork"}}),
            ("GET", REF, {}),
            ("PATCH", REF, {"json": {"name": "shared"}}),
            ("GET", f"{REF}/health", {"params": {"services": ["auth", "db", "realtime", "rest", "storage"]}}),
            ("GET", f"{REF}/api-keys", {}),
            ("POST", f"{REF}/api-keys", {"json": {"type": "publishable", "name": "key_post"}}),
            ("GET", f"{REF}/api-keys/legacy", {}),
            ("PUT", f"{REF}/api-keys/legacy", {"params": {"enabled": "true"}}),
            ("GET", f"{REF}/secrets", {}),
            ("POST", f"{REF}/secrets", {"json": [{"name": "A", "value": "b"}]}),
            ("DELETE", f"{REF}/secrets", {"json": ["A"]}),
            ("POST", f"{REF}/database/query", {"json": {"query": "select 1"}}),
            ("POST", f"{REF}/database/query/read-only", {"json": {"query": "select 1"}}),
            ("POST", f"{REF}/cli/login-role", {"json": {"read_only": True}}),
            ("GET", f"{REF}/config/auth", {}),
            ("PATCH", f"{REF}/config/auth", {"json": {"mailer_otp_exp": 3600}}),
            ("GET", f"{REF}/postgrest", {}),
            ("PATCH", f"{REF}/postgrest", {"json": {"max_rows": 1000}}),
            ("GET", f"{REF}/config/database/pooler", {}),
            ("PATCH", f"{REF}/config/database/pooler", {"json": {"default_pool_size": 15}}),
        ],
    )
}
CALLS[("GET", "/v1/organizations/{slug}")] = _call("GET", "/v1/organizations/groundwork")
CALLS[("GET", "/v1/organizations/{slug}/projects")] = _call("GET", "/v1/organizations/groundwork/projects")
CALLS[("GET", KEY)] = _call_on_key("GET")
CALLS[("PATCH", KEY)] = _call_on_key("PATCH", json={"description": "changed"})
CALLS[("DELETE", KEY)] = _call_on_key("DELETE", params={"reason": "test"})
CALLS[("POST", f"{REF}/pause")] = _paused
CALLS[("POST", f"{REF}/restore")] = _restored
CALLS[("DELETE", REF)] = _deleted


def _change_password(project: Project) -> httpx.Response:
    body = {"password": project.password}
    return project.emulator.client.patch(f"{project.path}/database/password", json=body)


CALLS[("PATCH", f"{REF}/database/password")] = _change_password


@pytest.mark.parametrize(("method", "path"), sorted(CALLS))
def test_answer_is_as_documented(method: str, path: str, project: Project, contract: Contract) -> None:
    """A route's answer has a documented status, and a body that the document's schema allows."""
    answer = CALLS[(method, path)](project)

    assert answer.is_success, answer.text
    contract.check(method, path, answer)


def test_every_served_route_is_checked(tmp_path: Path) -> None:
    """A new route comes with a call in this file."""
    options = Options(host="", port=0, data=tmp_path, token="t", rate_limit=0, stop=False)
    app = server.application(cast("Any", None), options)

    served = {
        (method, path.replace("{key_id}", "{id}"))
        for path, operations in app.openapi()["paths"].items()
        for method in (name.upper() for name in operations)
        if path.startswith("/v1/")
    }

    assert served == set(CALLS)


def test_every_served_route_is_documented(contract: Contract) -> None:
    """No route is made up."""
    unknown = [
        (method, path)
        for method, path in CALLS
        if method.lower() not in contract.document["paths"].get(path, {})
    ]

    assert unknown == []


def test_contract_check_can_fail(emulator: Emulator, contract: Contract) -> None:
    """The judge is not blind: a right answer to one route is a wrong one to another."""
    answer = emulator.client.get("/v1/profile")

    with pytest.raises(jsonschema.ValidationError):
        contract.check("GET", "/v1/organizations", answer)
