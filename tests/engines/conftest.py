"""Fixtures of the engines' tests."""

from __future__ import annotations

from tests.fix_cron import cron_dsn, receiver
from tests.fix_processes import home, stranger

__all__ = ["cron_dsn", "home", "receiver", "stranger"]
