"""What counts as the same setting, in the spellings of a stack and of the platform."""

from __future__ import annotations

from typing import Any

import pytest

from engines.supabase import differing, equal


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ("public, graphql_public", "public,graphql_public"),
        (3600.0, 3600),
        (None, ""),
        (["192.0.2.0/24", "198.51.100.0/24"], ["198.51.100.0/24", "192.0.2.0/24"]),
        ({"s3Protocol": {"enabled": True}}, {"s3Protocol": {"enabled": True}, "other": 1}),
        ("<p>Welcome, dear guest</p>\n", "<p>Welcome, dear guest</p>"),
    ],
)
def test_other_spelling_is_equal(wanted: Any, live: Any) -> None:
    """The platform spells some values its own way."""
    assert equal(wanted, live)
    assert differing({"field": wanted}, {"field": live}) == {}


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ("<p>Welcome,dear guest</p>", "<p>Welcome, dear guest</p>"),
        ("<p>Yes , we can</p>", "<p>Yes, we can</p>"),
        ("a,b", "b,a"),
        (0, None),
        (False, None),
        ("", 0),
        ({"s3Protocol": {"enabled": False}}, {}),
    ],
)
def test_other_value_differs(wanted: Any, live: Any) -> None:
    """Blanks in prose count, and neither nothing nor no is the same as unset."""
    assert not equal(wanted, live)
    assert differing({"field": wanted}, {"field": live}) == {"field": wanted}
