"""A project that has something of everything, and somebody who adopts it."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from engines import supabase
from providers import _cloud
from providers.addons import AddonsProvider
from providers.api_keys import ApiKeyProvider
from providers.buckets import BucketProvider
from providers.configuration import SupabaseSettingsProvider
from providers.functions import EdgeFunctionProvider
from providers.hostname import CustomHostnameProvider
from providers.owner import OwnerPasswordProvider
from providers.signing_keys import SigningKeysProvider
from providers.supabase import SupabaseProjectProvider
from providers.third_party import ThirdPartyProvider
from tests.providers.fix_reach import reach as database
from tests.settings.reading import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines.supabase import ManagementClient
    from providers._crud import EngineProvider
    from settings import Settings
    from tests.fix_emulator import Emulator, Project

ROOT = Path(__file__).parents[2]
WRITES = "PUT|PATCH|DELETE|POST"
# Reading SQL is a POST that changes nothing.
CHANGING = r"(?!.*/database/query/read-only).*/v1/.*"
SQL = """
    insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
    values ('avatars', 'avatars', true, 5000000, '{image/png}');
    create policy "own files" on storage.objects for select to authenticated
        using (bucket_id = 'avatars' and owner = auth.uid());
    create policy "change" on storage.objects for update to authenticated, service_role
        using (owner = auth.uid() and bucket_id = 'avatars' and metadata is not null)
        with check (bucket_id = 'avatars');
    create policy "upload" on storage.objects for insert with check (bucket_id = 'avatars');
    create policy "staff" on storage.objects for all to service_role using (bucket_id in ('avatars', 'x'));
    create schema billing;
    create table billing.invoices (id int primary key);
    create table public.notes (id int primary key);
    alter table public.notes enable row level security;
    create role auditor;
    create extension pg_cron;
    select cron.schedule('nightly', '0 3 * * *', 'select ''canary-cron''');
    create schema supabase_migrations;
    create table supabase_migrations.schema_migrations
        (version text primary key, statements text[], name text);
    insert into supabase_migrations.schema_migrations values ('20260101000000', '{}', 'first');
"""


@dataclass(frozen=True)
class Ran:
    """What a run of the script left."""

    status: int
    out: str
    err: str


@dataclass
class User:
    """Somebody with a token, a folder and the script."""

    emulator: Emulator
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        """Give the command line."""
        where = ("--api-url", self.emulator.api_url, "--root", str(self.folder))
        return [str(ROOT / "scripts" / "adopt"), *arguments, *where]

    def adopt(self, *arguments: str) -> Ran:
        """Run the script."""
        ran = subprocess.run(
            self.command(*arguments), env=self.env, capture_output=True, text=True, check=False
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    @property
    def env(self) -> dict[str, str]:
        """Its environment."""
        return {**os.environ, "SUPABASE_ACCESS_TOKEN": self.emulator.token, **self.environment}

    def files(self) -> list[str]:
        """List everything below its folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Adopted:
    """What one run left, which several tests look at."""

    user: User
    ran: Ran
    text: str

    @property
    def settings(self) -> Settings:
        """The stack file as the program reads it."""
        return loaded(self.text)


def fill(client: ManagementClient, ref: str) -> None:
    """Choose settings of every section, and make something of every kind."""
    chosen = {"jwt_exp": 7200, "site_url": "https://app.example.com", "smtp_pass": "canary-smtp"}
    mail = {"mailer_templates_invite_content": "<h2>Welcome</h2>\n\n<p>Come in</p>\n"}
    change = client.configuration.change
    change(ref, supabase.AuthSettings.of({**chosen, **mail, "external_email_enabled": False}))
    change(ref, supabase.PostgrestSettings.of({"max_rows": 77}))
    change(ref, supabase.PostgresSettings.of({"statement_timeout": "30s", "pg_net.batch_size": 100}))
    change(ref, supabase.PoolerSettings.of({"default_pool_size": 21}))
    change(ref, supabase.StorageSettings.of({"features": {"s3Protocol": {"enabled": False}}}))
    change(ref, supabase.RealtimeSettings.of({"private_only": True}))
    change(ref, supabase.SslSettings.of({"database": True}))
    change(ref, supabase.NetworkSettings.of({"dbAllowedCidrs": ["10.0.0.0/8", "127.0.0.1/32"]}))
    client.function_secrets.put(ref, {"MAIL_KEY": "canary-mail"})
    files = {"source/index.ts": b"Deno.serve()", "source/deno.json": b"{}", "lib/ä.txt": b"x"}
    function = supabase.Bundle("hello", "source/index.ts", files, "source/deno.json", verify_jwt=False)
    client.functions.deploy(ref, function)
    client.keys.create(ref, "secret", "for_jobs", "nightly")
    client.signing_keys.take_over_legacy(ref)
    client.signing_keys.create(ref, "ES256")
    client.third_parties.create(ref, {"oidc_issuer_url": "https://issuer.example.com"})
    client.addons.apply(ref, "pitr", "pitr_7")
    client.addons.apply(ref, "custom_domain", "cd_default")
    client.hostnames.claim(ref, "api.example.com")
    client.hostnames.verify(ref)
    client.hostnames.activate(ref)


