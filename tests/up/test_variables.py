"""One more variable, from its declaration to the services, with the real engine."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pulumi import automation as auto

from tests.fix_program import Program, open_program, scratch
from tests.up.fix_local import processes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

CANARY = "canary-7c41d0a9"
TOP = "CATALOGUE: tuple[Variable, ...] = (\n"
NEW = """\
    Variable(name="TAX_KEY", services=("agent",), description="Key of the tax service", secret=True),
    Variable(name="LOG_LEVEL", services=("app", "agent"), description="What is logged"),
"""


@pytest.fixture(scope="module")
def declared() -> Iterator[Program]:
    """Give a program that declares two more variables, one of them secret, and has no value for either."""
    program = open_program(scratch())
    declarations = program.folder / "settings" / "variables.py"
    declarations.write_text(declarations.read_text().replace(TOP, TOP + NEW))
    script = [sys.executable, "scripts/variables.py"]
    environment = {**os.environ, "PYTHONPATH": str(program.folder)}
    subprocess.run(script, cwd=program.folder, env=environment, check=True)
    yield program
    program.clean()


def _refused(program: Program) -> str:
    with pytest.raises(auto.CommandError) as caught:
        program.preview()
    return str(caught.value)


def _environment(program: Program, service: str) -> dict[str, str]:
    """Read what the running process of a service was started with."""
    (found,) = (one for one in processes_of(program.folder) if one.cwd().endswith(f"workloads/{service}"))
    return dict(found.environ())


def test_a_stack_without_a_value_is_told_what_it_lacks(declared: Program) -> None:
    """The preview names each variable, who needs it, and the command that sets it."""
    told = _refused(declared)

    assert "groundwork:variables.TAX_KEY: is needed by agent; set it by `pulumi config set --secret" in told
    assert "groundwork:variables.LOG_LEVEL: is needed by app and agent" in told
    assert "Traceback" not in told


def test_a_secret_in_clear_is_refused(declared: Program) -> None:
    """It is refused beside an encrypted one too, though Pulumi calls the whole map secret then."""
    declared.set("variables.TAX_KEY", CANARY)
    alone = _refused(declared)
    declared.stack.set_config(
        "groundwork:variables.LOG_LEVEL", auto.ConfigValue("debug", secret=True), path=True
    )
    beside = _refused(declared)
    declared.stack.remove_config("groundwork:variables", path=True)

    assert "groundwork:variables.TAX_KEY: is secret and must be encrypted" in alone
    assert "groundwork:variables.TAX_KEY: is secret and must be encrypted" in beside
    assert "groundwork:variables.LOG_LEVEL: is encrypted, but not declared as secret" in beside
    assert CANARY not in alone + beside


def test_each_service_gets_what_is_declared_for_it(declared: Program) -> None:
    """A plain value is in the environments, a secret one in a file of the service named and nowhere else."""
    declared.set("variables.LOG_LEVEL", "7")
    secret = auto.ConfigValue(CANARY, secret=True)
    declared.stack.set_config("groundwork:variables.TAX_KEY", secret, path=True)
    declared.up()
    files = [path for path in (declared.folder / ".local").rglob("*") if path.is_file()]
    holders = [path for path in files if CANARY.encode() in path.read_bytes()]
    agent, app = _environment(declared, "agent"), _environment(declared, "app")
    declared.preview()
    again = declared.changed()
    declared.stack.remove_config("groundwork:variables", path=True)

    assert [path.parts[-2:] for path in holders] == [("agent", "tax_key")]
    assert (agent["LOG_LEVEL"], app["LOG_LEVEL"]) == ("7", "7")
    assert CANARY not in str(agent)
    assert again == {}
