"""`scripts/adopt` as a user runs it, on a project of the stand-in that has everything."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from engines import supabase
from providers import _cloud
from providers.configuration import SupabaseSettingsProvider
from tests.polling import until
from tests.settings.reading import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines.supabase import ManagementClient
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


@pytest.fixture
def user(emulator: Emulator, tmp_path: Path) -> User:
    """Give a user with an empty folder."""
    return User(emulator, tmp_path)


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


@pytest.fixture(scope="module")
def full(emulator: Emulator) -> Project:
    """Make a project that has something of everything."""
    project = emulator.create("My Product")
    with supabase.ManagementClient(emulator.api_url, emulator.token) as client:
        _fill(client, project.ref)
    project.sql(SQL)
    return project


@pytest.fixture(scope="module")
def chosen(emulator: Emulator, full: Project, tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    """Adopt it, and hold that nothing of it was changed."""
    user = User(emulator, tmp_path_factory.mktemp("chosen"))
    with nothing_written(emulator):
        ran = user.adopt(full.ref)
    return Adopted(user, ran, (user.folder / "Pulumi.my-product.yaml").read_text())


@pytest.fixture(scope="module")
def everything(emulator: Emulator, full: Project, tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    """Adopt it with all settings, and a folder of migrations."""
    user = User(emulator, tmp_path_factory.mktemp("everything"))
    (user.folder / "sql").mkdir()
    (user.folder / "sql" / "20260202000000_next.sql").write_text("select 1;")
    ran = user.adopt(full.ref, "--stack", "prod", "--dir", "sql", "--all")
    return Adopted(user, ran, (user.folder / "Pulumi.prod.yaml").read_text())


def _fill(client: ManagementClient, ref: str) -> None:
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


def loaded(text: str) -> Settings:
    """Read a stack file as the program does."""
    config = {key.removeprefix("groundwork:"): value for key, value in yaml.safe_load(text)["config"].items()}
    config["supabase"]["access_token"] = "sbp_token"
    return load({"environment": "adopted", **config})


@contextmanager
def nothing_written(emulator: Emulator) -> Iterator[None]:
    """Let every request that would change something fail, and hold that there was none."""
    fault = {"kind": "status", "status": 400, "method": WRITES, "path": CHANGING, "times": 1000}
    emulator.client.post("/emulator/faults", json=fault).raise_for_status()
    try:
        yield
        (left,) = emulator.client.get("/emulator/faults").json()
        assert left["times"] == 1000
    finally:
        emulator.client.delete("/emulator/faults")


def test_stack_file_is_as_the_project(chosen: Adopted, full: Project) -> None:
    """Everything that somebody chose stands in the file, under the names that the settings know."""
    assert chosen.ran.status == 0, chosen.ran.err
    settings = chosen.settings

    found = settings.supabase
    assert (settings.project_name, settings.organization) == ("My Product", "groundwork")
    assert (found.ref, found.protect, found.on_destroy) == (full.ref, True, "keep")
    assert found.auth is not None
    assert {"jwt_exp", "site_url", "external_email_enabled"} <= found.auth.keys()
    assert found.auth["mailer_templates_invite_content"] == "<h2>Welcome</h2>\n\n<p>Come in</p>\n"
    assert found.postgrest == {"max_rows": 77}
    assert found.postgres == {"statement_timeout": "30s", "pg_net.batch_size": 100}
    assert found.ssl == {"database": True}
    assert found.addons == {"pitr": "pitr_7"}
    assert found.api_keys.keys() == {"for_jobs"}
    assert {name: (key.algorithm, key.status) for name, key in found.signing_keys.items()} == {
        "legacy": ("HS256", "in_use"),
        "es256": ("ES256", "standby"),
    }
    assert found.third_party["issuer-example-com"].oidc_issuer_url == "https://issuer.example.com"
    assert settings.migrations.layout == "supabase"


def test_bucket_has_its_limits_and_policies(chosen: Adopted) -> None:
    """What a policy says beside its bucket is its condition; one of several buckets is left to migrations."""
    bucket = chosen.settings.supabase.buckets["avatars"]

    assert (bucket.public, bucket.file_size_limit, bucket.allowed_mime_types) == (
        True,
        5_000_000,
        ("image/png",),
    )
    own, upload = bucket.policies["own files"], bucket.policies["upload"]
    assert (own.command, own.roles, own.using, own.check) == (
        "select",
        ("authenticated",),
        "(owner = auth.uid())",
        None,
    )
    assert (upload.command, upload.roles, upload.using, upload.check) == ("insert", ("public",), None, None)
    assert "policy 'staff' on storage.objects: it is not about one bucket only" in chosen.ran.out


def test_functions_are_downloaded_once(chosen: Adopted, full: Project) -> None:
    """Their files lie in a folder each; a folder that is there is compared and left alone."""
    function, folder = chosen.settings.supabase.functions["hello"], chosen.user.folder / "functions/hello"
    second = chosen.user.adopt(full.ref, "--stack", "two")
    (folder / "source/index.ts").write_text("mine")
    third = chosen.user.adopt(full.ref, "--stack", "three")

    expected = ("functions/hello", "source/index.ts", "source/deno.json", False)
    assert (function.dir, function.entrypoint, function.import_map, function.verify_jwt) == expected
    assert "functions/hello has 3 files from the platform" in chosen.ran.out
    assert "functions/hello is there already, as on the platform" in second.out
    assert "functions/hello is there already, but differs from the platform" in third.out
    assert (folder / "lib/ä.txt").read_bytes() == b"x"
    assert (folder / "source/index.ts").read_text() == "mine"


def test_secrets_are_commands_and_in_no_file(everything: Adopted, full: Project) -> None:
    """What cannot be read is named with the command that sets it; nothing secret is written or printed."""
    ran, text, emulator = everything.ran, everything.text, everything.user.emulator

    for key in ("access_token", "auth.smtp_pass", "function_secrets.MAIL_KEY"):
        command = f"scripts/pulumi config set --stack prod --secret --path 'groundwork:supabase.{key}'"
        assert command in text
        assert command in ran.out
    shown = f"{text}{ran.out}{ran.err}"
    with supabase.ManagementClient(emulator.api_url, emulator.token) as client:
        secret = [str(key.api_key) for key in client.keys.all(full.ref) if key.name != "anon"]
        masked = client.configuration.read(full.ref, supabase.AuthSettings).smtp_pass
    assert not [
        one for one in (*secret, masked, emulator.token, full.password, "canary") if str(one) in shown
    ]


def test_database_is_told(chosen: Adopted) -> None:
    """Schemas, roles, jobs and the history are facts for the reader; what jobs run is not."""
    text = chosen.ran.out

    assert "schemas: billing (1 table, 1 without row level security), public (1 table)" in text
    assert "roles: auditor" in text
    assert "cron jobs: nightly (0 3 * * *)" in text
    history = "1 migrations in supabase_migrations.schema_migrations, the latest is 20260101000000"
    assert f"history: {history}" in text
    assert "put the migration files into migrations/, then compare: `scripts/db list --dir migrations" in text


def test_files_are_compared_with_the_history(everything: Adopted) -> None:
    """What the first update would run is told before it does."""
    out = everything.ran.out

    assert everything.settings.migrations.dir == "sql"
    assert "sql/ lacks migrations that the database has had: 20260101000000" in out
    assert "the first update will run what the history does not name: 20260202000000_next.sql" in out


@pytest.mark.parametrize("run", ["chosen", "everything"])
def test_first_update_writes_no_setting(full: Project, run: str, request: pytest.FixtureRequest) -> None:
    """The sections that the file makes are taken over as they are: nothing is sent that changes anything."""
    found = request.getfixturevalue(run).settings.supabase
    sections = {name: getattr(found, name) for name in supabase.SECTIONS if getattr(found, name)}

    with nothing_written(full.emulator):
        for name, fields in sections.items():
            _create(full, name, dict(fields))
    assert sections.keys() == supabase.SECTIONS.keys()


def _create(project: Project, section: str, fields: dict[str, Any]) -> None:
    reach = {"api_url": project.emulator.api_url, "access_token": project.emulator.token}
    ours = {"project_ref": project.ref, "section": section, "fingerprint_key": "key", "restart": False}
    plain = {name: _thawed(value) for name, value in fields.items()}
    provider = SupabaseSettingsProvider()
    checked = provider.check({}, {**reach, **ours, **plain})
    assert not checked.failures
    provider.create(checked.inputs)
    _cloud.forget(checked.inputs)


def _thawed(value: Any) -> Any:
    return {name: _thawed(one) for name, one in value.items()} if hasattr(value, "items") else value


def test_file_that_exists_is_not_overwritten(user: User, full: Project) -> None:
    """It is refused before anything is read; with --force a copy is kept."""
    path = user.folder / "Pulumi.prod.yaml"
    path.write_text("mine")

    refused = user.adopt(full.ref, "--stack", "prod")
    named = user.adopt(full.ref, "--stack", "prod", "--force")

    assert refused.status == 1
    assert "Pulumi.prod.yaml exists; name another stack with --stack" in refused.err
    assert named.status == 0, named.err
    assert f"the former file is kept as {path}.before-1" in named.out
    assert path.with_name(f"{path.name}.before-1").read_text() == "mine"


def test_unknown_project_names_those_that_there_are(user: User, full: Project) -> None:
    """The wrong letters, or another account's token, are found by what the token sees."""
    ran = user.adopt("a" * 20)

    assert ran.status == 1
    assert f"there is no project {'a' * 20}; the token sees" in ran.err
    assert f"{full.ref} (My Product, groundwork)" in ran.err
    assert user.files() == []


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("", "error: an access token is needed: set SUPABASE_ACCESS_TOKEN, or give --token-file FILE"),
        ("sbp_wrong", "check `groundwork:supabase.access_token`: it is missing, wrong or expired"),
        ("two words", "holds a space, a line end or a letter that no token has"),
    ],
)
def test_token_is_needed(user: User, full: Project, token: str, expected: str) -> None:
    """Without a good one nothing is written."""
    user.environment["SUPABASE_ACCESS_TOKEN"] = token
    ran = user.adopt(full.ref)

    assert ran.status == 1
    assert expected in ran.err
    assert user.files() == []


