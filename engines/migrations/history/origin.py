"""Who runs migrations, with which version of the tool, from which commit: for the record."""

from __future__ import annotations

import getpass
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from engines.version import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from engines.migrations.plan import Options

_LONGEST_S = 10


def signed(options: Options, folder: Path) -> Options:
    """Give options that also say who, with what and from which commit."""
    return replace(options, actor=_actor(), tool_version=VERSION, git_commit=commit_of(folder))


def _actor() -> str:
    """Name the user of the machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        return str(os.getuid())


def commit_of(folder: Path) -> str:
    """Give the commit that a folder is checked out at, with `-dirty` where files were changed since.

    Empty where there is no git, no repository, or no commit yet: a record without it is better than none.
    """
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=_LONGEST_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
