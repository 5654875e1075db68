"""Plugins of the test suite: one file of fixtures per subject."""

from __future__ import annotations

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
    "tests.release.fix_release",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what starts the real engine last, on Docker at the very end: quick failures come first.

    What uses Docker runs folder by folder where tests run side by side: what takes long to start is shared,
    and two products under load at once would only measure the machine.
    """
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in ("docker", "engine")])
    # First of all hooks: xdist reads the groups in its own.
    for item in items:
        if item.get_closest_marker("docker"):
            item.add_marker(pytest.mark.xdist_group(item.path.parent.name))
