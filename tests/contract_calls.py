"""Calls on the routes of the Management API beyond the first path, each after what it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from tests.fix_emulator import Project

Request = tuple[str, str, dict[str, Any]]
REF = "/v1/projects/{ref}"
MIGRATIONS = f"{REF}/database/migrations"
SSO = f"{REF}/config/auth/sso/providers"
SAML: Request = ("PATCH", f"{REF}/config/auth", {"json": {"saml_enabled": True}})
PROVIDER = {"type": "saml", "metadata_url": "https://idp.test/metadata", "domains": ["acme.test"]}
VANITY = f"{REF}/vanity-subdomain"
ANALYTICS = f"{REF}/analytics/endpoints"
RUN = {"data": {"type": "project_advisors", "attributes": {"lints": []}}}
FUNCTION = {"slug": "one-file", "name": "one file", "body": "export default 1"}
DISK = {"attributes": {"type": "gp3", "size_gb": 16, "iops": 3000, "throughput_mibps": 125}}


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        path: `{ref}` is the project, `{id}` what the answer to the last of `before` has as `found`.
        before: what is asked first; whether it works does not matter, as it may be done already.
        own: it is made on a project of its own.
    """

    method: str
    path: str
    arguments: dict[str, Any] = field(default_factory=dict)
    before: tuple[Request, ...] = ()
    found: str = "id"
    own: bool = False

    def __call__(self, project: Project) -> httpx.Response:
        """Make it."""
        on = project.emulator.create("own") if self.own else project
        made: Any = {}
        for method, path, arguments in self.before:
            answer = on.emulator.client.request(method, path.format(ref=on.ref), **arguments)
            made = answer.json() if answer.content else {}
        thing = made.get(self.found, "") if isinstance(made, dict) else ""
        path = self.path.format(ref=on.ref, id=thing)
        return on.emulator.client.request(self.method, path, **self.arguments)


def _put_into_service(project: Project) -> httpx.Response:
    """Deploy a function without putting it into service, then do that."""
    client, path = project.emulator.client, f"{project.path}/functions"
    files = [("file", ("index.ts", b"export default 1"))]
    metadata = {"metadata": '{"entrypoint_path": "index.ts", "name": "later"}'}
    params = {"slug": "later", "bundleOnly": "true"}
    made = client.post(f"{path}/deploy", params=params, files=files, data=metadata).raise_for_status().json()
    assert "later" not in {one["slug"] for one in client.get(path).json()}
    return client.put(path, json=[made])


def _restoration_ended(project: Project) -> httpx.Response:
    other = project.emulator.create("cancelled")
    project.emulator.client.post(f"{other.path}/pause").raise_for_status()
    project.emulator.wait_for_status(other.ref, "INACTIVE")
    project.emulator.client.post(f"{other.path}/restore").raise_for_status()
    return project.emulator.client.post(f"{other.path}/restore/cancel")


def _branch(name: str) -> Request:
    return ("POST", f"{REF}/branches", {"json": {"branch_name": name}})


def _migration(name: str) -> Request:
    return ("POST", MIGRATIONS, {"json": {"query": "select 1", "name": name}})


