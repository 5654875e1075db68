"""A URL for people, where the stack keeps the owner's password and where nobody knows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engines import postgres
from tests.fix_program import copy_program

if TYPE_CHECKING:
    from tests.fix_emulator import Project

ROOT = Path(__file__).parents[2]


def run(project: Project, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script as scripts/dsn does."""
    outputs = {"supabase_api_url": project.emulator.api_url, "supabase_ref": project.ref, "database_url": url}
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "dsn.py"), *arguments],
        input=f"{json.dumps(outputs, indent=2)}\n{project.emulator.token}\n",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_kept_password_is_given(project: Project) -> None:
    """The owner's URL is printed as it is."""
    assert run(project, project.dsn).stdout.strip() == project.dsn


@pytest.mark.parametrize(
    ("arguments", "role"),
    [((), "supabase_read_only_user"), (("--write",), "postgres")],
    ids=["read", "write"],
)
def test_temporary_login_is_asked_for(project: Project, arguments: tuple[str, ...], role: str) -> None:
    """Without a password, the URL of a temporary login is printed, which only reads unless asked to write."""
    owner = project.dsn.replace(f":{project.password}@", "@")
    with postgres.connect(run(project, owner, *arguments).stdout.strip()) as session:
        assert session.execute("select current_user::text").fetchone() == (role,)


def test_stack_that_is_not_up_is_told(project: Project) -> None:
    """Without outputs there is nothing to print."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "dsn.py")],
        input=f"{{}}\n{project.emulator.token}",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert "bring it up first" in done.stderr


def test_script_asks_the_engine_for_the_stack(project: Project, tmp_path: Path) -> None:
    """Outputs and token are those of the stack that is named, and flags are handed on."""
    root = copy_program(tmp_path / "copy")
    owner = project.dsn.replace(f":{project.password}@", "@")
    outputs = {
        "supabase_api_url": project.emulator.api_url,
        "supabase_ref": project.ref,
        "database_url": owner,
    }
    key = "groundwork:supabase.access_token"
    engine = [
        "#!/bin/sh",
        'case "$*" in',
        f"  'stack output --json --stack staging --show-secrets') echo '{json.dumps(outputs)}' ;;",
        f"  'config get --stack staging --path {key}') echo '{project.emulator.token}' ;;",
        "  *) exit 1 ;;",
        "esac",
    ]
    (root / "scripts" / "pulumi").write_text("\n".join(engine), encoding="utf-8")
    command = [str(root / "scripts" / "dsn"), "staging", "--write"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    with postgres.connect(done.stdout.strip()) as session:
        assert session.execute("select current_user::text").fetchone() == ("postgres",)


def test_refusal_is_told(project: Project) -> None:
    """Where the platform makes no login, the script fails with its words."""
    fault = {"kind": "status", "status": 403, "path": ".*/cli/login-role", "message": "not for you"}
    project.emulator.client.post("/emulator/faults", json=fault).raise_for_status()
    done = run(project, project.dsn.replace(f":{project.password}@", "@"))

    assert (done.returncode, done.stdout) == (1, "")
    assert "not for you" in done.stderr
