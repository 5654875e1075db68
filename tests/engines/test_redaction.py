"""No spelling of a secret survives."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.redaction import redact


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("token hunter2!", "hunter2"),
        ("at postgresql://u:p%40ss@h/db", "p@ss"),
        ("password p@ss failed", "postgresql://u:p%40ss@h/db"),
        ("got inner", '{"1": "inner"}'),
        ("got inner", '[{"a": ["inner"]}]'),
        (json.dumps({"k": 'a"b\n'}), 'a"b\n'),
        (json.dumps({"got": json.dumps({"k": 'a"b\n'})}), 'a"b\n'),
    ],
)
def test_each_form_is_removed(text: str, secret: str) -> None:
    """Plain, quoted for a URL or JSON, a leaf of JSON, a URL's password: all go."""
    cleaned = redact(text, [secret])

    assert "[secret]" in cleaned
    assert not [word for word in ("hunter2", "p@ss", "p%40ss", "inner", 'a\\"b') if word in cleaned]


def test_long_secret_goes_as_a_whole() -> None:
    """A secret that begins like another leaves no rest."""
    assert redact("abcdef", ["abc", "abcdef"]) == "[secret]"


def test_empty_secret_changes_nothing() -> None:
    """An empty value is no secret."""
    assert redact("text", [""]) == "text"


@given(st.text(min_size=6), st.text())
def test_no_secret_survives(secret: str, around: str) -> None:
    """Whatever the secret is, neither it nor its URL form is left."""
    cleaned = redact(f"{around}{secret}{around}{quote(secret, safe='')}", [secret])

    assert secret not in cleaned.replace("[secret]", "\0")