MORE: dict[tuple[str, str], Any] = {
    ("POST", "/v1/organizations"): Call("POST", "/v1/organizations", {"json": {"name": "Other"}}),
    ("GET", "/v1/organizations/{slug}/members"): Call("GET", "/v1/organizations/groundwork/members"),
    ("PUT", f"{REF}/functions"): _put_into_service,
    ("PATCH", f"{REF}/functions/{{function_slug}}"): Call(
        "PATCH",
        f"{REF}/functions/one-file",
        {"json": {"verify_jwt": False, "body": "export default 2"}},
        (("POST", f"{REF}/functions", {"json": FUNCTION}),),
    ),
    ("POST", f"{REF}/functions"): Call("POST", f"{REF}/functions", {"json": {**FUNCTION, "slug": "new"}}),
    ("POST", f"{REF}/restart"): Call("POST", f"{REF}/restart", own=True),
    ("GET", f"{REF}/restore"): Call("GET", f"{REF}/restore"),
    ("POST", f"{REF}/restore/cancel"): _restoration_ended,
    ("GET", f"{REF}/upgrade/eligibility"): Call("GET", f"{REF}/upgrade/eligibility"),
    ("GET", f"{REF}/upgrade/status"): Call("GET", f"{REF}/upgrade/status"),
    ("GET", f"{REF}/config/database/pgbouncer"): Call("GET", f"{REF}/config/database/pgbouncer"),
    ("GET", f"{REF}/config/disk"): Call("GET", f"{REF}/config/disk"),
    ("POST", f"{REF}/config/disk"): Call("POST", f"{REF}/config/disk", {"json": DISK}),
    ("GET", f"{REF}/config/disk/util"): Call("GET", f"{REF}/config/disk/util"),
    ("GET", f"{REF}/config/disk/autoscale"): Call("GET", f"{REF}/config/disk/autoscale"),
    ("POST", f"{REF}/config/realtime/shutdown"): Call("POST", f"{REF}/config/realtime/shutdown"),
    ("GET", f"{REF}/readonly"): Call("GET", f"{REF}/readonly"),
    ("POST", f"{REF}/readonly/temporary-disable"): Call("POST", f"{REF}/readonly/temporary-disable"),
    ("GET", MIGRATIONS): Call("GET", MIGRATIONS, before=(_migration("first"),)),
    ("POST", MIGRATIONS): Call("POST", MIGRATIONS, {"json": {"query": "select 1"}}),
    ("PUT", MIGRATIONS): Call("PUT", MIGRATIONS, {"json": {"query": "select 1", "name": "kept"}}),
    ("DELETE", MIGRATIONS): Call("DELETE", MIGRATIONS, {"params": {"gte": "99999999999999"}}),
    ("POST", f"{REF}/network-bans/retrieve"): Call("POST", f"{REF}/network-bans/retrieve"),
    ("POST", f"{REF}/network-bans/retrieve/enriched"): Call("POST", f"{REF}/network-bans/retrieve/enriched"),
    ("DELETE", f"{REF}/network-bans"): Call(
        "DELETE", f"{REF}/network-bans", {"json": {"ipv4_addresses": ["203.0.113.9"]}}
    ),
    ("GET", VANITY): Call("GET", VANITY),
    ("POST", f"{VANITY}/check-availability"): Call(
        "POST", f"{VANITY}/check-availability", {"json": {"vanity_subdomain": "acme"}}
    ),
    ("POST", f"{VANITY}/activate"): Call(
        "POST", f"{VANITY}/activate", {"json": {"vanity_subdomain": "acme"}}
    ),
    ("DELETE", VANITY): Call("DELETE", VANITY),
    ("GET", f"{REF}/pgsodium"): Call("GET", f"{REF}/pgsodium"),
    ("PUT", f"{REF}/pgsodium"): Call("PUT", f"{REF}/pgsodium", {"json": {"root_key": "0f" * 32}}),
    ("GET", f"{REF}/types/typescript"): Call("GET", f"{REF}/types/typescript"),
    ("GET", f"{REF}/database/context"): Call("GET", f"{REF}/database/context"),
    ("GET", f"{REF}/advisors/security"): Call("GET", f"{REF}/advisors/security"),
    ("GET", f"{REF}/advisors/performance"): Call("GET", f"{REF}/advisors/performance"),
    ("POST", "/v2/projects/{ref}/advisors/run"): Call(
        "POST", "/v2/projects/{ref}/advisors/run", {"json": RUN}
    ),
    ("GET", f"{ANALYTICS}/usage.api-counts"): Call("GET", f"{ANALYTICS}/usage.api-counts"),
    ("GET", f"{ANALYTICS}/usage.api-requests-count"): Call("GET", f"{ANALYTICS}/usage.api-requests-count"),
    ("GET", f"{ANALYTICS}/functions.combined-stats"): Call(
        "GET", f"{ANALYTICS}/functions.combined-stats", {"params": {"interval": "1hr", "function_id": "x"}}
    ),
    ("GET", SSO): Call("GET", SSO, before=(SAML, ("POST", SSO, {"json": PROVIDER}))),
    ("POST", SSO): Call("POST", SSO, {"json": PROVIDER}, (SAML,)),
    ("GET", f"{SSO}/{{provider_id}}"): Call(
        "GET", f"{SSO}/{{id}}", before=(SAML, ("POST", SSO, {"json": PROVIDER}))
    ),
    ("PUT", f"{SSO}/{{provider_id}}"): Call(
        "PUT", f"{SSO}/{{id}}", {"json": {"domains": []}}, (SAML, ("POST", SSO, {"json": PROVIDER}))
    ),
    ("DELETE", f"{SSO}/{{provider_id}}"): Call(
        "DELETE", f"{SSO}/{{id}}", before=(SAML, ("POST", SSO, {"json": PROVIDER}))
    ),
    ("GET", f"{REF}/branches"): Call("GET", f"{REF}/branches", before=(_branch("listed"),)),
    ("POST", f"{REF}/branches"): Call("POST", f"{REF}/branches", {"json": {"branch_name": "made"}}),
    ("DELETE", f"{REF}/branches"): Call("DELETE", f"{REF}/branches", before=(_branch("gone"),)),
    ("GET", f"{REF}/branches/{{name}}"): Call("GET", f"{REF}/branches/named", before=(_branch("named"),)),
    ("GET", "/v1/branches/{branch_id_or_ref}"): Call(
        "GET", "/v1/branches/{ref}", before=(_branch("for-main"),)
    ),
    ("PATCH", "/v1/branches/{branch_id_or_ref}"): Call(
        "PATCH", "/v1/branches/{id}", {"json": {"branch_name": "renamed"}}, (_branch("changed"),)
    ),
    ("DELETE", "/v1/branches/{branch_id_or_ref}"): Call(
        "DELETE", "/v1/branches/{id}", before=(_branch("deleted"),)
    ),
}


def _on_version(method: str, **arguments: Any) -> Any:
    """Call on the newest migration."""

    def call(project: Project) -> httpx.Response:
        client, path = project.emulator.client, MIGRATIONS.format(ref=project.ref)
        client.post(path, json={"query": "select 1", "name": "one"}).raise_for_status()
        newest = client.get(path).json()[-1]["version"]
        return client.request(method, f"{path}/{newest}", **arguments)

    return call


MORE[("GET", f"{MIGRATIONS}/{{version}}")] = _on_version("GET")
MORE[("PATCH", f"{MIGRATIONS}/{{version}}")] = _on_version("PATCH", json={"name": "other"})
