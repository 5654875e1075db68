"""Comparing properties the way Pulumi hands them over."""

from __future__ import annotations

from pulumi.output import Unknown

from providers._crud import changed_keys, plain


def test_equal_inputs_are_no_change() -> None:
    """Outputs that are no inputs, and Pulumi's own key, do not count."""
    olds = {"a": 1, "url": "http://x", "__provider": "old"}

    assert changed_keys(olds, {"a": 1, "__provider": "new"}) == []


def test_a_changed_input_is_named() -> None:
    """The keys that differ are listed."""
    assert changed_keys({"a": 1, "b": {"x": 1}}, {"a": 2, "b": {"x": 1}}) == ["a"]


def test_an_unknown_input_counts_unless_it_is_soft() -> None:
    """An address that is not known yet says nothing about what it leads to."""
    olds = {"dsn": "postgresql://x", "name": "n"}
    news = {"dsn": Unknown(), "name": "n"}

    assert changed_keys(olds, news) == ["dsn"]
    assert changed_keys(olds, news, {"dsn"}) == []


def test_where_messages_go_is_no_property() -> None:
    """A moved component changes the log address only, and nothing is updated for it."""
    assert changed_keys({"log_urn": "a"}, {"log_urn": "b"}) == []


def test_plain_leaves_out_pulumis_key() -> None:
    """What a provider returns holds its own keys only."""
    assert plain({"a": 1, "__provider": "p"}) == {"a": 1}
