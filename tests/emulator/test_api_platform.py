"""What the emulator does with settings and things that it keeps for the platform."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from emulator import p256
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    import httpx

    from tests.fix_emulator import Emulator, Project

DEPLOYED = {"id": "x", "slug": "none", "name": "none", "status": "ACTIVE", "version": 1}
EC_KEY = {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ", "d": "ZA"}
SIGNING = "config/auth/signing-keys"
POSTGRES = "config/database/postgres"


@pytest.fixture(scope="module")
def platform_project(emulator: Emulator) -> Project:
    """Make a project whose settings may change."""
    return emulator.create("platform")


def ask(project: Project, method: str, path: str, body: Any = None) -> httpx.Response:
    """Call a route of a project."""
    return project.emulator.client.request(method, f"{project.path}/{path}", json=body)


def test_parameter_takes_effect(platform_project: Project) -> None:
    """A parameter that needs no restart is set on the server, and taken back when it is left out."""

    def shown() -> str:
        with platform_project.connect() as session:
            row = session.execute("show statement_timeout").fetchone()
            assert row is not None
            return str(row[0])

    before = shown()
    ask(platform_project, "PUT", POSTGRES, {"statement_timeout": "77s"}).raise_for_status()
    during = shown()
    ask(platform_project, "PUT", POSTGRES, {"max_connections": 999}).raise_for_status()

    assert (during, shown()) == ("77s", before)
    assert ask(platform_project, "GET", POSTGRES).json() == {"max_connections": 999}


def test_parameter_that_postgres_refuses_is_not_kept(platform_project: Project) -> None:
    """PostgreSQL's own words are answered, and what was there stays."""
    ask(platform_project, "PUT", POSTGRES, {}).raise_for_status()

    answer = ask(platform_project, "PATCH", POSTGRES, {"work_mem": "a lot"})

    assert answer.status_code == 400
    assert 'invalid value for parameter "work_mem"' in answer.json()["message"]
    assert ask(platform_project, "GET", POSTGRES).json() == {}


def set_on_server(project: Project) -> dict[str, str]:
    """Give what was set on the project's server, in force or not."""
    with psycopg.connect(project.admin_dsn) as session:
        rows = session.execute(
            "select name, setting from pg_file_settings where sourcefile like '%/postgresql.auto.conf'"
        )
        return {name: value for name, value in rows if name != "extension_control_path"}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_refused_parameters_leave_nothing_half_done(method: str, platform_project: Project) -> None:
    """When PostgreSQL refuses one parameter, none of the others is set, and what was set stays."""
    before = {"statement_timeout": "55s", "checkpoint_timeout": "7min"}
    ask(platform_project, "PUT", POSTGRES, before).raise_for_status()
    good = {"statement_timeout": "66s", "log_lock_waits": True, "log_duration": True, "log_temp_files": "5MB"}

    answer = ask(
        platform_project, method, POSTGRES, {**good, "work_mem": "a lot", "wal_sender_timeout": "9s"}
    )

    assert answer.status_code == 400
    assert set_on_server(platform_project) == before
    assert ask(platform_project, "GET", POSTGRES).json() == before


def at_once(project: Project, path: str, bodies: list[dict[str, Any]]) -> None:
    """Send a PATCH with each body, all at the same time."""
    together = threading.Barrier(len(bodies), timeout=60)

    def change(body: dict[str, Any]) -> None:
        together.wait()
        ask(project, "PATCH", path, body).raise_for_status()

    with ThreadPoolExecutor(len(bodies)) as pool:
        list(pool.map(change, bodies))


def test_changes_of_parameters_at_once_lose_none(platform_project: Project) -> None:
    """Each PATCH leaves what the others, at the same time, set."""
    ask(platform_project, "PUT", POSTGRES, {}).raise_for_status()
    names = ("log_checkpoints", "log_duration", "log_lock_waits", "log_replication_commands")
    wanted = {
        **dict.fromkeys(names, True),
        "statement_timeout": "44s",
        "work_mem": "5MB",
        "max_wal_size": "2GB",
    }

    at_once(platform_project, POSTGRES, [{name: value} for name, value in wanted.items()])

    assert ask(platform_project, "GET", POSTGRES).json() == wanted
    assert set_on_server(platform_project).keys() == wanted.keys()
    ask(platform_project, "PUT", POSTGRES, {}).raise_for_status()


