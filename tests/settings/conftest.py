"""Every test here is the program of the stack `local`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pytest
from pulumi.runtime import configure, set_all_config

from tests.fix_loop import program_loop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _stack() -> Iterator[None]:
    """Let every test be the program of the stack `local`, with an event loop as under Pulumi."""
    with program_loop():
        configure(pulumi.runtime.Settings(project="groundwork", stack="local"))
        yield
        set_all_config({}, [])
