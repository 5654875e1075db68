"""What a stack may say of a project's named things, and how mistakes in it are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.settings.reading import CANARY, load, problems

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
IN_USE = {"status": "in_use"}


def policy(**fields: Any) -> dict[str, Any]:
    """Give a configuration with one policy."""
    return {"buckets": {"b": {"policies": {"p": fields}}}}


class TestBuckets:
    """Limits and policies."""

    @pytest.mark.parametrize(
        ("size", "expected"),
        [
            ("5MB", 5_000_000),
            ("5MiB", 5_242_880),
            ("1.5 KB", 1500),
            ("20GB", 20_000_000_000),
            ("7B", 7),
            (9, 9),
        ],
    )
    def test_sizes(self, size: object, expected: int) -> None:
        """MB counts in millions, MiB in powers of 1024, a number in bytes."""
        settings = load({"supabase": {"buckets": {"b": {"file_size_limit": size}}}})
        assert settings.supabase.buckets["b"].settings == {"public": False, "file_size_limit": expected}

    def test_only_what_is_named_is_set(self) -> None:
        """What is absent is left alone; null says that there is no limit."""
        given = {"a": {}, "b": {"file_size_limit": None, "allowed_mime_types": None, "public": True}}
        buckets = load({"supabase": {"buckets": given}}).supabase.buckets
        assert buckets["a"].settings == {"public": False}
        assert buckets["b"].settings == {"public": True, "file_size_limit": 0, "allowed_mime_types": []}

    def test_a_condition_that_yaml_reads_as_a_truth_value(self) -> None:
        """`using: true` needs no quotes."""
        buckets = load({"supabase": policy(command="select", roles=["anon"], using=True)}).supabase.buckets
        assert buckets["b"].policies["p"].using == "true"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            {"buckets": {"b": {"file_size_limit": "5 bananas"}}},
            "buckets.b.file_size_limit: must be a size such",
        ),
        ({"buckets": {"b": {"file_size_limit": 0}}}, "buckets.b.file_size_limit: must be greater than or"),
        (
            {"buckets": {"b": {"allowed_mime_types": ["png"]}}},
            "buckets.b.allowed_mime_types.0: must be a type",
        ),
        (policy(command="insert", using="true"), "buckets.b.policies.p: must have check in place of using"),
        (policy(command="select", check="true"), "buckets.b.policies.p: must have using in place of check"),
        (policy(roles=[]), "buckets.b.policies.p: must name at least one of roles"),
        (policy(using="  "), "buckets.b.policies.p.using: must be an SQL condition"),
        (
            {"buckets": {name: {"policies": {"same": {}}} for name in "ab"}},
            "buckets: must give each policy a name of its own; used twice: same",
        ),
        ({"buckets": {"b": {"policies": {"x" * 64: {}}}}}, "must be named by 1 to 63 bytes"),
        (
            {"functions": {"f": {"dir": "f", "entrypoint": "../x.ts"}}},
            "functions.f.entrypoint: must be a path in",
        ),
        (
            {"functions": {"f": {"dir": "f", "import_map": "/x.json"}}},
            "functions.f.import_map: must be a path in",
        ),
        ({"functions": {"1": {"dir": "f"}}}, "functions.1: must be of letters, digits"),
        ({"function_secrets": {"SUPABASE_X": CANARY}}, "without SUPABASE_ in front"),
        ({"addons": {"compute": "ci_small"}}, "addons.compute: must be 'compute_instance'"),
        ({"addons": {"pitr": "Pitr 7"}}, "addons.pitr: must be a variant of the platform's such as ci_small"),
        (
            {"addons": {"custom_domain": None}, "custom_hostname": "api.example.com"},
            "supabase: must not have custom_hostname while addons.custom_domain is null",
        ),
        ({"custom_hostname": "api"}, "custom_hostname: must be a host name such as api.example.com"),
        (
            {"signing_keys": {"a": IN_USE, "b": IN_USE}},
            "signing_keys: must have one key in_use, because one signs at a time; a and b are",
        ),
        (
            {"signing_keys": {"legacy": IN_USE}},
            "signing_keys: must give the key legacy, which is the old JWT",
        ),
        (
            {"third_party": {"x": {}}},
            "third_party.x: must have one of oidc_issuer_url, jwks_url and custom_jwks",
        ),
        ({"api_keys": {"x": {"type": "secret"}}}, "api_keys.x: must be 4 to 64 of a-z, 0-9 and _"),
        (
            {"api_keys": {"jobs": {"type": "secret", "version": 2}, "jobs_v2": {"type": "secret"}}},
            "api_keys: must not name a key as a version of another is named: jobs_v2",
        ),
        (
            {"api_keys": {"j" * 62: {"type": "secret", "version": 2}}},
            "api_keys: must leave room for the version in names of up to 64 letters",
        ),
        (
            {"api_keys": {"jobs": {"type": "secret", "version": 2, "accept": [2]}}},
            "api_keys.jobs.accept: must hold versions below version, which is 2",
        ),
        (
            {"function_secrets": {"A": {"form": CANARY}}},
            'function_secrets.A: must be a secret text, or a map with the one key "from"',
        ),
        (
            {"function_secrets": {"A": {"from": "mail_api_key"}}},
            "is from mail_api_key, which the stack does not set; set groundwork:secrets.mail_api_key.value",
        ),
        (
            {"function_secrets": {"A": {"from": "database_password"}}},
            'function_secrets.A: is from "database_password", which edge functions cannot be told; one of: ',
        ),
        (
            {"function_secrets": {"A": {"from": "api_keys.jobs"}}},
            'function_secrets.A: is from "api_keys.jobs", which edge functions cannot be told',
        ),
    ],
)
def test_mistakes_are_told_by_their_full_key(section: dict[str, Any], expected: str) -> None:
    """Each message has the key, what is allowed, and no secret."""
    message = problems({"supabase": section})
    assert expected in message
    assert "groundwork:supabase" in message
    assert CANARY not in message


def test_all_mistakes_are_told_at_once() -> None:
    """One mistake hides no other, whatever thing it is about."""
    message = problems(
        {
            "supabase": {
                "functions": {"f": {}},
                "buckets": {"b": {"file_size_limit": "x"}},
                "api_keys": {"jobs": {"type": "admin"}},
            }
        }
    )
    for key in ("functions.f.dir", "buckets.b.file_size_limit", "api_keys.jobs.type"):
        assert f"groundwork:supabase.{key}: " in message


def test_bad_secrets_of_a_section_are_told_by_their_fields() -> None:
    """A secret that is empty or a placeholder is named, and so is the next one."""
    message = problems({"supabase": {"auth": {"smtp_pass": "", "external_google_secret": "changeme"}}})

    assert "groundwork:supabase.auth.smtp_pass: must be text without blanks" in message
    assert "groundwork:supabase.auth.external_google_secret: is a placeholder" in message


def test_texts_and_links_of_edge_functions() -> None:
    """A function is told a text, a secret of the stack's own, or one of the project's keys."""
    told = {"A": CANARY, "B": {"from": "agent_shared_secret"}, "C": {"from": "api_keys.jobs"}}
    keys = {"jobs": {"type": "secret", "version": 3, "accept": [1]}}
    settings = load({"supabase": {"function_secrets": told, "api_keys": keys}}).supabase

    assert settings.function_texts.keys() == {"A"}
    assert settings.function_links == {"B": "agent_shared_secret", "C": "api_keys.jobs"}
    assert settings.api_keys["jobs"].named("jobs") == {3: "jobs_v3", 1: "jobs"}


@pytest.mark.parametrize(
    ("fields", "versions"),
    [
        ({}, {1: "jobs"}),
        ({"version": 2}, {2: "jobs_v2", 1: "jobs"}),
        ({"version": 2, "accept": "[]"}, {2: "jobs_v2"}),
    ],
)
def test_versions_of_an_api_key(fields: dict[str, Any], versions: dict[int, str]) -> None:
    """Each accepted version is a key of its own; the first keeps its name."""
    keys = load({"supabase": {"api_keys": {"jobs": {"type": "secret", **fields}}}}).supabase.api_keys

    assert keys["jobs"].named("jobs") == versions


def test_an_issuer_is_taken_letter_by_letter() -> None:
    """Tokens name their issuer exactly, and some have a slash at the end."""
    issuer = "https://tenant.auth0.com/"
    settings = load({"supabase": {"third_party": {"auth0": {"oidc_issuer_url": issuer}}}})

    assert settings.supabase.third_party["auth0"].oidc_issuer_url == issuer


def test_the_example_of_the_documentation_is_good() -> None:
    """What the page shows can be copied."""
    blocks = PAGE.read_text(encoding="utf-8").split("```")
    example = next(block for block in blocks if "function_secrets:" in block).removeprefix("yaml\n")
    supabase = yaml.safe_load(example.replace("{ secure: … }", CANARY))["groundwork:supabase"]
    settings = load({"supabase": supabase}).supabase

    assert settings.buckets["avatars"].settings["file_size_limit"] == 5_000_000
    assert settings.functions["hello"].entrypoint == "index.ts"
