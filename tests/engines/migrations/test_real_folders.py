"""What files of real projects hold: ours leaves what psql leaves, file by file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engines.migrations.fix_folders import FOLDERS

if TYPE_CHECKING:
    from tests.engines.migrations.fix_twin import Twin


@pytest.mark.parametrize("name", FOLDERS)
def test_same_as_psql(twin: Twin, name: str) -> None:
    """Schema, owners, rights, comments, rows and sequences are psql's; nothing is left to do."""
    role = f"r_{twin.dsn.rpartition('/')[2]}"
    files = FOLDERS[name]
    twin.write({key: t.replace("{role}", role) if isinstance(t, str) else t for key, t in files.items()})

    twin.by_psql()
    twin.up()

    twin.agree()
