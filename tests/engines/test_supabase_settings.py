"""Settings are sparse when written, checked before they are sent, and taken as they are when read."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import supabase
from tests.fix_management import REF, Service, answer


def test_only_what_is_set_is_sent() -> None:
    """A field that is not set is not in the body; null is a value."""
    service = Service(answer(200, {"site_url": "https://a.test"}))

    with service.client() as client:
        client.configuration.change(
            REF, supabase.AuthSettings.of({"site_url": "https://a.test", "smtp_host": None})
        )

    assert json.loads(service.requests[0].content) == {"site_url": "https://a.test", "smtp_host": None}
    assert len(service.requests) == 1


def test_empty_answer_is_read_after() -> None:
    """Where the service answers a change with nothing, the section is read."""
    service = Service(httpx.Response(200), answer(200, {"fileSizeLimit": 5}))

    with service.client() as client:
        found = client.configuration.change(REF, supabase.StorageSettings.of({"fileSizeLimit": 5}))

    assert found.values() == {"fileSizeLimit": 5}
    assert service.methods() == ["PATCH", "GET"]


def test_other_parameters_of_postgres_stay() -> None:
    """The service replaces all parameters of PostgreSQL, so those that others set are sent as well."""
    service = Service(answer(200, {"work_mem": "8MB", "max_connections": 50, "brand_new": "x"}))

    with service.client() as client:
        client.configuration.change(
            REF,
            supabase.PostgresSettings.of({"max_connections": 90.0}),
            drop=["work_mem"],
            restart_database=True,
        )

    assert service.methods() == ["GET", "PUT"]
    sent = json.loads(service.requests[1].content)
    assert sent == {"max_connections": 90, "brand_new": "x", "restart_database": True}


def test_dotted_parameter_keeps_its_name() -> None:
    """A parameter of an extension is spelled with its dot on the way out and in."""
    settings = supabase.PostgresSettings.of({"pg_stat_statements.max": 5000})

    assert settings.pg_stat_statements_max == 5000
    assert settings.values() == {"pg_stat_statements.max": 5000}
    assert supabase.PostgresSettings.read({"cron.log_statement": True}).cron_log_statement is True


def test_one_list_of_networks_keeps_the_other() -> None:
    """The service replaces both lists, so the one that is not set is sent as it is."""
    live = {"config": {"dbAllowedCidrs": ["0.0.0.0/0"], "dbAllowedCidrsV6": ["::/0"]}, "status": "applied"}
    service = Service(answer(200, live))

    with service.client() as client:
        client.configuration.change(REF, supabase.NetworkSettings.of({"dbAllowedCidrs": ["203.0.113.0/24"]}))

    assert json.loads(service.requests[1].content) == {
        "dbAllowedCidrs": ["203.0.113.0/24"],
        "dbAllowedCidrsV6": ["::/0"],
    }


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        (
            supabase.AuthSettings,
            {"site_ur": "x"},
            r"^auth\.site_ur: the API has no such field; did you mean site_url\?$",
        ),
        (supabase.AuthSettings, {"zzzz": 1}, r"^auth\.zzzz: the API has no such field$"),
        (supabase.AuthSettings, {"jwt_exp": 604_801}, r"^auth\.jwt_exp: .*less than or equal to 604800"),
        (supabase.AuthSettings, {"jwt_exp": "3600"}, r"^auth\.jwt_exp: .*valid integer"),
        (supabase.AuthSettings, {"jwt_exp": 1.5}, r"^auth\.jwt_exp: .*valid integer"),
        (supabase.AuthSettings, {"disable_signup": 1}, r"^auth\.disable_signup: .*valid boolean"),
        (supabase.AuthSettings, {"mailer_otp_exp": None}, r"^auth\.mailer_otp_exp: .*valid integer"),
        (supabase.AuthSettings, {"site_url": "a,b"}, r"^auth\.site_url: .*match pattern"),
        (supabase.AuthSettings, {"sms_provider": "pigeon"}, r"^auth\.sms_provider: .*'twilio'"),
        (supabase.PostgresSettings, {"statement_timeout": "soon"}, r"^postgres\.statement_timeout: "),
        (supabase.PostgresSettings, {"pg_stat_statements_max": 1}, r"did you mean pg_stat_statements\.max\?"),
        (
            supabase.StorageSettings,
            {"features": {"icebergCatalog": {"enabled": True}}},
            r"^storage\.features\.icebergCatalog\.maxNamespaces: Field required; ",
        ),
        (supabase.StorageSettings, {"features": {"s3": {}}}, r"^storage\.features\.s3: Extra inputs"),
        (
            supabase.NetworkSettings,
            {"dbAllowedCidrs": "0.0.0.0/0"},
            r"^network\.dbAllowedCidrs: .*valid list",
        ),
    ],
)
def test_wrong_setting_is_named(kind: type[supabase.Settings], values: dict[str, Any], text: str) -> None:
    """A name or a value that the API does not take is told by its key, before anything is sent."""
    with pytest.raises(supabase.InvalidSettingError, match=text):
        kind.of(values)


def test_all_problems_are_told_at_once() -> None:
    """Two mistakes are one error."""
    with pytest.raises(supabase.InvalidSettingError, match=r"auth\.nope: .*; auth\.jwt_exp: "):
        supabase.AuthSettings.of({"nope": 1, "jwt_exp": -1})


@pytest.mark.parametrize(
    "raw",
    [
        {"max_rows": 5, "brand_new": {"x": [1]}},
        {"max_rows": "5", "brand_new": True},
        {"max_rows": None},
        {"max_rows": 10_000_000_000},
    ],
)
def test_answer_is_taken_as_it_is(raw: dict[str, Any]) -> None:
    """New fields, other types and wider limits in an answer are no errors, and nothing is lost."""
    assert supabase.PostgrestSettings.read(raw).values() == raw


NAMES = st.sampled_from(
    sorted(supabase.StorageSettings.names() | {"values", "section", "_private", "copy", "new"})
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["enabled", "s3Protocol", "more"]), inner)
    ),
    max_leaves=6,
)


@settings(deadline=None, derandomize=True)
@given(st.dictionaries(NAMES, VALUES))
def test_nothing_of_an_answer_is_lost(raw: dict[str, Any]) -> None:
    """Whatever an answer holds under whichever names is given back as it was."""
    assert supabase.StorageSettings.read(raw).values() == raw


def test_sections_have_the_names_of_the_configuration() -> None:
    """A stack's configuration and the client speak of the same sections."""
    assert set(supabase.SECTIONS) == {
        "auth",
        "postgrest",
        "postgres",
        "pooler",
        "storage",
        "realtime",
        "ssl",
        "network",
    }
