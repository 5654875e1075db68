"""Plugins of the test suite: one file of fixtures per subject."""

from __future__ import annotations

pytest_plugins = ["tests.fix_postgres"]
