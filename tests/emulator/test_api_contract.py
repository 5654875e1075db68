"""Every route that the emulator serves answers as the published contract says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import jsonschema
import pytest

from tests.contract_calls import MORE
from tests.served_routes import served

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.fix_contract import Contract
    from tests.fix_emulator import Emulator, Project
    from tests.fix_operations import Operations

REF = "/v1/projects/{ref}"
KEY = f"{REF}/api-keys/{{id}}"
POSTGRES = f"{REF}/config/database/postgres"
NETWORK = f"{REF}/network-restrictions"
SIGNING = f"{REF}/config/auth/signing-keys"
ISSUERS = f"{REF}/config/auth/third-party-auth"
FUNCTIONS = f"{REF}/functions"
HOSTNAME = f"{REF}/custom-hostname"
DEPLOYMENT: dict[str, Any] = {
    "params": {"slug": "hello"},
    "files": [("file", ("functions/hello/index.ts", b"export default 1"))],
    "data": {"metadata": '{"entrypoint_path": "functions/hello/index.ts"}'},
}
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


def _then(
    method: str, path: str, made: tuple[str, dict[str, Any]], **arguments: Any
) -> Callable[[Project], httpx.Response]:
    """Make something first, and call on what it is; the path's last placeholder is its id."""

    def call(project: Project) -> httpx.Response:
        answer = project.emulator.client.post(made[0].format(ref=project.ref), **made[1])
        path_of_it = path.format(ref=project.ref, id=answer.raise_for_status().json()["id"])
        return project.emulator.client.request(method, path_of_it, **arguments)

    return call


def _with_hostname(
    method: str, path: str, *before: str, **arguments: Any
) -> Callable[[Project], httpx.Response]:
    """Buy the add-on, claim a name, take the steps `before`, and call."""

    def call(project: Project) -> httpx.Response:
        client = project.emulator.client
        addon = {"addon_type": "custom_domain", "addon_variant": "cd_default"}
        client.patch(f"{project.path}/billing/addons", json=addon).raise_for_status()
        client.delete(HOSTNAME.format(ref=project.ref))
        for step in before:
            name = {"custom_hostname": "api.acme.test"} if step == "initialize" else None
            client.post(f"{project.path}/custom-hostname/{step}", json=name).raise_for_status()
        return client.request(method, path.format(ref=project.ref), **arguments)

    return call


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
            ("GET", POSTGRES, {}),
            ("PUT", POSTGRES, {"json": {"statement_timeout": "0"}}),
            ("PATCH", POSTGRES, {"json": {"max_wal_senders": 10, "pg_net.batch_size": 5}}),
            ("GET", f"{REF}/ssl-enforcement", {}),
            ("PUT", f"{REF}/ssl-enforcement", {"json": {"requestedConfig": {"database": True}}}),
            ("GET", NETWORK, {}),
            ("PATCH", NETWORK, {"json": {"add": {"dbAllowedCidrs": ["203.0.113.0/24"]}}}),
            ("POST", f"{NETWORK}/apply", {"json": {"dbAllowedCidrs": ["0.0.0.0/0"], "dbAllowedCidrsV6": []}}),
            ("GET", f"{REF}/config/storage", {}),
            ("PATCH", f"{REF}/config/storage", {"json": {"fileSizeLimit": 1000}}),
            ("GET", f"{REF}/config/realtime", {}),
            ("PATCH", f"{REF}/config/realtime", {"json": {"private_only": False}}),
            ("GET", SIGNING, {}),
            ("POST", SIGNING, {"json": {"algorithm": "ES256"}}),
            ("GET", ISSUERS, {}),
            ("POST", ISSUERS, {"json": {"oidc_issuer_url": "https://a.test"}}),
            ("GET", f"{REF}/billing/addons", {}),
            (
                "PATCH",
                f"{REF}/billing/addons",
                {"json": {"addon_type": "ipv4", "addon_variant": "ipv4_default"}},
            ),
            ("GET", f"{REF}/database/backups", {}),
            ("POST", f"{REF}/database/backups/restore-point", {"json": {"name": "before"}}),
            ("GET", f"{REF}/database/backups/schedule", {}),
            ("PATCH", f"{REF}/database/backups/schedule", {"json": {"schedule_for": "04:30"}}),
            ("GET", f"{REF}/storage/buckets", {}),
            ("GET", FUNCTIONS, {}),
            ("POST", f"{FUNCTIONS}/deploy", DEPLOYMENT),
            ("DELETE", f"{REF}/cli/login-role", {}),
            ("GET", "/v2/projects/{ref}/config", {}),
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


CALLS[("GET", "/v1/organizations/{slug}/entitlements")] = _call(
    "GET", "/v1/organizations/groundwork/entitlements"
)
_KEY_MADE = (SIGNING, {"json": {"algorithm": "HS256"}})
CALLS[("GET", f"{SIGNING}/{{id}}")] = _then("GET", f"{SIGNING}/{{id}}", _KEY_MADE)
CALLS[("PATCH", f"{SIGNING}/{{id}}")] = _then(
    "PATCH", f"{SIGNING}/{{id}}", _KEY_MADE, json={"status": "revoked"}
)
_ISSUER_MADE = (ISSUERS, {"json": {"jwks_url": "https://a.test"}})
for _method in ("GET", "DELETE"):
    CALLS[(_method, f"{ISSUERS}/{{tpa_id}}")] = _then(_method, f"{ISSUERS}/{{id}}", _ISSUER_MADE)
    CALLS[(_method, f"{FUNCTIONS}/{{function_slug}}")] = _then(
        _method, f"{FUNCTIONS}/hello", (f"{FUNCTIONS}/deploy", DEPLOYMENT)
    )
