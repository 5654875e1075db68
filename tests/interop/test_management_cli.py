"""The real Supabase CLI on the stand-in: what one of CLI and client writes, the other reads."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engines import supabase
from engines.supabase import ManagementClient
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Emulator, Project

MODULE = "export default 1\n"


@dataclass(frozen=True)
class Cli:
    """The CLI in a folder of its own, with a profile that leads to the stand-in.

    Attributes:
        binary: its program.
        home: where it works.
        project: what it works on.
    """

    binary: Path
    home: Path
    project: Project

    def run(self, *arguments: str) -> str:
        """Run a command on the project and give what it says; it has to succeed."""
        return self.run_bare(*arguments, f"--remote={self.project.ref}")

    def run_bare(self, *arguments: str) -> str:
        """Run a command and give what it says; it has to succeed."""
        done = self._run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the project and tell how it ended."""
        return self._run(*arguments, f"--remote={self.project.ref}")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "SUPABASE_PROFILE": str(self.home / "profile.json"),
            "SUPABASE_ACCESS_TOKEN": self.project.emulator.token,
            "SUPABASE_TELEMETRY_DISABLED": "1",
            "DO_NOT_TRACK": "1",
            "SUPABASE_NO_KEYRING": "1",
            "SUPABASE_NO_UPDATE_NOTIFIER": "1",
            "SUPABASE_YES": "1",
            "NO_COLOR": "1",
        }
        return subprocess.run(
            [str(self.binary), *arguments],
            cwd=self.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="module")
def cli_cloud(emulator: Emulator) -> Project:
    """Make a project for the CLI."""
    return emulator.create("cli")


@pytest.fixture
def management_cli(tools: Path, cli_cloud: Project, tmp_path: Path) -> Cli:
    """Give the CLI with a folder that holds a configuration and a function."""
    url = cli_cloud.emulator.api_url
    addresses = dict.fromkeys(("api_url", "dashboard_url", "docs_url"), url)
    profile = {"name": "emulator", **addresses, "project_host": "emulator.localhost"}
    (tmp_path / "profile.json").write_text(json.dumps(profile), encoding="utf-8")
    (tmp_path / "supabase" / "functions" / "hello").mkdir(parents=True)
    (tmp_path / "supabase" / "functions" / "hello" / "index.ts").write_text(MODULE, encoding="utf-8")
    return Cli(tools / "node_modules" / ".bin" / "supabase", tmp_path, cli_cloud)


@pytest.fixture
def beside_cli(cli_cloud: Project) -> Iterator[ManagementClient]:
    """Give our client of the same service."""
    with ManagementClient(cli_cloud.emulator.api_url, cli_cloud.emulator.token) as client:
        yield client


def test_secrets(management_cli: Cli, beside_cli: ManagementClient) -> None:
    """A secret of the CLI has the digest that the client reads, and is not shown."""
    ref = management_cli.project.ref
    management_cli.run("secrets", "set", "FOO=canary")
    shown = management_cli.run("secrets", "list")
    digest = beside_cli.function_secrets.digests(ref)["FOO"]
    management_cli.run("secrets", "unset", "FOO")

    assert digest in shown
    assert "canary" not in shown
    assert "FOO" not in beside_cli.function_secrets.digests(ref)


def test_parameters_of_postgres(management_cli: Cli, beside_cli: ManagementClient) -> None:
    """Each of the two keeps what the other one set."""
    ref, kind = management_cli.project.ref, supabase.PostgresSettings
    management_cli.run("postgres-config", "update", "--config", "statement_timeout=10s", "--experimental")
    beside_cli.configuration.change(ref, kind.of({"max_connections": 100}))
    management_cli.run("postgres-config", "update", "--config", "work_mem=8MB", "--experimental")
    found = beside_cli.configuration.read(ref, kind).values()
    management_cli.run("postgres-config", "delete", "--config", "work_mem", "--experimental")

    assert found == {"statement_timeout": "10s", "max_connections": 100, "work_mem": "8MB"}
    assert "work_mem" not in beside_cli.configuration.read(ref, kind).values()


