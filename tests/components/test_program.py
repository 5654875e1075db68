"""The program, run under mocks once per stack file."""

from __future__ import annotations

import pytest

from tests.components.fix_mocks import Declared, run_program, stack_config

SECRETS = {
    "local": {},
    "staging": {"ai_api_key": {"value": "k"}},
    "prod": {
        "ai_api_key": {"value": "k"},
        "mail_api_key": {"value": "k"},
        "billing_webhook_secret": {"value": "k"},
    },
}


def _run(stack: str) -> Declared:
    """Run a stack file with the values that a user adds by `pulumi config set --secret`."""
    config = stack_config(stack)
    if stack != "local":
        config["groundwork:supabase"] = {**config["groundwork:supabase"], "access_token": "sbp_test"}
        config["groundwork:secrets"] = {**config.get("groundwork:secrets", {}), **SECRETS[stack]}
    return run_program(stack, config)


@pytest.mark.parametrize("stack", ["local", "staging", "prod"])
def test_every_stack_file_declares_the_whole_product(stack: str) -> None:
    """Project, schema, two logins, gate and the declared jobs are there on every stack."""
    found = _run(stack)
    jobs = stack_config(stack)["groundwork:cron"]

    assert len(found.of("SupabaseProject")) == 1
    assert set(found.of("Migrations")) == {"schema-migrations", "contract-migrations"}
    assert set(found.of("Login")) == {"app-login", "agent-login"}
    assert len(found.of("HealthGate")) == 1
    assert {inputs["job"] for inputs in found.of("CronJob").values()} == set(jobs)


def test_local_runs_a_stand_in_and_two_processes() -> None:
    """Without an API the stand-in is one more process, and nothing needs Docker."""
    found = _run("local")

    assert set(found.of("Process")) == {"emulator", "agent", "app"}
    assert not [name for name, (typ, _) in found.resources.items() if typ.startswith("docker:")]


def test_prod_runs_containers_and_protects_the_project() -> None:
    """With the real API there is no stand-in; app and agent are Swarm services of images built here."""
    found = _run("prod")

    assert not found.of("Process")
    assert set(found.of("Service")) == {"proxy", "agent", "app"}
    assert found.of("SupabaseProject")["supabase-project"]["api_url"] == "https://api.supabase.com"


@pytest.mark.parametrize(("stack", "kept"), [("local", True), ("staging", False), ("prod", False)])
def test_the_owners_password_goes_where_it_is_kept(stack: str, *, kept: bool) -> None:
    """A stack that forgets it makes the project without it, and hands it to nobody."""
    found = _run(stack)
    inside = [
        inputs
        for kind in ("Migrations", "Login", "VaultSecret", "DemoAccounts", "CronJob", "CronRoster")
        for inputs in found.of(kind).values()
    ]

    assert bool(found.of("SupabaseProject")["supabase-project"]["database_password"]) is kept
    assert {"owner_password" in inputs for inputs in inside} == {kept}
    assert not [inputs for inputs in inside if "dsn" in inputs or not inputs["project_ref"]]


def test_the_schema_version_is_an_input_of_the_services() -> None:
    """The order of an update comes from data: a service takes the version of the schema it runs against."""
    services = _run("local").of("Process")

    assert services["agent"]["environment"]["SCHEMA_VERSION"] == "012"
    assert services["app"]["environment"]["SCHEMA_VERSION"] == "012"
    assert services["app"]["environment"]["AGENT_URL"] == "http://127.0.0.1:4000"


def test_a_service_key_never_reaches_the_app() -> None:
    """The app holds the anonymous key only, and no service holds the owner's login."""
    services = _run("local").of("Process")
    told = str(services["app"]) + str(services["agent"])

    assert "postgresql://postgres:" not in told
    assert "'service'" not in told


def test_what_a_section_is_given() -> None:
    """Null comes by name, for an input cannot be null; only PostgreSQL's parameters restart the database."""
    config = stack_config("staging")
    supabase = {
        **config["groundwork:supabase"],
        "access_token": "sbp_test",
        "restart_database": True,
        "pooler": {"default_pool_size": None},
        "network": {"dbAllowedCidrs": []},
    }
    given = {**config, "groundwork:supabase": supabase, "groundwork:secrets": SECRETS["staging"]}

    sections = run_program("staging", given).of("SupabaseSettings")

    assert {name for name, inputs in sections.items() if "restart" in inputs} == {"supabase-postgres"}
    assert sections["supabase-pooler"]["unset"] == ["default_pool_size"]
    assert "unset" not in sections["supabase-auth"]
