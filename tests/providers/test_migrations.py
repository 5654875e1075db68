"""Migrations in an update: applied, then verified."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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


@pytest.fixture
def contract(database: str, tmp_path: Path) -> dict[str, Any]:
    """Give the properties of the phase after the rollout, with one contract file that waits for an hour."""
    (tmp_path / "001_a.sql").write_text("create table a (n int, old int)", encoding="utf-8")
    fixed = {"disposable": False, "verify": False, "allow_out_of_order": False, "stack": "test"}
    where = {"dsn": database, "folder": str(tmp_path), "layout": "auto"}
    props = {**where, **fixed, "phase": "expand", "lock_wait_s": 5, "lock_timeout_s": 0.1}
    MigrationsProvider().create(props)
    _write(tmp_path, "002_b.sql", "alter table a drop column old")
    return {**props, "phase": "contract", "contract_after_s": 3600.0}


def _write(folder: Path, name: str, sql: str) -> None:
    (folder / name).write_text(f"-- groundwork: phase=contract\n{sql};\n", encoding="utf-8")


def _updated(olds: dict[str, Any], props: dict[str, Any]) -> dict[str, Any]:
    """Run one update: check, compare, and apply where that asks for it."""
    provider = MigrationsProvider()
    news = provider.check(olds, props).inputs
    if not olds:
        return dict(provider.create(news).outs or {})
    return dict(provider.update("id", olds, news).outs or {}) if _asks(olds, props) else olds


def _asks(olds: dict[str, Any], props: dict[str, Any]) -> bool:
    provider = MigrationsProvider()
    return bool(provider.diff("id", olds, provider.check(olds, props).inputs).changes)


def _ago(stored: dict[str, Any], **ago: float) -> dict[str, Any]:
    """Let all files wait for longer."""
    begun = (datetime.now(UTC) - timedelta(**ago)).isoformat()
    return {**stored, "held": dict.fromkeys(stored["held"], begun)}


def test_a_contract_file_waits_from_the_first_update_with_it(
    contract: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The first update records it, further ones have nothing to do and say until when; then it is applied."""
    stored = _updated({}, contract)
    assert (stored["latest"], list(stored["held"])) == ("001", ["002_b.sql"])

    capsys.readouterr()
    assert not _asks(stored, contract)
    assert "held back until" in capsys.readouterr().err

    assert _asks(_ago(stored, minutes=61), contract)
    done = _updated(_ago(stored, minutes=61), contract)
    assert (done["latest"], done["held"]) == ("002", {})
    assert not _asks(done, contract)


def test_without_a_time_to_wait_it_is_applied_at_once(contract: dict[str, Any]) -> None:
    """The default: the update that rolled the new code out takes away what the old one needed."""
    done = _updated({}, {**contract, "contract_after_s": 0.0})

    assert (done["latest"], done["held"]) == ("002", {})


def test_an_edited_file_waits_anew_and_a_renamed_one_does_not(
    contract: dict[str, Any], tmp_path: Path
) -> None:
    """Another content may take away what the code that runs still uses; another name takes away the same."""
    stored = _ago(_updated({}, contract), minutes=59)
    (tmp_path / "002_b.sql").rename(tmp_path / "003_b.sql")
    renamed = _updated(stored, contract)
    assert renamed["held"] == {"003_b.sql": stored["held"]["002_b.sql"]}

    _write(tmp_path, "003_b.sql", "alter table a drop column n")
    assert _updated(renamed, contract)["held"]["003_b.sql"] > stored["held"]["002_b.sql"]


def test_a_file_that_was_taken_away_waits_anew_when_it_comes_back(
    contract: dict[str, Any], tmp_path: Path
) -> None:
    """A release was taken back with its files: the clients of the one before are at work again."""
    stored = _ago(_updated({}, contract), minutes=61)
    text = (tmp_path / "002_b.sql").read_text()
    (tmp_path / "002_b.sql").unlink()
    stored = _updated(stored, contract)
    (tmp_path / "002_b.sql").write_text(text)

    again = _updated(stored, contract)

    assert stored["held"] == {}
    assert (again["latest"], list(again["held"])) == ("001", ["002_b.sql"])


def test_a_database_that_is_not_asked_says_nothing_of_what_waits(contract: dict[str, Any]) -> None:
    """A preview without the database is no reason to begin anew."""
    stored = _updated({}, contract)
    away = {**contract, "dsn": "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"}
    news = MigrationsProvider().check({}, away).inputs

    assert "pending" not in news
    assert not MigrationsProvider().diff("id", stored, {**news, "dsn": stored["dsn"]}).changes


def test_files_behind_one_that_waits_wait_too(contract: dict[str, Any], tmp_path: Path) -> None:
    """Files run in order, so one whose time has come stays behind one whose time has not."""
    stored = _updated({}, contract)
    _write(tmp_path, "003_c.sql", "create table c ()")
    stored = _updated(stored, contract)
    stored["held"] |= {"003_c.sql": "2020-01-01T00:00:00+00:00"}
    assert not _asks(stored, contract)

    stored["held"] |= {"002_b.sql": "2020-01-01T00:00:00+00:00", "003_c.sql": datetime.now(UTC).isoformat()}
    partly = _updated(stored, contract)
    assert (partly["latest"], list(partly["held"])) == ("002", ["003_c.sql"])


def test_an_expand_file_behind_one_that_waits_is_refused(contract: dict[str, Any], tmp_path: Path) -> None:
    """The new code would run without it, so the preview says what to do, and nothing runs out of order."""
    (tmp_path / "003_c.sql").write_text("create table c ()", encoding="utf-8")

    [failure] = MigrationsProvider().check({}, {**contract, "phase": "expand"}).failures

    assert "003_c.sql sorts behind 002_b.sql" in failure.reason
    assert "give it a version after 003_c.sql" in failure.reason
    assert not MigrationsProvider().check({}, {**contract, "phase": "expand", "contract_after_s": 0}).failures


def test_a_new_database_waits_for_nothing(props: dict[str, Any], tmp_path: Path) -> None:
    """There is no old code to spare: all files run before the first rollout."""
    _write(tmp_path, "002_b.sql", "drop table a")

    done = _updated({}, {**props, "verify": False, "contract_after_s": 3600.0})

    assert (done["latest"], done["held"]) == ("002", {})