def test_ssl_and_networks(management_cli: Cli, beside_cli: ManagementClient) -> None:
    """What the CLI enforces and allows is what the client reads."""
    ref, configuration = management_cli.project.ref, beside_cli.configuration
    management_cli.run("ssl-enforcement", "update", "--enable-db-ssl-enforcement", "--experimental")
    networks = ("--db-allow-cidr", "8.8.8.0/24", "--db-allow-cidr", "2001:db8::/32")
    management_cli.run("network-restrictions", "update", *networks, "--experimental")

    assert configuration.read(ref, supabase.SslSettings).database
    assert configuration.read(ref, supabase.NetworkSettings).values() == {
        "dbAllowedCidrs": ["8.8.8.0/24"],
        "dbAllowedCidrsV6": ["2001:db8::/32"],
    }


def test_functions(management_cli: Cli, beside_cli: ManagementClient) -> None:
    """A function of the CLI is the client's, and one of the client is downloaded by the CLI."""
    ref, path = management_cli.project.ref, "supabase/functions/hello/index.ts"
    management_cli.run("functions", "deploy", "hello", "--use-api")
    sent = beside_cli.functions.files(ref, "hello")
    changed = b"export default 2\n"
    beside_cli.functions.deploy(ref, supabase.Bundle("hello", path, {path: changed}))
    management_cli.run("functions", "download", "hello", "--use-api")
    management_cli.run("functions", "delete", "hello")

    assert sent == {path: MODULE.encode()}
    assert (management_cli.home / path).read_bytes() == changed
    assert beside_cli.functions.all(ref) == ()


def test_several_functions(management_cli: Cli, beside_cli: ManagementClient) -> None:
    """Functions that the CLI deploys together are put into service together."""
    ref, folder = management_cli.project.ref, management_cli.home / "supabase" / "functions"
    (folder / "other").mkdir()
    (folder / "other" / "index.ts").write_text(MODULE, encoding="utf-8")
    management_cli.run("functions", "deploy", "hello", "other", "--use-api")
    deployed = {one.slug: one.version for one in beside_cli.functions.all(ref)}
    for slug in deployed:
        beside_cli.functions.delete(ref, slug)

    assert deployed == {"hello": 1, "other": 1}


def test_configuration(management_cli: Cli, beside_cli: ManagementClient) -> None:
    """The CLI finds no difference after the client's change, and the client reads what the CLI pushes."""
    ref, config = management_cli.project.ref, management_cli.home / "supabase" / "config.toml"
    config.write_text('project_id = "cli"\n[auth]\nsite_url = "https://one.test"\n', encoding="utf-8")
    before = management_cli.run("config", "diff")
    beside_cli.configuration.change(ref, supabase.AuthSettings.of({"site_url": "https://one.test"}))
    after = management_cli.run("config", "diff")
    config.write_text('project_id = "cli"\n[auth]\nsite_url = "https://two.test"\n', encoding="utf-8")
    management_cli.run("config", "push")

    assert "1 update" in before
    assert "0 update" in after
    assert beside_cli.configuration.read(ref, supabase.AuthSettings).site_url == "https://two.test"


CHANGES = (
    supabase.AuthSettings.of(
        {
            "site_url": "https://one.test",
            "jwt_exp": 1800,
            "disable_signup": True,
            "password_min_length": 10,
            "mailer_autoconfirm": False,
            "mailer_otp_exp": 900,
        }
    ),
    supabase.PostgrestSettings.of(
        {"max_rows": 500, "db_schema": "public,private", "db_extra_search_path": "public,extensions"}
    ),
    supabase.StorageSettings.of({"fileSizeLimit": 20 * 1024 * 1024}),
    supabase.SslSettings.of({"database": True}),
    supabase.NetworkSettings.of({"dbAllowedCidrs": ["8.8.8.0/24"], "dbAllowedCidrsV6": ["2001:db8::/32"]}),
    supabase.PostgresSettings.of({"statement_timeout": "10s"}),
    supabase.PoolerSettings.of({"default_pool_size": 25}),
)


def test_client_leaves_no_difference_to_the_cli(management_cli: Cli, emulator: Emulator) -> None:
    """After the client's changes of seven sections, a config.toml that says the same differs in nothing."""
    ref = emulator.create("same").ref
    config = management_cli.home / "supabase" / "config.toml"
    config.write_bytes((Path(__file__).parent / "settings.toml").read_bytes())
    before = management_cli.run_bare("config", "diff", f"--remote={ref}")
    with ManagementClient(emulator.api_url, emulator.token) as client:
        for settings in CHANGES:
            client.configuration.change(ref, settings)
    after = management_cli.run_bare("config", "diff", f"--remote={ref}")

    assert "12 update" in before
    assert "No config differences found." in after


