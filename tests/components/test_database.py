"""What of a folder of migrations an update watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.database import digests

if TYPE_CHECKING:
    from pathlib import Path


def test_every_layout_is_watched(tmp_path: Path) -> None:
    """Files, Drizzle's folders and its journal count; snapshots and checks do not."""
    names = ("001_a.sql", "20260101000000_b/migration.sql", "meta/_journal.json")
    for name in (*names, "20260101000000_b/snapshot.json", "meta/0000_snapshot.json", "checks/c.sql"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")

    before = digests(tmp_path)
    (tmp_path / names[1]).write_text("2", encoding="utf-8")

    assert tuple(sorted(before)) == names
    assert [name for name in names if digests(tmp_path)[name] != before[name]] == [names[1]]
