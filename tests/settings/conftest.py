"""Every test here is the program of the stack `local`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pulumi
import pytest
from pulumi.runtime import configure, set_all_config

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _stack() -> Iterator[None]:
    """Let every test be the program of the stack `local`, with an event loop as under Pulumi."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    configure(pulumi.runtime.Settings(project="groundwork", stack="local"))
    yield
    set_all_config({}, [])
    loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop)))
    asyncio.set_event_loop(None)
    loop.close()
