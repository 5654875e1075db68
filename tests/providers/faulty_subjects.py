"""Everything that a stack may have of a project, and how to see what the platform has of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engines import logins, postgres, supabase, vault
from engines.supabase.policies import read_policies
from providers.addons import AddonsProvider
from providers.api_keys import ApiKeyProvider
from providers.buckets import BucketProvider
from providers.configuration import SupabaseSettingsProvider
from providers.database import LoginProvider, VaultSecretProvider
from providers.function_secrets import FunctionSecretsProvider
from providers.functions import EdgeFunctionProvider
from providers.hostname import CustomHostnameProvider
from providers.owner import OwnerPasswordProvider
from providers.signing_keys import SigningKeysProvider
from providers.supabase import SupabaseProjectProvider
from providers.third_party import ThirdPartyProvider
from tests.providers.fix_reach import reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fix_named import Driver

CANARY = "CANARY-fault-1f7"


@dataclass(frozen=True)
class Subject:
    """One resource of a stack.

    Attributes:
        name: what an error about it may be expected to say, beside the project's reference.
        provider: its provider.
        wanted, changed: its inputs before and after a change.
        live: what the platform has of its kind: all of it, without what differs from run to run.
            clear: removes what a stack made of it.
        common: inputs that do not change.
        found: more of them, which the project tells.
    """

    name: str
    provider: Any
    wanted: dict[str, Any]
    changed: dict[str, Any]
    live: Callable[[Driver], Any]
    clear: Callable[[Driver], Any]
    common: dict[str, Any] = field(default_factory=dict)
    found: Callable[[Driver], dict[str, Any]] = lambda _: {}

    def inputs(self, driver: Driver, fields: dict[str, Any], olds: dict[str, Any]) -> dict[str, Any]:
        """Give checked inputs, as an update gets them."""
        known = {**driver.props(), **self.found(driver)}
        reached = {name: value for name, value in known.items() if name not in driver.props()}
        return driver.checked(self.provider, olds, **reached, **self.common, **fields)


def _section(name: str, wanted: dict[str, Any], changed: dict[str, Any], fresh: dict[str, Any]) -> Subject:
    kind = supabase.SECTIONS[name]

    def live(driver: Driver) -> Any:
        return driver.client.configuration.read(driver.ref, kind).values()

    def clear(driver: Driver) -> None:
        drop = [] if fresh else list(wanted)
        driver.client.configuration.change(driver.ref, kind.of(fresh), drop=drop)

    ours = {"section": name, "fingerprint_key": "key", "restart": False}
    return Subject(name, SupabaseSettingsProvider(), wanted, changed, live, clear, ours)


def sections() -> list[Subject]:
    """Give the sections of the settings."""
    secret = {"smtp_pass": f"{CANARY}-a", "site_url": "https://a.example.com"}
    other = {"smtp_pass": f"{CANARY}-b", "site_url": "https://b.example.com"}
    fresh = {"smtp_pass": None, "site_url": "http://localhost:3000"}
    network, other_network = (
        {"dbAllowedCidrs": [one, "127.0.0.1/32"]} for one in ("10.0.0.0/8", "10.1.0.0/16")
    )
    return [
        _section("auth", secret, other, fresh),
        _section("postgrest", {"max_rows": 77}, {"max_rows": 78}, {"max_rows": 1000}),
        _section("postgres", {"statement_timeout": "30s"}, {"statement_timeout": "40s"}, {}),
        _section("pooler", {"default_pool_size": 21}, {"default_pool_size": 22}, {"default_pool_size": 15}),
        _section("storage", {"fileSizeLimit": 1000}, {"fileSizeLimit": 2000}, {"fileSizeLimit": 52_428_800}),
        _section("realtime", {"connection_pool": 5}, {"connection_pool": 6}, {"connection_pool": 2}),
        _section("ssl", {"database": True}, {"database": False}, {"database": False}),
        _section("network", network, other_network, {"dbAllowedCidrs": ["0.0.0.0/0"]}),
    ]


def named(folder: Path) -> list[Subject]:
    """Give the things that have a name; sources of functions are written below a folder."""
    for version in ("one", "two"):
        (folder / version).mkdir()
        (folder / version / "index.ts").write_text(version)
    return [
        _secrets(),
        _function(folder),
        _bucket(),
        _api_key(),
        _signing_keys(),
        _issuer(),
        _addons(),
        _hostname(),
    ]


# What does not change while these tests run is asked for without faults, once.
_REACHED: dict[str, dict[str, Any]] = {}


def _reached(driver: Driver) -> dict[str, Any]:
    if driver.ref not in _REACHED:
        _REACHED[driver.ref] = reach(driver.project)
    return _REACHED[driver.ref]


def inner() -> list[Subject]:
    """Give the project itself, and what is made inside of its database."""
    return [_project(), _owner(), _vault(), _login()]


def _project() -> Subject:
    def live(driver: Driver) -> Any:
        return sorted((one.ref, one.name, one.status) for one in driver.client.projects.all())

    made = {
        "organization_slug": "groundwork",
        "region": "us-east-1",
        "instance_size": "",
        "on_destroy": "keep",
    }
    common = {**made, "adopt": False, "database_password": "", "paused": False, "log_urn": ""}
    return Subject(
        "project",
        SupabaseProjectProvider(),
        {"project_name": "named"},
        {"project_name": "renamed"},
        live,
        lambda driver: driver.client.projects.rename(driver.ref, "named"),
        common,
        lambda driver: {"ref": driver.ref},
    )


def _owner() -> Subject:
    passwords = (f"{CANARY}-owner-a", f"{CANARY}-owner-b")

    def live(driver: Driver) -> Any:
        return [one for one in passwords if _opens(driver.project.login("postgres", one))]

    first, second = ({"password": one} for one in passwords)
    return Subject(
        "owner",
        OwnerPasswordProvider(),
        first,
        second,
        live,
        lambda driver: driver.client.database.set_password(driver.ref, driver.project.password),
        {"mode": "keep", "adopt": True, "log_urn": ""},
        _reached,
    )


def _opens(dsn: str) -> bool:
    try:
        postgres.connect(dsn).close()
    except postgres.LoginRefusedError:
        return False
    return True


def _vault() -> Subject:
    def live(driver: Driver) -> Any:
        return driver.project.sql("select name, decrypted_secret from vault.decrypted_secrets order by name")

    return Subject(
        "vault",
        VaultSecretProvider(),
        {"value": f"{CANARY}-vault-a"},
        {"value": f"{CANARY}-vault-b"},
        live,
        lambda driver: vault.drop_secret(driver.project.dsn, "faulty"),
        {"secret_name": "faulty", "description": ""},
        _reached,
    )


def _login() -> Subject:
    def live(driver: Driver) -> Any:
        query = "select rolname, rolcanlogin from pg_roles where rolname ~ '^shop' order by rolname"
        return driver.project.sql(query)

    def clear(driver: Driver) -> None:
        logins.drop_login(driver.project.dsn, "shop")
        group = "if to_regrole('shop_runtime') is null then create role shop_runtime nologin; end if"
        driver.project.sql(f"do 'begin {group.replace(chr(39), chr(39) * 2)}; end'")

    first, second = f"{CANARY}-login-a", f"{CANARY}-login-b"
    return Subject(
        "shop",
        LoginProvider(),
        {"version": 1, "passwords": {"1": first}},
        {"version": 2, "passwords": {"2": second, "1": first}},
        live,
        clear,
        {"role": "shop", "group": "shop_runtime", "schema": "001"},
        _reached,
    )


def _secrets() -> Subject:
    def clear(driver: Driver) -> None:
        driver.client.function_secrets.delete(driver.ref, ["MAIL", "CHAT"])

    wanted = {"MAIL": f"{CANARY}-a", "CHAT": f"{CANARY}-b"}
    return Subject(
        "function secrets",
        FunctionSecretsProvider(),
        {"values": wanted},
        {"values": {"MAIL": f"{CANARY}-c"}},
        lambda driver: driver.client.function_secrets.digests(driver.ref),
        clear,
        {"fingerprint_key": "key"},
    )


def _function(folder: Path) -> Subject:
    def live(driver: Driver) -> Any:
        found = driver.client.functions.all(driver.ref)
        return [
            (one.slug, one.verify_jwt, dict(driver.client.functions.files(driver.ref, one.slug)))
            for one in found
        ]

    return Subject(
        "hello",
        EdgeFunctionProvider(),
        {"dir": str(folder / "one"), "verify_jwt": True},
        {"dir": str(folder / "two"), "verify_jwt": False},
        live,
        lambda driver: driver.client.functions.delete(driver.ref, "hello"),
        {"slug": "hello", "entrypoint": "index.ts"},
    )


def _bucket() -> Subject:
    def live(driver: Driver) -> Any:
        query = "select id, public, file_size_limit, allowed_mime_types from storage.buckets order by id"
        return driver.project.sql(query), read_policies(driver.client, driver.ref)

    def clear(driver: Driver) -> None:
        driver.project.sql(
            "set local storage.allow_delete_query = 'true'; delete from storage.buckets where id = 'faulty';"
            "drop policy if exists own on storage.objects; drop policy if exists other on storage.objects"
        )

    own = {"command": "select", "roles": ["authenticated"], "using": "owner = auth.uid()"}
    return Subject(
        "faulty",
        BucketProvider(),
        {"file_size_limit": 1000, "policies": {"own": own, "other": {**own, "command": "delete"}}},
        {"file_size_limit": 2000, "policies": {"own": {**own, "using": "true"}}},
        live,
        clear,
        {"bucket": "faulty", "public": False, "allowed_mime_types": ["image/png"]},
    )


def _api_key() -> Subject:
    def live(driver: Driver) -> Any:
        return sorted(
            (str(one.type), one.name, one.description) for one in driver.client.keys.all(driver.ref)
        )

    def clear(driver: Driver) -> None:
        for one in driver.client.keys.all(driver.ref):
            if one.name == "for_faults":
                driver.client.keys.delete(driver.ref, str(one.id))

    common = {"key_name": "for_faults", "key_type": "secret"}
    texts = ({"description": "one"}, {"description": "two"})
    return Subject("for_faults", ApiKeyProvider(), *texts, live, clear, common)


def _signing_keys() -> Subject:
    def live(driver: Driver) -> Any:
        return sorted((one.algorithm, one.status) for one in driver.client.signing_keys.all(driver.ref))

    def clear(driver: Driver) -> None:
        for one in driver.client.signing_keys.all(driver.ref):
            driver.client.signing_keys.change(driver.ref, one.id, "revoked")
            driver.client.signing_keys.delete(driver.ref, one.id)

    es = {"algorithm": "ES256", "status": "standby"}
    wanted = {"keys": {"a": es}}
    changed = {"keys": {"a": {**es, "status": "revoked"}, "b": {**es, "algorithm": "HS256"}}}
    return Subject("signing key", SigningKeysProvider(), wanted, changed, live, clear)


def _issuer() -> Subject:
    def live(driver: Driver) -> Any:
        return [one.source() for one in driver.client.third_parties.all(driver.ref)]

    def clear(driver: Driver) -> None:
        for one in driver.client.third_parties.all(driver.ref):
            driver.client.third_parties.delete(driver.ref, one.id)

    source = {"issuer_name": "corp", "oidc_issuer_url": "https://issuer.example.com"}
    return Subject("issuer", ThirdPartyProvider(), source, source, live, clear)


def _addons() -> Subject:
    def live(driver: Driver) -> Any:
        return {one.type: one.variant for one in driver.client.addons.all(driver.ref).selected}

    def clear(driver: Driver) -> None:
        for variant in {live(driver).get(kind) for kind in ("pitr", "ipv4")} - {None}:
            driver.client.addons.remove(driver.ref, str(variant))

    wanted = {"addons": {"pitr": "pitr_7", "ipv4": ""}}
    changed = {"addons": {"pitr": "pitr_14", "ipv4": "ipv4_default"}}
    return Subject("add-on", AddonsProvider(), wanted, changed, live, clear)


def _hostname() -> Subject:
    def live(driver: Driver) -> Any:
        found = driver.client.hostnames.get(driver.ref)
        return found and (found.custom_hostname, found.status)

    name = {"hostname": "api.example.com"}
    clear = lambda driver: driver.client.hostnames.delete(driver.ref)  # noqa: E731 - one line
    return Subject("host name", CustomHostnameProvider(), name, name, live, clear)
