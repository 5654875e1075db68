"""The whole program with every setting of the platform switched on, from the staging and prod files."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from pulumi import automation as auto

from tests.fix_emulator import Emulator
from tests.up.fix_cloud import CANARY, Cloud, adopt, open_cloud, opening, plain_state, words, written_words
from tests.up.fix_local import exported, pulumi, resource

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

# One field of each resource, its new value, and what a preview has to show as changed for it.
CHANGES = {
    "supabase-auth": ("auth.jwt_exp", "1800", "jwt_exp"),
    "supabase-postgrest": ("postgrest.max_rows", "900", "max_rows"),
    "supabase-postgres": ("postgres.statement_timeout", "45s", "statement_timeout"),
    "supabase-pooler": ("pooler.default_pool_size", "21", "default_pool_size"),
    "supabase-storage": ("storage.fileSizeLimit", "52428801", "fileSizeLimit"),
    "supabase-realtime": ("realtime.max_concurrent_users", "301", "max_concurrent_users"),
    "supabase-ssl": ("ssl.database", "false", "database"),
    "supabase-network": ("network.dbAllowedCidrs[0]", "10.0.0.0/8", "dbAllowedCidrs"),
    "supabase-addons": ("addons.pitr", "pitr_7", "addons"),
    "supabase-function-secrets": ("function_secrets.MAIL_TOKEN", "other", "fingerprints"),
    "supabase-function-hello": ("functions.hello.verify_jwt", "false", "verify_jwt"),
    "supabase-bucket-avatars": ("buckets.avatars.public", "false", "public"),
    "supabase-api-key-nightly_jobs": ("api_keys.nightly_jobs.description", "other jobs", "description"),
    "supabase-api-key-nightly_jobs_v2": ("api_keys.nightly_jobs.description", "other jobs", "description"),
    "supabase-signing-keys": ("signing_keys.second.status", "revoked", "keys"),
    "supabase-third-party-corporate": (
        "third_party.corporate.oidc_issuer_url",
        "https://b.example",
        "oidc_issuer_url",
    ),
    "supabase-hostname": ("custom_hostname", "b.example.com", "hostname"),
}
# What somebody changes by hand, and what a refresh has to show of it.
DRIFT = {
    "supabase-auth": (
        "PATCH",
        "/config/auth",
        {"jwt_exp": 7200, "smtp_pass": "x"},
        {"jwt_exp", "fingerprints"},
    ),
    "supabase-postgrest": ("PATCH", "/postgrest", {"max_rows": 7}, {"max_rows"}),
    "supabase-realtime": ("PATCH", "/config/realtime", {"max_concurrent_users": 7}, {"max_concurrent_users"}),
}


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Emulator]:
    """Run a stand-in that counts requests, and never refuses one."""
    with tempfile.TemporaryDirectory(prefix="gw-cloud-") as home:
        running = Emulator(Path(home) / "data", arguments=("--rate-limit", "100000"))
        running.start()
        yield running
        running.dispose()


@pytest.fixture(scope="module")
def staging(stand_in: Emulator) -> Iterator[Cloud]:
    """Bring the staging stack up; its file says that the project goes with it."""
    cloud = open_cloud("staging", stand_in)
    with contextlib.ExitStack() as after:
        after.callback(cloud.program.clean)
        cloud.program.up()
        ref = cloud.ref
        yield cloud
    assert stand_in.status(ref) in {"GONE", "GOING_DOWN", "REMOVED"}


def test_a_second_preview_and_a_refresh_show_nothing(staging: Cloud) -> None:
    """What an update wrote is what the platform shows, field by field."""
    staging.program.preview()
    assert staging.program.changed() == {}

    assert staging.refresh() == {}

    staging.program.preview()
    assert staging.program.changed() == {}


def test_edge_functions_are_told_a_rotated_secret_behind_the_gate(staging: Cloud) -> None:
    """The agent accepts the new version before a function presents it; the proof names what they hold."""
    before = staging.program.outputs()["parity"]["agent_shared_secret"]
    staging.program.set("secrets.agent_shared_secret.version", "2")
    staging.program.set("supabase.api_keys.nightly_jobs.version", "2")
    staging.program.up()
    steps = [one.resource_pre_event.metadata for one in staging.program.events if one.resource_pre_event]
    order = [one.urn.split("::")[-1] for one in steps if one.op != auto.OpType.SAME]
    keys = {one["name"] for one in staging.api("GET", "/api-keys").json()}

    assert before == {"agent": "1", "app": "1", "cron": "1", "functions.AGENT_TOKEN": "1"}
    assert staging.program.outputs()["parity"]["agent_shared_secret"] == {
        "agent": "2, 1",
        "app": "2",
        "cron": "2",
        "functions.AGENT_TOKEN": "2",
    }
    assert order.index("health-gate") < order.index("supabase-linked-function-secrets")
    assert "supabase-function-secrets" not in order
    assert keys >= {"nightly_jobs", "nightly_jobs_v2"}
    staging.program.preview()
    assert staging.program.changed() == {}


def test_a_preview_shows_the_changed_fields_and_no_others(staging: Cloud) -> None:
    """A change of one field in each resource shows in exactly these resources as exactly these fields."""
    file = staging.program.folder / "Pulumi.staging.yaml"
    before = file.read_text()
    for path, value, _ in CHANGES.values():
        given = auto.ConfigValue(value, secret=path.startswith("function_secrets."))
        staging.program.stack.set_config(f"groundwork:supabase.{path}", given, path=True)
    try:
        staging.program.preview()
    finally:
        file.write_text(before)

    assert staging.differences() == {name: {shown} for name, (_, _, shown) in CHANGES.items()}


def test_drift_is_shown_by_field_and_repaired(staging: Cloud) -> None:
    """What somebody changed by hand is named by a preview, shown by a refresh, and put back by an update."""
    for method, path, body, _ in DRIFT.values():
        staging.api(method, path, json=body)

    said = staging.program.preview().stdout
    assert "drift: auth.jwt_exp is 7200 on the platform, 3600 here" in said
    assert staging.program.changed().keys() == DRIFT.keys()

    assert staging.refresh() == {name: shown for name, (_, _, _, shown) in DRIFT.items()}
    staging.program.preview()
    assert staging.differences() == {name: shown for name, (_, _, _, shown) in DRIFT.items()}

    staging.program.up()
    assert staging.api("GET", "/config/auth").json()["jwt_exp"] == 3600
    staging.program.preview()
    assert staging.program.changed() == {}


def test_an_adopted_project_has_nothing_to_change(staging: Cloud) -> None:
    """The first preview of a stack file that was made of a live project finds no difference in it."""
    program = adopt(staging)

    said = program.preview().stdout

    assert "drift: " not in said
    assert "pending: " not in said
    assert "the database is not reachable yet" not in said


def test_ten_projects_stay_within_the_rate_limit(staging: Cloud) -> None:
    """An update without changes, with everything on, needs at most a tenth of a minute's 120 requests."""
    assert staging.requests_of(staging.program.up) <= 12


