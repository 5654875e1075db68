"""What a stack says of its gate, of files that wait, and of what is kept before migrations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.settings.reading import load, problems


def test_a_restore_point_needs_no_bucket() -> None:
    """The platform keeps it; a bucket is for what goes to a store."""
    settings = load({"backup": {"before_migrations": "restore-point"}})

    assert settings.backup is not None
    assert settings.backup.before_migrations == "restore-point"
    assert settings.backup.bucket is None


def test_a_backup_section_that_asks_for_nothing_is_refused() -> None:
    """A region alone names no store."""
    assert "groundwork:backup.bucket: is needed" in problems({"backup": {"region": "eu-central-1"}})


@pytest.mark.parametrize(("given", "wanted"), [(0, 0.0), ("7d", 604800.0), (1.5, 1.5)])
def test_contract_files_may_wait_or_not(given: object, wanted: float) -> None:
    """0 is no time; anything else is a duration as everywhere."""
    assert load({"migrations": {"contract_after": given}}).migrations.contract_after == wanted


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"migrations": {"contract_after": -1}}, "migrations.contract_after: must be a duration above zero"),
        ({"migrations": {"contract_after": False}}, "migrations.contract_after: must be a duration"),
        ({"health": {"max_error_rate": 1.5}}, "health.max_error_rate"),
        ({"health": {"min_requests": -1}}, "health.min_requests"),
        ({"health": {"window": 0}}, "health.window: must be a duration above zero"),
        ({"health": {"accept": "3f2a90c1d4e7"}}, "health.accept: must be the id of a release"),
    ],
)
def test_what_cannot_be_meant_is_refused(section: dict[str, Any], text: str) -> None:
    """Each problem names its key."""
    assert text in problems(section)


@pytest.mark.parametrize(
    "endpoint",
    [
        "ssh://me:CANARY@host",
        "ssh://-oProxyCommand=CANARY",
        "ssh://-x@host",
        "ssh://",
        "tcp://me:CANARY@host:2376",
    ],
)
def test_an_engine_with_a_password_or_an_option_in_its_address_is_refused(endpoint: str) -> None:
    """In the preview, and the value is not said."""
    message = problems({"host": {"kind": "docker", "docker": {"endpoint": endpoint}}})

    assert "groundwork:host.docker.endpoint: must be a ssh://USER@HOST" in message
    assert "CANARY" not in message


@pytest.mark.parametrize("value", [0.25, "0.25"])
def test_a_decimal_number_may_be_text(value: object) -> None:
    """`pulumi config set --path` writes whole numbers as numbers, and decimal ones as text."""
    assert load({"health": {"max_error_rate": value}}).health.max_error_rate == 0.25


@pytest.mark.parametrize("value", ["1e3", "x", "-0.5", ".5", "0.5 "])
def test_other_texts_are_no_number(value: str) -> None:
    """The key and what is allowed are said."""
    expected = "groundwork:health.max_error_rate: must be a number"
    assert expected in problems({"health": {"max_error_rate": value}})