def test_networks_added_at_once_are_all_there(platform_project: Project) -> None:
    """Each PATCH leaves what the others, at the same time, added."""
    ask(platform_project, "POST", "network-restrictions/apply", {}).raise_for_status()
    wanted = [f"203.0.113.{number}/32" for number in range(12)]

    at_once(platform_project, "network-restrictions", [{"add": {"dbAllowedCidrs": [one]}} for one in wanted])

    found = ask(platform_project, "GET", "network-restrictions").json()["config"]["dbAllowedCidrs"]
    assert sorted(found) == sorted(wanted)


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("PUT", POSTGRES, {"statement_timeout": "soon"}, "body.statement_timeout: "),
        ("PUT", "ssl-enforcement", {"requestedConfig": {}}, "body.requestedConfig.database: "),
        ("POST", "network-restrictions/apply", {"dbAllowedCidrs": ["everywhere"]}, "body.dbAllowedCidrs.0: "),
        ("PATCH", "config/storage", {"fileSize": 1}, "body.fileSize: "),
        ("PATCH", "config/storage", {"features": {"icebergCatalog": {"enabled": True}}}, "maxNamespaces"),
        ("PATCH", "config/realtime", {"connection_pool": 0}, "body.connection_pool: "),
        ("POST", SIGNING, {"algorithm": "none"}, "body.algorithm: "),
        ("POST", SIGNING, {"algorithm": "RS256", "private_jwk": EC_KEY}, "is no key for RS256"),
        ("POST", SIGNING, {"algorithm": "ES256", "private_jwk": {"kty": "EC"}}, "private_jwk.EC.crv"),
        ("POST", "config/auth/third-party-auth", {}, "Exactly one of"),
        (
            "PATCH",
            "billing/addons",
            {"addon_type": "pitr", "addon_variant": "pitr_1"},
            "is no variant of pitr",
        ),
        ("DELETE", "billing/addons/pitr_28", None, "no add-on pitr_28"),
        ("PATCH", "database/backups/schedule", {"schedule_for": "25:00"}, "Invalid schedule_for format"),
        (
            "POST",
            "database/backups/restore-pitr",
            {"recovery_time_target_unix": 1},
            "PITR is not enabled for",
        ),
        ("GET", "custom-hostname", None, "Please enable the Custom Domain add-on"),
        ("GET", "functions/none", None, "Function not found"),
        ("POST", "upgrade", {"target_version": "19"}, "There is no version 19 to upgrade to"),
        ("POST", "restore/cancel", None, "this needs RESTORING"),
        ("GET", "database/migrations/1", None, "Migration not found"),
        ("POST", "database/migrations", {"query": "select 1/0"}, "22012: division by zero"),
        ("PUT", "pgsodium", {"root_key": "short"}, "Expected a 32 byte secret"),
        ("GET", "config/auth/sso/providers", None, "SAML 2.0 support is not enabled for this project"),
        ("POST", "vanity-subdomain/activate", {"vanity_subdomain": "-a"}, "is no subdomain"),
        ("POST", "vanity-subdomain/activate", {"vanity_subdomain": "api"}, "is not available"),
        ("DELETE", "network-bans", {"ipv4_addresses": ["nobody"]}, "ipv4_addresses.0"),
        ("GET", "branches/none", None, "Branch not found"),
        ("PUT", "functions", [DEPLOYED], "There is no deployment of the function none"),
        (
            "POST",
            "config/disk",
            {"attributes": {"type": "gp3", "size_gb": 1, "iops": 3000}},
            "cannot get smaller",
        ),
        ("GET", f"{SIGNING}/legacy", None, "Legacy signing key not found"),
    ],
)
def test_refusals_say_why(method: str, path: str, body: Any, said: str, platform_project: Project) -> None:
    """What cannot be done is refused with 400 or 404 and the reason."""
    answer = ask(platform_project, method, path, body)

    assert answer.status_code in {400, 404}
    assert said in answer.json()["message"]


def test_states_of_signing_keys_keep_their_order(platform_project: Project) -> None:
    """One key is in use; it cannot be revoked before another one is; only a revoked one can be deleted."""
    first = ask(platform_project, "POST", SIGNING, {"algorithm": "HS256", "status": "in_use"}).json()["id"]
    early = ask(platform_project, "PATCH", f"{SIGNING}/{first}", {"status": "revoked"})
    second = ask(platform_project, "POST", SIGNING, {"algorithm": "HS256", "status": "in_use"}).json()["id"]
    states = {key["id"]: key["status"] for key in ask(platform_project, "GET", SIGNING).json()["keys"]}
    deleted = ask(platform_project, "DELETE", f"{SIGNING}/{first}")

    assert early.status_code == 400
    assert "in_use cannot become revoked" in early.json()["message"]
    assert (states[first], states[second]) == ("previously_used", "in_use")
    assert "Only a revoked key can be deleted" in deleted.json()["message"]