CALLS[("GET", HOSTNAME)] = _with_hostname("GET", HOSTNAME, "initialize")
CALLS[("DELETE", HOSTNAME)] = _with_hostname("DELETE", HOSTNAME, "initialize")
CALLS[("POST", f"{HOSTNAME}/initialize")] = _with_hostname(
    "POST", f"{HOSTNAME}/initialize", json={"custom_hostname": "api.acme.test"}
)
CALLS[("POST", f"{HOSTNAME}/reverify")] = _with_hostname("POST", f"{HOSTNAME}/reverify", "initialize")
CALLS[("POST", f"{HOSTNAME}/activate")] = _with_hostname(
    "POST", f"{HOSTNAME}/activate", "initialize", "reverify"
)


def _revoked_key_deleted(project: Project) -> httpx.Response:
    client, path = project.emulator.client, SIGNING.format(ref=project.ref)
    made = client.post(path, json={"algorithm": "HS256"}).json()["id"]
    client.patch(f"{path}/{made}", json={"status": "revoked"}).raise_for_status()
    return client.delete(f"{path}/{made}")


def _legacy_read(project: Project) -> httpx.Response:
    path = f"{SIGNING.format(ref=project.ref)}/legacy"
    project.emulator.client.post(path)
    return project.emulator.client.get(path)


def _legacy_taken_over(project: Project) -> httpx.Response:
    other = project.emulator.create("legacy")
    return project.emulator.client.post(f"{other.path}/config/auth/signing-keys/legacy")


def _point_read(project: Project) -> httpx.Response:
    client, path = project.emulator.client, f"{project.path}/database/backups/restore-point"
    client.post(path, json={"name": "again"}).raise_for_status()
    return client.get(path, params={"name": "again"})


CALLS[("GET", f"{REF}/database/backups/restore-point")] = _point_read


def _addon_removed(project: Project) -> httpx.Response:
    client, path = project.emulator.client, f"{project.path}/billing/addons"
    client.patch(path, json={"addon_type": "pitr", "addon_variant": "pitr_7"}).raise_for_status()
    return client.delete(f"{path}/pitr_7")


CALLS[("DELETE", f"{SIGNING}/{{id}}")] = _revoked_key_deleted
CALLS[("GET", f"{SIGNING}/legacy")] = _legacy_read
CALLS[("POST", f"{SIGNING}/legacy")] = _legacy_taken_over
CALLS[("DELETE", f"{REF}/billing/addons/{{addon_variant}}")] = _addon_removed
CALLS |= MORE
# Judged in tests/emulator/test_api_platform.py: a stand-in without backups restores none, and files are
# answered as a form, which the CLI demands and the document does not know; there is nothing to upgrade to.
APART = {
    ("POST", f"{REF}/upgrade"),
    ("POST", f"{REF}/database/backups/restore-pitr"),
    ("GET", f"{FUNCTIONS}/{{function_slug}}/body"),
}


def _change_password(project: Project) -> httpx.Response:
    body = {"password": project.password}
    return project.emulator.client.patch(f"{project.path}/database/password", json=body)


CALLS[("PATCH", f"{REF}/database/password")] = _change_password


@pytest.fixture(scope="module")
def changed_project(emulator: Emulator) -> Project:
    """Make a project that every route may change."""
    return emulator.create("contract")


@pytest.mark.parametrize(("method", "path"), sorted(CALLS))
def test_answer_is_as_documented(
    method: str, path: str, changed_project: Project, contract: Contract, operations: Operations
) -> None:
    """A route's answer has a documented status, and a body that both documents' schemas allow."""
    answer = CALLS[(method, path)](changed_project)

    assert answer.is_success, answer.text
    if path in contract.document["paths"] and method.lower() in contract.document["paths"][path]:
        contract.check(method, path, answer)
    operations.check_answer(answer)


def test_every_served_route_is_checked() -> None:
    """A new route comes with a call in this file."""
    assert served() == {f"{method} {path}" for method, path in set(CALLS) | APART}


def test_every_served_route_is_documented(contract: Contract, operations: Operations) -> None:
    """No route is made up."""
    documented = {
        (method.upper(), path) for path, all_ in contract.document["paths"].items() for method in all_
    }
    documented |= {(operation.method, operation.template) for operation in operations.every}
    unknown = set(CALLS) - documented

    assert unknown == set()


def test_contract_check_can_fail(emulator: Emulator, contract: Contract) -> None:
    """The judge is not blind: a right answer to one route is a wrong one to another."""
    answer = emulator.client.get("/v1/profile")

    with pytest.raises(jsonschema.ValidationError):
        contract.check("GET", "/v1/organizations", answer)
