"""Migrations in an update: applied, then verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from engines.migrations import UnverifiedError
from providers.migrations import MigrationsProvider

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def props(database: str, tmp_path: Path) -> dict[str, Any]:
    """Give the properties of a folder with one file that loses rows, and a database that has some."""
    (tmp_path / "001_a.sql").write_text("delete from a where n > 50", encoding="utf-8")
    (tmp_path / "checks").mkdir()
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("create table a as select n from generate_series(1, 100) n")
    fixed = {"disposable": False, "verify": True, "allow_out_of_order": False, "stack": "test"}
    where = {"dsn": database, "folder": str(tmp_path), "layout": "auto"}
    return {**where, **fixed, "phase": "expand", "lock_wait_s": 5, "lock_timeout_s": 0.1}


def test_result_that_does_not_hold_fails_the_update(props: dict[str, Any], tmp_path: Path) -> None:
    """The files are applied, the update fails with what to do, and again until it is corrected."""
    for _ in range(2):
        with pytest.raises(UnverifiedError, match=r"public\.a had 100 rows before the run"):
            MigrationsProvider().create(props)
    (tmp_path / "checks" / "rules.toml").write_text("shrink_percent = 50", encoding="utf-8")

    created = MigrationsProvider().create(props)
    assert (created.outs or {})["latest"] == "001"


def test_verification_that_failed_is_pending(props: dict[str, Any], tmp_path: Path) -> None:
    """An update that failed for its verification is not done: the next one asks again, until it holds."""
    provider = MigrationsProvider()
    with pytest.raises(UnverifiedError):
        provider.create(props)
    news = provider.check({}, props).inputs
    assert news["pending"] == {"verification of the last run": "expand"}
    assert provider.diff("id", news, news).changes

    (tmp_path / "checks" / "rules.toml").write_text("shrink_percent = 50", encoding="utf-8")
    provider.update("id", news, news)
    news = provider.check({}, props).inputs
    assert not provider.diff("id", news, news).changes


def test_not_verified_when_not_asked(props: dict[str, Any]) -> None:
    """Without verification nothing is counted, so that a later one does not compare with old rows."""
    MigrationsProvider().create({**props, "verify": False})

    with psycopg.connect(props["dsn"]) as session:
        assert session.execute("select to_regclass('groundwork.row_counts')").fetchone() == (None,)


def test_wrong_rules_are_told_by_the_preview(props: dict[str, Any], tmp_path: Path) -> None:
    """Rules that cannot be used fail the check, before anything runs."""
    (tmp_path / "checks" / "rules.toml").write_text("exposd = []", encoding="utf-8")

    [failure] = MigrationsProvider().check({}, props).failures
    assert "rules.toml: `exposd` is not known" in failure.reason


def test_preview_writes_nothing(props: dict[str, Any]) -> None:
    """A preview makes no table, not even of its own."""
    provider = MigrationsProvider()
    news = provider.check({}, props).inputs
    provider.diff("id", {}, news)

    with psycopg.connect(props["dsn"]) as session:
        assert session.execute("select to_regnamespace('groundwork')").fetchone() == (None,)
