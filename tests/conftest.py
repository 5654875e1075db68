"""Plugins of the test suite: one file of fixtures per subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = [
    "tests.fix_postgres",
    "tests.fix_emulator",
    "tests.fix_contract",
    "tests.fix_operations",
    "tests.fix_client",
    "tests.fix_named",
    "tests.fix_supabase",
    "tests.fix_product",
    "tests.fix_program",
    "tests.fix_loop",
    "tests.providers.fix_reach",
    "tests.up.fix_local",
    "tests.interop.fix_tools",
    "tests.engines.migrations.fix_twin",
    "tests.docker.fix_docker",
    "tests.docker.fix_ssh",
    "tests.docker.fix_registry",
    "tests.docker.fix_hosted",
    "tests.docker.fix_nodes",
    "tests.release.fix_release",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what starts the real engine last, on Docker at the very end: quick failures come first."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in ("docker", "engine")])
