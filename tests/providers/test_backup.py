"""The restore point before migrations, made by a real stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from providers.backup import RestorePointProvider
from providers.migrations import MigrationsProvider
from tests.providers.fix_reach import reach

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_emulator import Emulator, Project

pytestmark = pytest.mark.usefixtures("fresh_logins")


@pytest.fixture
def pointed(emulator: Emulator) -> Project:
    """Give a project of the test's own, whose database has no history."""
    return emulator.create("pointed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with one file."""
    (tmp_path / "001_a.sql").write_text("create table private_a (n int)", encoding="utf-8")
    return tmp_path


def _props(project: Project, folder: Path, **changes: Any) -> dict[str, Any]:
    fixed = {"layout": "auto", "stack": "prod", "contract_after_s": 0.0}
    return {**reach(project), "folder": str(folder), **fixed, **changes}


def _migrations(project: Project, folder: Path, **changes: Any) -> dict[str, Any]:
    fixed = {"disposable": False, "verify": False, "allow_out_of_order": False, "phase": "expand"}
    return {**_props(project, folder), **fixed, "lock_wait_s": 5, "lock_timeout_s": 0.1, **changes}


def _updated(olds: dict[str, Any], props: dict[str, Any]) -> dict[str, Any]:
    provider = RestorePointProvider()
    news = provider.check(olds, props).inputs
    made = provider.update("id", olds, news) if olds else provider.create(news)
    return dict(made.outs or {})


def _points(project: Project) -> int:
    client, path = project.emulator.client, f"{project.path}/database/backups/restore-point"
    return sum(client.get(path, params={"name": name}).is_success for name in ("prod-001", "prod-001.2"))


def test_a_restore_point_is_made_when_files_are_pending(pointed: Project, folder: Path) -> None:
    """Not for a database without a history, nor without a pending file; named after stack and version."""
    provider, props = RestorePointProvider(), _props(pointed, folder)
    assert _updated({}, props)["point"] == ""
    MigrationsProvider().create(_migrations(pointed, folder))
    quiet = provider.check({}, props).inputs
    assert not provider.diff("id", quiet, quiet).changes
    assert (_updated({}, props)["point"], _points(pointed)) == ("", 0)

    (folder / "002_b.sql").write_text("create table private_b (n int)", encoding="utf-8")
    news = provider.check({}, props).inputs
    assert news["pending"] == {"002_b.sql": "expand"}
    assert provider.diff("id", quiet, news).changes
    assert _updated({}, props)["point"] == "prod-001"
    # That update failed: what was written since is kept by another one.
    assert _updated(quiet, props)["point"] == "prod-001.2"
    assert _points(pointed) == 2


def test_files_that_are_held_back_get_theirs_when_they_run(pointed: Project, folder: Path) -> None:
    """No update asks for one while they wait; the one that applies them does."""
    MigrationsProvider().create(_migrations(pointed, folder))
    drop = "-- groundwork: phase=contract\ndrop table private_a;"
    (folder / "002_b.sql").write_text(drop, encoding="utf-8")
    held = {"contract_after_s": 3600.0}
    contract = _migrations(pointed, folder, phase="contract", restore_point=True, **held)

    assert RestorePointProvider().check({}, _props(pointed, folder, **held)).inputs["pending"] == {}
    stored = dict(MigrationsProvider().create(contract).outs or {})
    assert _points(pointed) == 0

    # Also one that got another name in the meantime.
    (folder / "002_b.sql").rename(folder / "003_b.sql")
    stored["held"] = {"002_b.sql": "2020-01-01T00:00:00+00:00"}
    done = dict(MigrationsProvider().update("id", stored, contract).outs or {})
    assert (done["latest"], _points(pointed)) == ("003", 1)


def test_a_database_that_did_not_answer_is_asked_again(pointed: Project, folder: Path) -> None:
    """Changed files may be applied in this update, so it looks for itself whether they are pending."""
    provider, props = RestorePointProvider(), _props(pointed, folder, files={"001_a.sql": "1"})
    away = {**props, "api_url": "http://127.0.0.1:1"}
    stored = dict(provider.create(props).outs or {})
    news = provider.check({}, {**away, "files": {"001_a.sql": "1", "002_b.sql": "2"}}).inputs
    same = provider.check({}, away).inputs

    assert provider.diff("id", stored, news).changes
    assert not provider.diff("id", stored, same).changes
