"""Secrets, durations, schedules and addresses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings import SettingsError
from settings.values import seconds
from tests.settings.reading import CANARY, REMOTE, load, problems


class TestSecrets:
    """Values that nobody may read."""

    def test_a_given_value_is_a_secret_output(self) -> None:
        """A secret reaches the program as an Output that Pulumi encrypts."""
        settings = load({"supabase": REMOTE})
        token = settings.supabase.access_token

        assert token is not None
        assert asyncio.get_event_loop().run_until_complete(token.is_secret())
        assert CANARY not in repr(settings)

    @pytest.mark.parametrize(
        "keys",
        [
            {"secrets": {"ai_api_key": {"value": f" {CANARY} "}}},
            {"secrets": {"ai_api_key": {"value": [CANARY]}}},
            {"secrets": {"ai_api_key": CANARY}},
            {"secrets": {"mail_api_key": {"vlue": CANARY}}},
            {"supabase": {"api_url": f"https://x?token={CANARY}", "access_token": CANARY}},
            {"supabase": {"region": CANARY}},
            {"variables": {"REPLY_PRICE": CANARY}},
        ],
    )
    def test_no_message_shows_a_value(self, keys: dict[str, Any]) -> None:
        """Messages say what is allowed, never what was given: it may be a secret in the wrong place."""
        with pytest.raises(SettingsError) as caught:
            load(keys)

        assert CANARY not in str(caught.value)
        assert CANARY not in repr(caught.value.__cause__)
        assert CANARY not in repr(caught.value.__context__)

    @pytest.mark.parametrize("value", ["changeme", "CHANGE-ME", "<token>", "[YOUR-KEY]", "todo", "xxxxx"])
    def test_a_placeholder_is_no_secret(self, value: str) -> None:
        """A value left from an example is refused."""
        message = problems({"secrets": {"ai_api_key": {"value": value}}})

        assert "groundwork:secrets.ai_api_key.value: is a placeholder" in message

    def test_what_signs_cannot_be_guessed(self) -> None:
        """A short secret could be found from what it signs, which is not secret."""
        message = problems({"secrets": {"billing_webhook_secret": {"value": "short-CANARY"}}})

        assert "groundwork:secrets.billing_webhook_secret.value: must have 16 characters or more" in message
        assert "CANARY" not in message

    def test_a_version_fits_into_the_database(self) -> None:
        """A larger one, such as a time, could not be noted there when it is used."""
        message = problems({"secrets": {"session_key": {"version": 202606011200}}})

        assert "groundwork:secrets.session_key.version" in message

    @pytest.mark.parametrize(
        ("secret", "accepted"),
        [
            ({}, (1,)),
            ({"version": 3}, (3, 2)),
            ({"version": 3, "accept": []}, (3,)),
            ({"version": 3, "accept": "[]"}, (3,)),
            ({"version": 3, "compromised": True}, (3,)),
            ({"version": 4, "accept": [1, 3]}, (4, 3, 1)),
            ({"version": 4, "compromised": True}, (4,)),
        ],
    )
    def test_versions_accepted(self, secret: dict[str, Any], accepted: tuple[int, ...]) -> None:
        """The previous version is accepted unless the stack says otherwise."""
        assert (
            load({"secrets": {"agent_shared_secret": secret}}).secrets.agent_shared_secret.accepted
            == accepted
        )


class TestValues:
    """Durations, schedules and addresses."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("500ms", 0.5), ("30s", 30), ("5min", 300), ("1.5h", 5400), ("7d", 604800), (45, 45), (0.5, 0.5)],
    )
    def test_durations(self, text: object, expected: float) -> None:
        """A duration has a unit, or is a number of seconds."""
        assert seconds(text) == expected

    @given(st.text() | st.floats() | st.integers() | st.booleans() | st.none())
    def test_durations_never_surprise(self, value: object) -> None:
        """Whatever is given, a duration is a number above zero or refused by one error."""
        try:
            result = seconds(value)
        except ValueError as error:
            assert str(error).startswith("must be a duration")  # noqa: PT017  # both outcomes are right here
        else:
            assert result > 0

    @pytest.mark.parametrize(
        "schedule",
        ["* * * * *", "*/5 1-3 1,15 jan-mar MON-FRI", "0 0 $ * *", "30 seconds", "1 second", " 0  4 * * 0 "],
    )
    def test_schedules_that_pg_cron_takes(self, schedule: str) -> None:
        """Five fields or seconds are kept, with single blanks."""
        job = load({"cron": {"a": {"schedule": schedule, "path": "/"}}}).cron["a"]

        assert job.schedule == " ".join(schedule.split())

    @pytest.mark.parametrize(
        "schedule",
        [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "0 0 30 2 *",
            "60 seconds",
            "0 seconds",
            "0 0 L * *",
            "0 0 * * 1#2",
        ],
    )
    def test_schedules_that_pg_cron_does_not_take(self, schedule: str) -> None:
        """What pg_cron would refuse or never run is refused here."""
        message = problems({"cron": {"a": {"schedule": schedule, "path": "/"}}})

        assert "groundwork:cron.a.schedule: must be five cron fields" in message

    @pytest.mark.parametrize(
        "url",
        [
            "https://example.com",
            "http://127.0.0.1:8000",
            "http://localhost",
            "http://10.0.0.7",
            "http://agent:80",
        ],
    )
    def test_addresses(self, url: str) -> None:
        """Plain http is for this machine and private networks; a slash at the end is cut."""
        assert load({"app": {"public_url": f"{url}/"}}).app.public_url == url

    def test_a_stand_in_elsewhere_on_this_machine_reaches_a_local_agent(self) -> None:
        """Cron needs no public address when the database runs on this machine."""
        remote = {"api_url": "http://127.0.0.1:8000", "access_token": CANARY}
        job = {"schedule": "* * * * *", "path": "/"}

        assert load({"supabase": remote, "cron": {"a": job}}).agent.public_url is None
