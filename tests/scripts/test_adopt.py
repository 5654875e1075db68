"""`scripts/adopt` as a user runs it, on a project of the stand-in that has everything."""

from __future__ import annotations

import runpy
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from engines import supabase
from tests.fix_program import ROOT
from tests.polling import until
from tests.scripts.adopting import (
    SQL,
    Adopted,
    User,
    create_section,
    fill,
    loaded,
    nothing_written,
    reach,
    things,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_emulator import Emulator, Project


pytestmark = pytest.mark.usefixtures("settings_loop_of_module")


@pytest.fixture
def user(emulator: Emulator, tmp_path: Path) -> User:
    """Give a user with an empty folder."""
    return User(emulator, tmp_path)


@pytest.fixture(scope="module")
def full(emulator: Emulator) -> Project:
    """Make a project that has something of everything."""
    project = emulator.create("My Product")
    with supabase.ManagementClient(emulator.api_url, emulator.token) as client:
        fill(client, project.ref)
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
    assert found.addons == {"pitr": "pitr_7", "custom_domain": "cd_default"}
    assert (found.custom_hostname, found.owner_password) == ("api.example.com", "forget")
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

    again = (chosen.user.folder / "Pulumi.two.yaml").read_text()
    assert again == chosen.text.replace("my-product", "two")
    expected = ("functions/hello", "source/index.ts", "source/deno.json", False)
    assert (function.dir, function.entrypoint, function.import_map, function.verify_jwt) == expected
    assert "functions/hello has 3 files from the platform" in chosen.ran.out
    assert "functions/hello is there already, as on the platform" in second.out
    assert "functions/hello is there already, but differs from the platform" in third.out
    assert (folder / "lib/ä.txt").read_bytes() == b"x"
    assert (folder / "source/index.ts").read_text() == "mine"
    (folder / "source/index.ts").write_bytes(b"Deno.serve()")


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
    history = "1 migration in supabase_migrations.schema_migrations, the latest is 20260101000000"
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
            create_section(full, name, dict(fields))
    assert sections.keys() == supabase.SECTIONS.keys()


def test_first_update_makes_no_thing(chosen: Adopted, full: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a name is taken over as it is as well; the trial of policies leaves the very same policies."""
    monkeypatch.chdir(chosen.user.folder)
    policies = "select oid::text, polname from pg_policy order by oid"
    before = full.sql(policies)

    with nothing_written(full.emulator, r"(?!.*/database/query).*/v1/.*"):
        for provider, inputs in things(chosen.settings, full):
            props = {**reach(full), **inputs}
            checked = provider.check({}, props)
            assert not checked.failures, checked.failures[0].reason
            outs = provider.create(checked.inputs).outs or {}
            assert not outs.get("made")
    assert full.sql(policies) == before


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


def test_what_a_stack_cannot_name_is_told_in_the_words_of_settings() -> None:
    """The reason is as a stack's own mistakes are told, without the prefix of the library that checks."""
    problems = runpy.run_path(str(ROOT / "scripts" / "adopt.py"))["problems"]

    found = problems({"supabase": {"buckets": {"my.files": {}}}, "migrations": {}})

    assert list(found.values()) == ["must be up to 64 letters, digits, - and _"]
