"""What is written as YAML is read back as it was."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engines.adoption.text import commented, to_yaml

LETTERS = st.characters(exclude_categories=["Cs"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
)
NAMES = st.text(LETTERS, max_size=12) | st.sampled_from(
    ["no", "Yes", "null", "~", "1e3", "0x1f", "a: b", "- a"]
)
LINES = st.lists(st.text(LETTERS, max_size=9), max_size=5).map("\n".join)
VALUES = st.recursive(
    SCALARS | NAMES | LINES | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_every_value_comes_back(values: dict[str, Any]) -> None:
    """Words that YAML takes for something else, blanks, control letters and texts of many lines survive."""
    assert yaml.safe_load(to_yaml(values, {})) == (values or None)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "a: plain\n"),
        ("https://app.example.com", "a: https://app.example.com\n"),
        ("no", 'a: "no"\n'),
        ("2026-01-01T00:00:00Z", 'a: "2026-01-01T00:00:00Z"\n'),
        ("<h2>Hi</h2>\n\n<p>x</p>\n", "a: |\n  <h2>Hi</h2>\n\n  <p>x</p>\n"),
        ("one\ntwo", "a: |-\n  one\n  two\n"),
    ],
)
def test_people_can_read_it(text: str, written: str) -> None:
    """A plain word has no quotes, and a text of several lines is written as lines."""
    assert to_yaml({"a": text}, {}) == written


def test_comments_stand_above_their_keys() -> None:
    """A comment is indented as its key is, and blank lines in it have no blanks."""
    written = to_yaml({"a": {"b": 1}}, {("a", "b"): ["One.", "", "Two."]})

    assert written == "a:\n  # One.\n  #\n  # Two.\n  b: 1\n"
    assert commented(["x"]) == "# x\n"