def loaded(text: str) -> Settings:
    """Read a stack file as the program does."""
    config = {key.removeprefix("groundwork:"): value for key, value in yaml.safe_load(text)["config"].items()}
    config["supabase"]["access_token"] = "sbp_token"
    return load({"environment": "adopted", **config})


@contextmanager
def nothing_written(emulator: Emulator, path: str = CHANGING) -> Iterator[None]:
    """Let every request that would change something fail, and hold that there was none."""
    fault = {"kind": "status", "status": 400, "method": WRITES, "path": path, "times": 1000}
    emulator.client.post("/emulator/faults", json=fault).raise_for_status()
    try:
        yield
        (left,) = emulator.client.get("/emulator/faults").json()
        assert left["times"] == 1000
    finally:
        emulator.client.delete("/emulator/faults")


def things(settings: Settings, project: Project) -> Iterator[tuple[EngineProvider, dict[str, Any]]]:
    """Give the inputs of everything but the settings, as the components make them."""
    found = settings.supabase
    chosen = {name: getattr(found, name) for name in ("ref", "adopt", "region", "paused", "on_destroy")}
    named = {"project_name": settings.project_name, "organization_slug": settings.organization}
    made_with = {"instance_size": "", "database_password": "", "log_urn": ""}
    yield SupabaseProjectProvider(), {**chosen, **named, **made_with}
    owner = {"mode": found.owner_password, "password": "not-the-owner-s", "adopt": found.adopt}
    yield OwnerPasswordProvider(), {**database(project), **owner, "log_urn": ""}
    yield CustomHostnameProvider(), {"hostname": found.custom_hostname}
    yield AddonsProvider(), {"addons": dict(found.addons)}
    for slug, one in found.functions.items():
        options = one.model_dump(include={"dir", "entrypoint", "import_map", "verify_jwt"})
        yield EdgeFunctionProvider(), {"slug": slug, **options}
    for name, bucket in found.buckets.items():
        policies = {name: one.model_dump(exclude_none=True) for name, one in bucket.policies.items()}
        yield BucketProvider(), {"bucket": name, **bucket.settings, "policies": policies}
    for name, key in found.api_keys.items():
        yield ApiKeyProvider(), {"key_name": name, "key_type": key.type, "description": key.description}
    yield (
        SigningKeysProvider(),
        {"keys": {name: key.model_dump() for name, key in found.signing_keys.items()}},
    )
    for name, issuer in found.third_party.items():
        yield ThirdPartyProvider(), {"issuer_name": name, **issuer.model_dump(exclude_none=True)}


def reach(project: Project) -> dict[str, Any]:
    """Give the inputs that say how to reach the project."""
    emulator = project.emulator
    return {"api_url": emulator.api_url, "access_token": emulator.token, "project_ref": project.ref}


def create_section(project: Project, section: str, fields: dict[str, Any]) -> None:
    """Create a section of settings as the first update does."""
    ours = {"section": section, "fingerprint_key": "key", "restart": False}
    plain = {name: _thawed(value) for name, value in fields.items()}
    provider = SupabaseSettingsProvider()
    checked = provider.check({}, {**reach(project), **ours, **plain})
    assert not checked.failures
    provider.create(checked.inputs)
    _cloud.forget(checked.inputs)


def _thawed(value: Any) -> Any:
    return {name: _thawed(one) for name, one in value.items()} if hasattr(value, "items") else value
