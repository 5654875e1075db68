"""No error and no log record shows a token, a password or a key, whatever the service sends back."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import httpx
import pytest

from engines import supabase
from engines.supabase import Limiter, ManagementClient, Timing
from tests.fix_management import PASSWORD, REF, TOKEN
from tests.supabase_calls import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fix_operations import Operations

CANARIES = ("canary", TOKEN, PASSWORD)
SETTINGS = {
    "smtp_pass": "canary-smtp",
    "external_google_secret": "canary-google",
    "hook_send_email_secrets": "v1,whsec_canary",
    "security_captcha_secret": 'canary captcha "quoted" / slash',
}


def _echo(status: int) -> Callable[[httpx.Request], httpx.Response]:
    """Make a service that repeats all it got, in each way a text may hold it."""

    def service(request: httpx.Request) -> httpx.Response:
        got = request.read().decode()
        texts = [got, json.dumps(got), request.headers["authorization"], str(request.url)]
        if status == 599:
            raise httpx.ReadError(" ".join(texts))
        return httpx.Response(status, json={"message": " | ".join(texts)})

    return service


def _client(service: Callable[[httpx.Request], httpx.Response]) -> ManagementClient:
    timing = Timing(lambda _: None, lambda: 0.0, 30)
    return ManagementClient(
        "https://api.test", TOKEN, transport=httpx.MockTransport(service), limiter=Limiter(), timing=timing
    )


def _said(error: BaseException) -> str:
    """Give all that a traceback would show of an error."""
    parts = [repr(error), str(error)]
    if error.__cause__ or (error.__context__ and not error.__suppress_context__):
        parts.append(_said(error.__cause__ or error.__context__ or error))
    return "\n".join(parts)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 409, 429, 500, 599])
@pytest.mark.parametrize("called", sorted(CALLS), ids=".".join)
def test_echo_is_hidden(called: tuple[str, str], status: int, caplog: pytest.LogCaptureFixture) -> None:
    """A service that repeats what it got does not make us repeat it, in errors or in log records."""
    caplog.set_level(logging.DEBUG)
    said = ""

    with _client(_echo(status)) as client:
        try:
            CALLS[called][0](client)
        except supabase.SupabaseError as error:
            said = _said(error)

    shown = said + caplog.text
    assert [canary for canary in CANARIES if canary in shown] == []


@pytest.mark.parametrize("status", [400, 500, 599])
def test_secret_settings_are_hidden(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Secret settings that were sent are hidden, as they are and as JSON spells them."""
    caplog.set_level(logging.DEBUG)

    with _client(_echo(status)) as client, pytest.raises(supabase.SupabaseError) as caught:
        client.configuration.change(REF, supabase.AuthSettings.of(SETTINGS))

    assert "canary" not in _said(caught.value) + caplog.text


@pytest.mark.parametrize("status", [400, 409, 500, 599])
def test_private_key_is_hidden(status: int) -> None:
    """A signing key that was sent is hidden, after a look that went well."""
    echo = _echo(status)

    def service(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"keys": []}) if request.method == "GET" else echo(request)

    with _client(service) as client, pytest.raises(supabase.SupabaseError) as caught:
        client.signing_keys.create(REF, "ES256", {"kty": "EC", "d": "canary-private"})

    assert "canary" not in _said(caught.value)


def test_secret_in_sql_is_hidden() -> None:
    """A secret that SQL or its parameters hold is hidden when it is named as one."""
    with _client(_echo(400)) as client, pytest.raises(supabase.RejectedError) as caught:
        client.database.query(REF, "select 'canary-1', $1", ["canary-2"], hidden=["canary-1", "canary-2"])

    assert "canary" not in _said(caught.value)


ANSWERS = {
    "keys.all": [{"name": "default", "type": "secret", "api_key": "canary"}],
    "keys.pairs": [{"name": "service_role", "type": "legacy", "api_key": "canary"}],
    "database.temporary_login": {"role": "r", "password": "canary", "ttl_seconds": 60},
    "configuration.postgrest": {"db_schema": "public", "jwt_secret": "canary"},
    "configuration.auth": {"smtp_pass": "canary"},
}
READERS: dict[str, Callable[[ManagementClient], object]] = {
    "keys.all": lambda c: c.keys.all(REF),
    "keys.pairs": lambda c: c.keys.pairs(REF),
    "database.temporary_login": lambda c: c.database.temporary_login(REF, read_only=True),
    "configuration.postgrest": lambda c: c.configuration.read(REF, supabase.PostgrestSettings),
    "configuration.auth": lambda c: c.configuration.read(REF, supabase.AuthSettings),
}


@pytest.mark.parametrize("name", READERS)
def test_what_was_read_is_hidden_later(name: str) -> None:
    """A secret that an answer held is hidden in every later error of the client."""
    answers = [httpx.Response(200, json=ANSWERS[name]), httpx.Response(400, json={"message": "not canary"})]

    with _client(lambda _: answers.pop(0)) as client:
        READERS[name](client)
        with pytest.raises(supabase.RejectedError, match=r"not \[secret\]"):
            client.projects.get(REF)


@pytest.mark.parametrize("name", READERS)
def test_values_do_not_show_themselves(name: str) -> None:
    """The text of a value that holds a secret leaves it out."""
    with _client(lambda _: httpx.Response(200, json=ANSWERS[name])) as client:
        found = READERS[name](client)

    assert "canary" not in f"{found!r} {found}"


def test_settings_show_what_is_set() -> None:
    """Of settings the fields that are set are shown, secret ones and unknown ones without their values."""
    settings = supabase.AuthSettings.of({**SETTINGS, "jwt_exp": 3600, "external_apple_secret": None})
    newer = supabase.AuthSettings.read({"jwt_exp": "1h", "new_secret": "canary"})

    assert "canary" not in f"{settings!r} {settings} {newer!r} {newer}"
    assert "jwt_exp=3600" in repr(settings)
    assert "smtp_pass='[secret]'" in repr(settings)
    assert "external_apple_secret=None" in repr(settings)
    assert "site_url" not in repr(settings)
    assert repr(newer) == "AuthSettings(jwt_exp='1h')"


def test_secret_of_the_tokens_is_not_given_out() -> None:
    """The secret that signs tokens is no setting, though the service answers it among them."""
    with _client(lambda _: httpx.Response(200, json=ANSWERS["configuration.postgrest"])) as client:
        found = client.configuration.read(REF, supabase.PostgrestSettings)

    assert found.values() == {"db_schema": "public"}


def test_invalid_secret_is_not_shown() -> None:
    """A value of a wrong type is refused without being shown."""
    with pytest.raises(supabase.InvalidSettingError, match=r"auth\.smtp_pass: ") as caught:
        supabase.AuthSettings.of({"smtp_pass": {"inner": "canary"}})

    assert "canary" not in _said(caught.value)


def test_every_secret_field_is_known(operations: Operations) -> None:
    """A field of auth whose name says that it is secret is treated so, and the codes that log somebody in."""
    request = httpx.Request("PATCH", f"https://api.test/v1/projects/{REF}/config/auth")
    names = {name for one in operations.of(request) for name in (one.body or {})["properties"]}
    endings = ("_secret", "_secrets", "_pass", "_auth_token", "_api_key", "_access_key")

    named = {name for name in names if name.endswith(endings)}
    assert {*named, "sms_test_otp"} == supabase.AuthSettings.secrets