def test_projects_are_made_and_deleted(management_cli: Cli, beside_cli: ManagementClient) -> None:
    """A project of the CLI is the client's, and is gone when the CLI has deleted it."""
    where = ("--org-id", "groundwork", "--region", "eu-central-1", "--size", "small")
    management_cli.run_bare("projects", "create", "by-cli", *where, "--db-password", "Pw123456!x")
    made = next(one for one in beside_cli.projects.all() if one.name == "by-cli")
    management_cli.project.emulator.wait_for_status(made.ref, "ACTIVE_HEALTHY")
    listed = management_cli.run_bare("projects", "list")
    management_cli.run_bare("projects", "delete", made.ref)

    assert made.region == "eu-central-1"
    assert made.ref in listed
    until(lambda: made.ref not in {one.ref for one in beside_cli.projects.all()}, 60, what="it to be gone")


def test_sql_and_types(management_cli: Cli) -> None:
    """The CLI's tables are in the types and the advice that it asks for; its read-only SQL writes nothing."""
    table = "create table notes (id int primary key, word text); grant select on notes to anon;"
    management_cli.run("db", "query", f"{table} create type mood as enum ('sad', 'ok')")
    delete = "with gone as (delete from notes returning id) select * from gone"
    refused = management_cli.ask("db", "query", delete, "--read-only")
    types = management_cli.ask("gen", "types", "--lang", "typescript").stdout
    file = management_cli.home / "types.ts"
    file.write_text(types, encoding="utf-8")
    parsed = subprocess.run(
        [management_cli.binary.with_name("esbuild"), file], capture_output=True, check=False
    )
    advice = management_cli.run("db", "advisors", "--type", "security")
    management_cli.run("db", "query", "drop table notes; drop type mood")

    assert refused.returncode == 1
    assert "in a read-only transaction" in refused.stdout + refused.stderr
    assert parsed.returncode == 0, parsed.stderr
    assert "word: string | null" in types
    assert 'mood: "sad" | "ok"' in types
    assert "Table `public.notes` is public, but RLS has not been enabled." in advice


def test_branches(management_cli: Cli) -> None:
    """A branch of the CLI is listed beside the default one, until it is deleted."""
    management_cli.run("branches", "create", "feature")
    listed = management_cli.run("branches", "list")
    management_cli.run("branches", "delete", "feature")
    after = management_cli.run("branches", "list")

    assert "feature" in listed
    assert "main" in listed
    assert "feature" not in after


def test_vanity_subdomain(management_cli: Cli) -> None:
    """A name that is free is taken, shown and given up."""
    name = ("--desired-subdomain", "acme-by-cli", "--experimental")
    free = management_cli.run("vanity-subdomains", "check-availability", *name)
    management_cli.run("vanity-subdomains", "activate", *name)
    shown = management_cli.run("vanity-subdomains", "get", "--experimental")
    management_cli.run("vanity-subdomains", "delete", "--experimental")

    assert "available: true" in free
    assert "acme-by-cli.supabase.co" in shown


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("projects", "api-keys"), "publishable"),
        (("backups", "list"), "WALG"),
        (("db", "query", "select 40 + 2 as answer", "--read-only"), "42"),
        (("functions", "list"), "SLUG"),
        (("network-bans", "get", "--experimental"), "[]"),
        (("network-bans", "remove", "--db-unban-ip", "203.0.113.9", "--experimental"), "Successfully"),
        (("postgres-config", "get", "--experimental"), "Parameter"),
        (("ssl-enforcement", "get", "--experimental"), "SSL"),
        (("network-restrictions", "get", "--experimental"), "DB Allowed"),
        (("encryption", "get-root-key", "--experimental"), ""),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_reading(arguments: tuple[str, ...], shown: str, management_cli: Cli) -> None:
    """The CLI accepts the answers, which it checks by its own schemas."""
    assert shown in management_cli.run(*arguments)


def test_project_is_linked(management_cli: Cli) -> None:
    """A folder is linked with the project, which asks for keys, storage and the pooler."""
    assert "Finished" in management_cli.run_bare("link", "--project-ref", management_cli.project.ref)
    assert "groundwork" in management_cli.run_bare("orgs", "list")
    assert management_cli.project.ref in management_cli.run_bare("projects", "list")