def test_no_secret_is_in_the_state_or_on_the_screen(staging: Cloud) -> None:
    """Secret settings are nowhere in plain: not in the state, its history and backups, nor in a preview."""
    shown = staging.program.preview(diff=True).stdout

    assert CANARY not in plain_state(staging.program) + shown


def test_nothing_that_is_kept_opens_the_database_as_its_owner(staging: Cloud) -> None:
    """Nobody knows the owner's password: no text of state or logs is it; services have their own logins."""
    url = staging.program.outputs()["database_url"]
    state = exported(staging.program)
    kept = words(state["deployment"]) | written_words(staging.program)
    own = [url for url in kept if url.startswith("postgresql://") and "_a:" in url]
    known = {resource(state, "database_password")["outputs"]["current"]["plaintext"].strip('"')}

    assert ":" not in url.removeprefix("postgresql://").split("@")[0]
    assert known <= kept
    assert opening(url, kept) == []
    assert {_user(dsn) for dsn in own} == {"app_a", "agent_a"}


def test_keys_and_logins_are_in_no_state_in_plain(staging: Cloud) -> None:
    """What opens the platform or the database is encrypted, after an update and after a refresh."""
    staging.refresh()
    found = exported(staging.program)
    project = resource(found, "supabase-project")["outputs"]
    hidden = [
        project["service_role_key"],
        project["secret_key"],
        resource(found, "app-login")["outputs"]["url"],
    ]
    kept = plain_state(staging.program)

    assert staging.emulator.token not in kept
    assert not [one for one in hidden if one["plaintext"].strip('"') in kept]


def _user(dsn: str) -> str:
    with psycopg.connect(dsn) as session:
        return session.info.user


def test_prod_is_protected(stand_in: Emulator) -> None:
    """The prod file comes up, stays quiet, and its project outlives an attempt to destroy it."""
    cloud = open_cloud("prod", stand_in)
    try:
        cloud.program.up()
        ref = cloud.ref
        cloud.program.preview()
        assert cloud.program.changed() == {}
        with pytest.raises(auto.CommandError, match="protected"):
            cloud.program.stack.destroy()
        assert stand_in.status(ref) == "ACTIVE_HEALTHY"
    finally:
        pulumi(cloud.program, "state", "unprotect", "--all", "--yes")
        cloud.program.clean()
    assert stand_in.status(ref) == "ACTIVE_HEALTHY"
