"""The program, run under mocks once per stack file."""

from __future__ import annotations

import json

import pytest

from tests.components.fix_mocks import Declared, run_program, stack_config

SECRETS = {
    "local": {},
    "staging": {"ai_api_key": {"value": "k"}},
    "prod": {
        "ai_api_key": {"value": "k"},
        "mail_api_key": {"value": "k"},
        "billing_webhook_secret": {"value": "k" * 16},
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


def _linked() -> Declared:
    """Run the prod file with an API key in its second version, and what edge functions are told."""
    config = stack_config("prod")
    supabase = {
        **config["groundwork:supabase"],
        "access_token": "sbp_test",
        "api_keys": {"nightly_jobs": {"type": "secret", "version": 2}},
        "function_secrets": {
            "TEXT": "t",
            "TOKEN": {"from": "agent_shared_secret"},
            "KEY": {"from": "api_keys.nightly_jobs"},
        },
    }
    given = {**config.get("groundwork:secrets", {}), **SECRETS["prod"]}
    return run_program("prod", {**config, "groundwork:supabase": supabase, "groundwork:secrets": given})


def test_secrets_that_services_use_are_guarded_by_the_database() -> None:
    """Old versions are looked up where they were used; the deployment's own ones need no database."""
    found = _run("prod")
    guards = {
        name: (inputs.get("retire_after_s"), inputs.get("login"))
        for kind in ("GeneratedSecret", "GivenSecret")
        for name, inputs in found.of(kind).items()
    }

    assert guards == {
        "database_password": (None, None),
        "fingerprint_key": (None, None),
        "agent_shared_secret": (300, None),
        "session_key": (300, None),
        "app_database_password": (300, "app"),
        "agent_database_password": (300, "agent"),
        "billing_webhook_secret": (300, None),
        "ai_api_key": (None, None),
        "mail_api_key": (None, None),
    }
    assert found.of("GeneratedSecret")["session_key"]["in_advance"]


def test_only_a_stolen_logins_sessions_are_ended() -> None:
    """Others go on, and have no such input in their state."""
    config = stack_config("local")
    stolen = {"app_database_password": {"version": 2, "compromised": True}}
    logins = run_program("local", {**config, "groundwork:secrets": stolen}).of("Login")

    assert logins["app-login"]["cut_off"]
    assert "cut_off" not in logins["agent-login"]


def test_the_app_is_given_every_value_that_its_sessions_may_be_signed_by() -> None:
    """The next one too, and what is from outside only where the stack has it."""
    local = _run("local").of("Process")["app"]["secrets"]

    assert json.loads(local["session_key"]) == {"use": "1", "values": {"1": "v1", "2": "v2"}}
    assert local.keys() == {"database_url", "agent_shared_secret", "session_key"}


def test_functions_are_told_what_services_know_already() -> None:
    """Links are written by a resource of their own, which keeps off the names of the other one."""
    found = _linked().of("FunctionSecrets")
    texts, links = found["supabase-function-secrets"], found["supabase-linked-function-secrets"]

    assert (texts["values"]["value"], texts["others"]) == ({"TEXT": "t"}, ["KEY", "TOKEN"])
    assert links["values"] == {"TOKEN": "v1", "KEY": "sb_secret_jobs"}
    assert links["others"] == ["TEXT"]


def test_a_version_of_an_api_key_is_a_key_of_its_own() -> None:
    """The older one stays until nobody names it any more."""
    keys = {name: inputs["key_name"] for name, inputs in _linked().of("ApiKey").items()}

    assert keys == {
        "supabase-api-key-nightly_jobs": "nightly_jobs",
        "supabase-api-key-nightly_jobs_v2": "nightly_jobs_v2",
    }


def test_the_proof_asks_every_place_of_every_secret() -> None:
    """Each service, the vault, the logins and the edge functions, for what each of them has to hold."""
    _, proof = _linked().resources["parity-proof"]
    places = {name: (place["presents"], place["checks"]) for name, place in proof["places"].items()}

    assert places == {
        "agent_shared_secret": (["app", "cron", "functions.TOKEN"], ["agent"]),
        "app_database_password": (["app"], ["database"]),
        "agent_database_password": (["agent"], ["database"]),
        "session_key": ([], ["app"]),
        "ai_api_key": (["agent"], []),
        "mail_api_key": (["app"], []),
        "billing_webhook_secret": ([], ["app"]),
        "api_keys.nightly_jobs": (["functions.KEY"], []),
    }
    assert proof["secrets"]["value"].keys() == places.keys()


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
