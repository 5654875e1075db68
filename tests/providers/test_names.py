"""Names by content."""

from __future__ import annotations

import re
from typing import Any

from providers.names import ContentNamesProvider

BOTH = {"database_url": "d1", "session_key": "d2"}


def created(contents: dict[str, str], prefix: str = "product-app") -> dict[str, Any]:
    """Give the outputs of a first update."""
    return dict(ContentNamesProvider().create({"prefix": prefix, "contents": contents}).outs or {})


def updated(olds: dict[str, Any], contents: dict[str, str]) -> dict[str, Any]:
    """Give the outputs of a further update."""
    news = {"prefix": "product-app", "contents": contents}
    return dict(ContentNamesProvider().update("", olds, news).outs or {})


def test_a_name_can_be_read_and_says_nothing() -> None:
    """It tells whose and what, and ends in digits of which nobody learns the content."""
    first, second = created(BOTH)["names"], created(BOTH)["names"]

    assert re.fullmatch(r"product-app-database_url-[0-9a-f]{12}", first["database_url"])
    assert first["database_url"] != second["database_url"]


def test_only_what_changed_gets_a_new_name() -> None:
    """The others keep theirs, so that nothing is replaced for nothing; what is gone has none."""
    olds = created({**BOTH, "gone": "d0"})

    names = updated(olds, {"database_url": "d1", "session_key": "other", "more": "d3"})["names"]

    assert names["database_url"] == olds["names"]["database_url"]
    assert names["session_key"] != olds["names"]["session_key"]
    assert list(names) == ["database_url", "session_key", "more"]


def test_content_that_comes_back_gets_a_third_name() -> None:
    """What a rolled-back release still holds has the first one."""
    first = created(BOTH)
    second = updated(first, {**BOTH, "session_key": "other"})
    third = updated(second, BOTH)

    assert len({outs["names"]["session_key"] for outs in (first, second, third)}) == 3


def test_a_long_name_fits() -> None:
    """Docker takes 64 characters."""
    assert {len(name) for name in created(BOTH, prefix="p" * 60)["names"].values()} == {64}


def test_the_same_again_is_no_change() -> None:
    """A second update has nothing to do."""
    news = {"prefix": "product-app", "contents": BOTH}

    assert not ContentNamesProvider().diff("", created(BOTH), news).changes
