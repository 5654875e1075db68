"""An event loop as a program under Pulumi has: settings hold outputs, and each output is a task of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def program_loop() -> Iterator[None]:
    """Have a loop of its own, whatever other tests left, and end all of its tasks."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop)))
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def settings_loop() -> Iterator[None]:
    """Let a test make settings."""
    with program_loop():
        yield


@pytest.fixture(scope="module")
def settings_loop_of_module() -> Iterator[None]:
    """Let the fixtures and tests of a module make settings."""
    with program_loop():
        yield