def test_private_key_is_not_kept(platform_project: Project) -> None:
    """Of a key that was sent, the public half is answered and the private one is nowhere."""
    key = {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ", "d": "canary-private"}
    answer = ask(platform_project, "POST", SIGNING, {"algorithm": "ES256", "private_jwk": key})
    kept = "".join(file.read_text() for file in (platform_project.emulator.data / "state").iterdir())

    assert answer.json()["public_jwk"] == {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ"}
    assert "canary-private" not in kept


def test_networks_are_added_and_removed(platform_project: Project) -> None:
    """PATCH changes the lists by member, and answers them as one."""
    path = "network-restrictions"
    both = {"dbAllowedCidrs": ["198.51.100.0/24"], "dbAllowedCidrsV6": ["2001:db8::/32"]}
    ask(platform_project, "POST", f"{path}/apply", both).raise_for_status()
    change = {
        "add": {"dbAllowedCidrs": ["203.0.113.0/24"]},
        "remove": {"dbAllowedCidrsV6": ["2001:db8::/32"]},
    }
    changed = ask(platform_project, "PATCH", path, change).json()

    assert changed["config"]["dbAllowedCidrs"] == [
        {"address": "198.51.100.0/24", "type": "v4"},
        {"address": "203.0.113.0/24", "type": "v4"},
    ]
    assert ask(platform_project, "GET", path).json()["config"]["dbAllowedCidrsV6"] == []


def test_one_feature_of_storage_leaves_the_others(platform_project: Project) -> None:
    """A feature is changed as a whole; the others stay."""
    before = ask(platform_project, "GET", "config/storage").json()["features"]
    change = {"features": {"vectorBuckets": {"enabled": True, "maxBuckets": 3, "maxIndexes": 4}}}
    ask(platform_project, "PATCH", "config/storage", change).raise_for_status()

    assert ask(platform_project, "GET", "config/storage").json()["features"] == {
        **before,
        **change["features"],
    }


def test_buckets_are_the_database_s(platform_project: Project) -> None:
    """A bucket that is in the database is listed."""
    platform_project.sql(
        "insert into storage.buckets (id, name, public) values ('pictures', 'pictures', true)"
    )
    (bucket,) = ask(platform_project, "GET", "storage/buckets").json()

    assert (bucket["id"], bucket["public"]) == ("pictures", True)


def test_login_roles_are_ended(platform_project: Project) -> None:
    """The logins that were made are gone, and their sessions with them."""
    made = ask(platform_project, "POST", "cli/login-role", {"read_only": True}).json()
    dsn = platform_project.login(made["role"], made["password"])
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("select 1")
        ask(platform_project, "DELETE", "cli/login-role").raise_for_status()
        # pg_terminate_backend only asks: the server's answer to the next statement tells when it was heard.
        ended = wait_until(lambda: _said_at_end(session), "the session to be ended")
    rows = platform_project.sql("select rolname from pg_roles where rolname like 'cli\\_login%'")

    assert made["role"].startswith("cli_login_")
    assert rows == []
    assert "terminating connection due to administrator command" in ended
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn)


def _said_at_end(session: psycopg.Connection) -> str:
    try:
        session.execute("select 1")
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def test_function_without_its_entrypoint_is_refused(platform_project: Project) -> None:
    """A deployment that does not hold what it starts with is refused."""
    answer = platform_project.emulator.client.post(
        f"{platform_project.path}/functions/deploy",
        params={"slug": "broken"},
        files=[("file", ("a.ts", b"1"))],
        data={"metadata": '{"entrypoint_path": "b.ts"}'},
    )

    assert answer.status_code == 400
    assert "Entrypoint path does not exist: b.ts" in answer.json()["message"]


def test_made_keys_lie_on_the_curve() -> None:
    """A public key fits the equation of P-256, and those of RFC 6979's example."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    coefficient = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    private = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    x, y = p256.public_point(private)

    assert (y * y - x**3 + 3 * x - coefficient) % prime == 0
    assert base64.b16encode(x.to_bytes(32, "big")).startswith(b"60FED4BA255A9D31C961EB74C6356D68")


def test_whole_configuration_is_that_of_the_sections(platform_project: Project) -> None:
    """The one answer of the second version says what the single ones say, in its own spelling."""
    ask(platform_project, "PUT", POSTGRES, {"pg_net.batch_size": 9}).raise_for_status()
    ask(platform_project, "PATCH", "config/storage", {"fileSizeLimit": 4321}).raise_for_status()
    ask(
        platform_project, "POST", "network-restrictions/apply", {"dbAllowedCidrsV6": ["::/0"]}
    ).raise_for_status()
    path = f"/v2/projects/{platform_project.ref}/config"
    found = platform_project.emulator.client.get(path).raise_for_status().json()["data"]["attributes"]

    assert found["database"]["postgres_settings"] == {"pg_net_batch_size": 9}
    assert found["storage"]["file_size_limit"] == 4321
    assert found["storage"]["features"]["iceberg_catalog"]["max_tables"] == 0
    assert found["database"]["network_restrictions"]["allowed_cidrs"] == [{"address": "::/0", "type": "v6"}]
    assert found["auth"] == ask(platform_project, "GET", "config/auth").json()
    assert found["api"]["max_rows"] == ask(platform_project, "GET", "postgrest").json()["max_rows"]


def test_restore_points_at_once_lose_none(platform_project: Project) -> None:
    """Of one name, one is made; of several names, all are there."""
    path = "database/backups/restore-point"
    names = [f"at-once-{number}" for number in range(6)] + ["the-same"] * 6
    together = threading.Barrier(len(names), timeout=60)

    def make(name: str) -> int:
        together.wait()
        return ask(platform_project, "POST", path, {"name": name}).status_code

    with ThreadPoolExecutor(len(names)) as pool:
        statuses = list(pool.map(make, names))
    found = [ask(platform_project, "GET", f"{path}?name={name}").status_code for name in set(names)]

    assert sorted(statuses) == [201] * 7 + [400] * 5
    assert set(found) == {200}
