"""The lock files of the tools: exact versions from whichever registry the machine is set to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("folder", [HERE, HERE / "drizzle-1"], ids=lambda folder: folder.name)
def test_lock_names_no_registry(folder: Path) -> None:
    """No address is in a lock, and packages are pinned by their hash."""
    text = (folder / "package-lock.json").read_text(encoding="utf-8")
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}

    assert "://" not in text
    assert all(entry["version"] for entry in packages.values())
    # Builds of the Supabase CLI for other machines are pinned by their version alone.
    assert [
        name
        for name, entry in packages.items()
        if "integrity" not in entry and not name.startswith("node_modules/@supabase/cli-")
    ] == []