def test_token_may_be_in_a_file(user: User, full: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The file is used in place of the variable; one that is not there is told by its name."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(f"{user.emulator.token}\n")
    user.environment["SUPABASE_ACCESS_TOKEN"] = "sbp_wrong"

    assert user.adopt(full.ref, "--token-file", str(file)).status == 0
    lost = user.adopt(full.ref, "--token-file", str(file.parent / "lost"), "--stack", "other")
    assert lost.status == 1
    assert "lost cannot be read" in lost.err


@pytest.mark.parametrize("arguments", [("short",), ("a" * 20, "--stack", "No Name")])
def test_wrong_usage_is_told(user: User, arguments: tuple[str, ...]) -> None:
    """What cannot be a reference or a stack is refused at once."""
    ran = user.adopt(*arguments)

    assert ran.status == 2
    assert "is no reference" in ran.err or "a letter first" in ran.err


def test_refused_part_is_a_note(user: User, full: Project) -> None:
    """A plan that does not allow a part does not keep the rest from being adopted."""
    for path in (".*/billing/addons", ".*/database/query/read-only"):
        fault = {"kind": "status", "status": 403, "path": path, "times": 1}
        user.emulator.client.post("/emulator/faults", json=fault).raise_for_status()
    ran = user.adopt(full.ref, "--stack", "prod")
    user.emulator.client.delete("/emulator/faults")
    supabase_ = loaded((user.folder / "Pulumi.prod.yaml").read_text()).supabase

    assert ran.status == 0, ran.err
    assert "addons: listing the add-ons of project" in ran.out
    assert "catalog: running SQL that only reads in the database of project" in ran.out
    assert supabase_.addons == {}
    assert supabase_.postgrest == {"max_rows": 77}


def test_interrupted_run_leaves_no_stack_file(user: User, full: Project) -> None:
    """Ctrl+C while the project is read ends it at once and says so."""
    fault = {"kind": "slow", "seconds": 2, "path": ".*/functions/hello/body", "times": 1}
    user.emulator.client.post("/emulator/faults", json=fault).raise_for_status()
    process = subprocess.Popen(
        user.command(full.ref, "--stack", "prod"), env=user.env, stderr=subprocess.PIPE, text=True
    )
    until(lambda: not user.emulator.client.get("/emulator/faults").json(), what="the request for the files")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)

    assert process.returncode == 130
    assert error == "error: interrupted; no stack file was written\n"
    assert user.files() == []
