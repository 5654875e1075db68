"""One call of each function of the client, with the route that it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engines import supabase
from tests.fix_management import REF, WANTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.supabase import ManagementClient

KEY_ID = "0b8f2a6e-6f0e-4f0a-9d5e-0123456789ab"
BUNDLE = supabase.Bundle(
    "hello",
    "functions/hello/index.ts",
    {"functions/hello/index.ts": b"\x00 1"},
    "functions/deno.json",
    ("*",),
)
# By part and method: what to call, and the route that it is about.
CALLS: dict[tuple[str, str], tuple[Callable[[ManagementClient], Any], str]] = {
    ("organizations", "all"): (lambda c: c.organizations.all(), "GET /v1/organizations"),
    ("organizations", "get"): (lambda c: c.organizations.get("acme"), "GET /v1/organizations/{slug}"),
    ("organizations", "entitlements"): (
        lambda c: c.organizations.entitlements("acme"),
        "GET /v1/organizations/{slug}/entitlements",
    ),
    ("organizations", "regions"): (
        lambda c: c.organizations.regions("acme"),
        "GET /v1/projects/available-regions",
    ),
    ("projects", "all"): (lambda c: c.projects.all(), "GET /v1/projects"),
    ("projects", "find"): (lambda c: c.projects.find("demo", "acme"), "GET /v1/projects"),
    ("projects", "create"): (lambda c: c.projects.create(WANTED), "POST /v1/projects"),
    ("projects", "get"): (lambda c: c.projects.get(REF), "GET /v1/projects/{ref}"),
    ("projects", "rename"): (lambda c: c.projects.rename(REF, "new"), "PATCH /v1/projects/{ref}"),
    ("projects", "health"): (lambda c: c.projects.health(REF), "GET /v1/projects/{ref}/health"),
    ("projects", "session_pooler"): (
        lambda c: c.projects.session_pooler(REF),
        "GET /v1/projects/{ref}/config/database/pooler",
    ),
    ("projects", "poolers"): (
        lambda c: c.projects.poolers(REF),
        "GET /v1/projects/{ref}/config/database/pooler",
    ),
    ("overview", "read"): (lambda c: c.overview.read(REF), "GET /v2/projects/{ref}/config"),
    ("projects", "pause"): (lambda c: c.projects.pause(REF), "POST /v1/projects/{ref}/pause"),
    ("projects", "restore"): (lambda c: c.projects.restore(REF), "POST /v1/projects/{ref}/restore"),
    ("projects", "delete"): (lambda c: c.projects.delete(REF), "DELETE /v1/projects/{ref}"),
    ("keys", "all"): (lambda c: c.keys.all(REF), "GET /v1/projects/{ref}/api-keys"),
    ("keys", "pairs"): (lambda c: c.keys.pairs(REF), "GET /v1/projects/{ref}/api-keys"),
    ("keys", "find"): (lambda c: c.keys.find(REF, "secret", "back"), "GET /v1/projects/{ref}/api-keys"),
    ("keys", "create"): (
        lambda c: c.keys.create(REF, "secret", "back_end", "for the jobs"),
        "POST /v1/projects/{ref}/api-keys",
    ),
    ("keys", "change"): (
        lambda c: c.keys.change(REF, KEY_ID, name="new_name", description=None),
        "PATCH /v1/projects/{ref}/api-keys/{id}",
    ),
    ("keys", "delete"): (
        lambda c: c.keys.delete(REF, KEY_ID, was_compromised=True, reason="leaked"),
        "DELETE /v1/projects/{ref}/api-keys/{id}",
    ),
    ("keys", "legacy_enabled"): (
        lambda c: c.keys.legacy_enabled(REF),
        "GET /v1/projects/{ref}/api-keys/legacy",
    ),
    ("keys", "enable_legacy"): (
        lambda c: c.keys.enable_legacy(REF, enabled=False),
        "PUT /v1/projects/{ref}/api-keys/legacy",
    ),
    ("database", "query"): (
        lambda c: c.database.query(REF, "select $1", ["a"]),
        "POST /v1/projects/{ref}/database/query",
    ),
    ("database", "read_only_query"): (
        lambda c: c.database.read_only_query(REF, "select 1"),
        "POST /v1/projects/{ref}/database/query/read-only",
    ),
    ("database", "set_password"): (
        lambda c: c.database.set_password(REF, "canary-password"),
        "PATCH /v1/projects/{ref}/database/password",
    ),
    ("database", "temporary_login"): (
        lambda c: c.database.temporary_login(REF, read_only=True),
        "POST /v1/projects/{ref}/cli/login-role",
    ),
    ("database", "end_temporary_logins"): (
        lambda c: c.database.end_temporary_logins(REF),
        "DELETE /v1/projects/{ref}/cli/login-role",
    ),
    ("functions", "all"): (lambda c: c.functions.all(REF), "GET /v1/projects/{ref}/functions"),
    ("functions", "get"): (
        lambda c: c.functions.get(REF, "hello"),
        "GET /v1/projects/{ref}/functions/{function_slug}",
    ),
    ("functions", "files"): (
        lambda c: c.functions.files(REF, "hello"),
        "GET /v1/projects/{ref}/functions/{function_slug}/body",
    ),
    ("functions", "deploy"): (
        lambda c: c.functions.deploy(REF, BUNDLE),
        "POST /v1/projects/{ref}/functions/deploy",
    ),
    ("functions", "delete"): (
        lambda c: c.functions.delete(REF, "hello"),
        "DELETE /v1/projects/{ref}/functions/{function_slug}",
    ),
    ("function_secrets", "digests"): (
        lambda c: c.function_secrets.digests(REF),
        "GET /v1/projects/{ref}/secrets",
    ),
    ("function_secrets", "put"): (
        lambda c: c.function_secrets.put(REF, {"MAIL_KEY": "canary-mail"}),
        "POST /v1/projects/{ref}/secrets",
    ),
    ("function_secrets", "delete"): (
        lambda c: c.function_secrets.delete(REF, ["MAIL_KEY"]),
        "DELETE /v1/projects/{ref}/secrets",
    ),
    ("signing_keys", "all"): (
        lambda c: c.signing_keys.all(REF),
        "GET /v1/projects/{ref}/config/auth/signing-keys",
    ),
    ("signing_keys", "get"): (
        lambda c: c.signing_keys.get(REF, KEY_ID),
        "GET /v1/projects/{ref}/config/auth/signing-keys/{id}",
    ),
    ("signing_keys", "create"): (
        lambda c: c.signing_keys.create(REF, "HS256", {"kty": "oct", "k": "canary-jwk-secret"}),
        "POST /v1/projects/{ref}/config/auth/signing-keys",
    ),
    ("signing_keys", "change"): (
        lambda c: c.signing_keys.change(REF, KEY_ID, "in_use"),
        "PATCH /v1/projects/{ref}/config/auth/signing-keys/{id}",
    ),
    ("signing_keys", "delete"): (
        lambda c: c.signing_keys.delete(REF, KEY_ID),
        "DELETE /v1/projects/{ref}/config/auth/signing-keys/{id}",
    ),
    ("signing_keys", "legacy"): (
        lambda c: c.signing_keys.legacy(REF),
        "GET /v1/projects/{ref}/config/auth/signing-keys/legacy",
    ),
    ("signing_keys", "take_over_legacy"): (
        lambda c: c.signing_keys.take_over_legacy(REF),
        "POST /v1/projects/{ref}/config/auth/signing-keys/legacy",
    ),
    ("third_parties", "all"): (
        lambda c: c.third_parties.all(REF),
        "GET /v1/projects/{ref}/config/auth/third-party-auth",
    ),
    ("third_parties", "find"): (
        lambda c: c.third_parties.find(REF, {"jwks_url": "https://a.test"}),
        "GET /v1/projects/{ref}/config/auth/third-party-auth",
    ),
    ("third_parties", "create"): (
        lambda c: c.third_parties.create(REF, {"oidc_issuer_url": "https://a.test"}),
        "POST /v1/projects/{ref}/config/auth/third-party-auth",
    ),
    ("third_parties", "delete"): (
        lambda c: c.third_parties.delete(REF, KEY_ID),
        "DELETE /v1/projects/{ref}/config/auth/third-party-auth/{tpa_id}",
    ),
    ("addons", "all"): (lambda c: c.addons.all(REF), "GET /v1/projects/{ref}/billing/addons"),
    ("addons", "apply"): (
        lambda c: c.addons.apply(REF, "pitr", "pitr_7"),
        "PATCH /v1/projects/{ref}/billing/addons",
    ),
    ("addons", "remove"): (
        lambda c: c.addons.remove(REF, "pitr_7"),
        "DELETE /v1/projects/{ref}/billing/addons/{addon_variant}",
    ),
    ("hostnames", "get"): (lambda c: c.hostnames.get(REF), "GET /v1/projects/{ref}/custom-hostname"),
    ("hostnames", "claim"): (
        lambda c: c.hostnames.claim(REF, "api.acme.test"),
        "POST /v1/projects/{ref}/custom-hostname/initialize",
    ),
    ("hostnames", "verify"): (
        lambda c: c.hostnames.verify(REF),
        "POST /v1/projects/{ref}/custom-hostname/reverify",
    ),
    ("hostnames", "activate"): (
        lambda c: c.hostnames.activate(REF),
        "POST /v1/projects/{ref}/custom-hostname/activate",
    ),
    ("hostnames", "delete"): (lambda c: c.hostnames.delete(REF), "DELETE /v1/projects/{ref}/custom-hostname"),
    ("backups", "all"): (lambda c: c.backups.all(REF), "GET /v1/projects/{ref}/database/backups"),
    ("backups", "restore_to"): (
        lambda c: c.backups.restore_to(REF, datetime(2026, 11, 21, tzinfo=UTC)),
        "POST /v1/projects/{ref}/database/backups/restore-pitr",
    ),
    ("backups", "restore_point"): (
        lambda c: c.backups.restore_point(REF, "prod-014"),
        "GET /v1/projects/{ref}/database/backups/restore-point",
    ),
    ("backups", "make_restore_point"): (
        lambda c: c.backups.make_restore_point(REF, "prod-014"),
        "POST /v1/projects/{ref}/database/backups/restore-point",
    ),
    ("backups", "schedule"): (
        lambda c: c.backups.schedule(REF),
        "GET /v1/projects/{ref}/database/backups/schedule",
    ),
    ("backups", "set_schedule"): (
        lambda c: c.backups.set_schedule(REF, "03:00"),
        "PATCH /v1/projects/{ref}/database/backups/schedule",
    ),
    ("buckets", "all"): (lambda c: c.buckets.all(REF), "GET /v1/projects/{ref}/storage/buckets"),
}
