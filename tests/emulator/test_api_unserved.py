"""What of the published contracts the stand-in does not serve, by name, and why."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.fix_contract import DOCUMENT
from tests.fix_operations import NEWER as NEWER_CONTRACT
from tests.served_routes import served

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator

BRANCH = "branches are records here, without a database that could be compared, merged or reset"
OAUTH = "for applications that act for other people; the product has a token of its own"
CLAIM = "internal: a project that changes its owner by a link of the platform's pages"
ACTIONS = "runs of the platform's own deployments from GitHub; deployments are the product's own update"
LOGS = "the platform's store of logs; the stand-in's log is its standard error"
METRICS = "the platform's metrics of its machines"
JIT = "access of people for some hours, which the platform's login server grants"
RESTORE = "internal; the stand-in makes no backups that could be restored"
REPLICA = "there is one server for each project"
SNIPPETS = "saved queries of the platform's pages; nothing of a product depends on them"
OPENAPI = "PostgREST's own description is served at the project's URL, at /rest/v1/"
WEBHOOKS = "made by hand in the platform's pages; the product's jobs call out with pg_net"
REVIEW = "approves what another person asked for; here every change is applied at once"
MEMBERS = "people and their roles are managed by people, on the platform's pages"
GITHUB = "connections of the platform with GitHub"
MAINTENANCE = "the platform's maintenance windows: the stand-in has none"
EVENTS = "webhooks of the platform's own events"
DRAINS = "logs sent to other services; see the logs"
COMPUTE = "the platform's own containers beside a project; agent and app run as services of the product"
NOTEBOOKS = "notebooks of the platform's pages"
LINKS = "private links into an account of AWS"
TRANSFERS = "moves a project to another organization"
NEWER = "the second version of a route that is served in its first one"

_ACCOUNT = "DELETE /v2/projects/{ref}/private-link/associations/aws-account/{aws_account_id}"
_BY_REASON: dict[str, tuple[str, ...]] = {
    BRANCH: (
        "GET /v1/branches/{branch_id_or_ref}/diff",
        "POST /v1/branches/{branch_id_or_ref}/merge",
        "POST /v1/branches/{branch_id_or_ref}/push",
        "POST /v1/branches/{branch_id_or_ref}/reset",
        "POST /v1/branches/{branch_id_or_ref}/restore",
    ),
    OAUTH: (
        "GET /v1/oauth/authorize",
        "GET /v1/oauth/authorize/project-claim",
        "POST /v1/oauth/revoke",
        "POST /v1/oauth/token",
    ),
    CLAIM: (
        "GET /v1/organizations/{slug}/project-claim/{token}",
        "POST /v1/organizations/{slug}/project-claim/{token}",
        "DELETE /v1/projects/{ref}/claim-token",
        "GET /v1/projects/{ref}/claim-token",
        "POST /v1/projects/{ref}/claim-token",
    ),
    ACTIONS: (
        "GET /v1/projects/{ref}/actions",
        "HEAD /v1/projects/{ref}/actions",
        "GET /v1/projects/{ref}/actions/{run_id}",
        "GET /v1/projects/{ref}/actions/{run_id}/logs",
        "PATCH /v1/projects/{ref}/actions/{run_id}/status",
    ),
    LOGS: (
        "GET /v1/projects/{ref}/analytics/endpoints/logs",
        "GET /v1/projects/{ref}/analytics/endpoints/logs.all",
    ),
    METRICS: ("GET /v1/projects/{ref}/analytics/endpoints/metrics",),
    RESTORE: (
        "POST /v1/projects/{ref}/database/backups/restore",
        "POST /v1/projects/{ref}/database/backups/undo",
        "POST /v2/projects/{ref}/backups/download",
    ),
    JIT: (
        "GET /v1/projects/{ref}/database/jit",
        "POST /v1/projects/{ref}/database/jit",
        "PUT /v1/projects/{ref}/database/jit",
        "POST /v1/projects/{ref}/database/jit/invite",
        "POST /v1/projects/{ref}/database/jit/invite/accept",
        "DELETE /v1/projects/{ref}/database/jit/invite/{invite_id}",
        "GET /v1/projects/{ref}/database/jit/list",
        "DELETE /v1/projects/{ref}/database/jit/{user_id}",
        "GET /v1/projects/{ref}/jit-access",
        "PUT /v1/projects/{ref}/jit-access",
    ),
    OPENAPI: ("GET /v1/projects/{ref}/database/openapi",),
    WEBHOOKS: ("POST /v1/projects/{ref}/database/webhooks/enable",),
    REVIEW: ("POST /v1/projects/{ref}/network-restrictions/review",),
    REPLICA: (
        "POST /v1/projects/{ref}/read-replicas/remove",
        "POST /v1/projects/{ref}/read-replicas/setup",
    ),
    SNIPPETS: (
        "GET /v1/snippets",
        "GET /v1/snippets/{id}",
    ),
    GITHUB: ("GET /v2/organizations/{slug}/integrations/github/connections",),
    MAINTENANCE: ("GET /v2/organizations/{slug}/maintenance/windows",),
    MEMBERS: (
        "GET /v2/organizations/{slug}/members",
        "DELETE /v2/organizations/{slug}/members/invitations",
        "POST /v2/organizations/{slug}/members/invitations",
        "DELETE /v2/organizations/{slug}/members/{user_id}",
        "PATCH /v2/organizations/{slug}/members/{user_id}/roles",
        "GET /v2/organizations/{slug}/roles",
    ),
    NEWER: (
        "GET /v2/organizations/{slug}/projects",
        "POST /v2/projects/{ref}/branches",
    ),
    EVENTS: (
        "GET /v2/organizations/{slug}/webhooks/deliveries/{id}",
        "POST /v2/organizations/{slug}/webhooks/deliveries/{id}/retry",
        "DELETE /v2/organizations/{slug}/webhooks/endpoints",
        "GET /v2/organizations/{slug}/webhooks/endpoints",
        "POST /v2/organizations/{slug}/webhooks/endpoints",
        "DELETE /v2/organizations/{slug}/webhooks/endpoints/{id}",
        "GET /v2/organizations/{slug}/webhooks/endpoints/{id}",
        "PATCH /v2/organizations/{slug}/webhooks/endpoints/{id}",
        "GET /v2/organizations/{slug}/webhooks/endpoints/{id}/deliveries",
        "POST /v2/organizations/{slug}/webhooks/endpoints/{id}/test",
        "GET /v2/projects/{ref}/webhooks/deliveries/{id}",
        "POST /v2/projects/{ref}/webhooks/deliveries/{id}/retry",
        "DELETE /v2/projects/{ref}/webhooks/endpoints",
        "GET /v2/projects/{ref}/webhooks/endpoints",
        "POST /v2/projects/{ref}/webhooks/endpoints",
        "DELETE /v2/projects/{ref}/webhooks/endpoints/{id}",
        "GET /v2/projects/{ref}/webhooks/endpoints/{id}",
        "PATCH /v2/projects/{ref}/webhooks/endpoints/{id}",
        "GET /v2/projects/{ref}/webhooks/endpoints/{id}/deliveries",
        "POST /v2/projects/{ref}/webhooks/endpoints/{id}/test",
    ),
    DRAINS: (
        "GET /v2/projects/{ref}/analytics/log-drains",
        "POST /v2/projects/{ref}/analytics/log-drains",
        "DELETE /v2/projects/{ref}/analytics/log-drains/{id}",
        "PUT /v2/projects/{ref}/analytics/log-drains/{id}",
    ),
    COMPUTE: (
        "GET /v2/projects/{ref}/compute",
        "DELETE /v2/projects/{ref}/compute/{name}",
        "GET /v2/projects/{ref}/compute/{name}",
        "POST /v2/projects/{ref}/compute/{name}/deploy",
        "POST /v2/projects/{ref}/compute/{name}/uploads",
    ),
    NOTEBOOKS: (
        "GET /v2/projects/{ref}/notebooks",
        "POST /v2/projects/{ref}/notebooks",
        "DELETE /v2/projects/{ref}/notebooks/{id}",
        "GET /v2/projects/{ref}/notebooks/{id}",
        "PATCH /v2/projects/{ref}/notebooks/{id}",
    ),
    LINKS: (
        "GET /v2/projects/{ref}/private-link/associations",
        "POST /v2/projects/{ref}/private-link/associations",
        _ACCOUNT,
        f"{_ACCOUNT}/database/{{database_identifier}}",
    ),
    TRANSFERS: (
        "POST /v2/projects/{ref}/transfers",
        "POST /v2/projects/{ref}/transfers/previews",
    ),
}
UNSERVED = {operation: reason for reason, operations in _BY_REASON.items() for operation in operations}


def _nameless(operations: set[str]) -> set[str]:
    """Leave the names of placeholders out, which differ between the contracts."""
    return {re.sub(r"\{[^}]+\}", "{}", operation) for operation in operations}


def _published() -> set[str]:
    """List the operations of both contracts."""
    older = json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"]
    newer = json.loads(NEWER_CONTRACT.read_text(encoding="utf-8")).values()
    return {f"{method.upper()} {path}" for path, methods in older.items() for method in methods} | {
        f"{one['method']} {one['path']}" for one in newer
    }


def test_contracts_are_served_or_left_out_by_name() -> None:
    """Every operation of both contracts is served, or has a reason here; none has both."""
    every = _nameless(_published())

    assert _nameless(served()) | _nameless(set(UNSERVED)) == every
    assert _nameless(served()) & _nameless(set(UNSERVED)) == set()


@pytest.mark.parametrize("operation", sorted(UNSERVED))
def test_what_is_not_served_says_so(operation: str, emulator: Emulator) -> None:
    """A route that is left out answers 404 or 405 in the service's form, and nothing as if it had worked."""
    method, path = operation.split()
    answer = emulator.client.request(method, re.sub(r"\{[^}]+\}", "a" * 20, path), json={})

    assert answer.status_code in {404, 405}
    assert method == "HEAD" or answer.json()["message"].startswith(f"Cannot {method} ")
