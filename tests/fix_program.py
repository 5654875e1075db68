"""The whole program in a folder of its own, driven through Pulumi's Automation API with the real engine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pulumi import automation as auto

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
PASSPHRASE = "test-passphrase"
COPIES: list[Path] = []


def copy_program(target: Path) -> Path:
    """Copy what a clone would hold, uncommitted changes included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    (target / ".venv").symlink_to(ROOT / ".venv")
    return target


def environment(folder: Path, backend: str) -> dict[str, str]:
    """Give the variables that scripts/pulumi sets, for a state of the test's own."""
    (folder / ".local").mkdir(exist_ok=True)
    path = os.pathsep.join([str(ROOT / ".venv" / "bin"), str(ROOT / ".venv" / "engine"), os.environ["PATH"]])
    return {
        "PATH": path,
        "PULUMI_BACKEND_URL": backend,
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DEBUG_COMMANDS": "1",
    }


@dataclass
class Program:
    """A copy of the program with one stack.

    Attributes:
        folder: the copy.
        stack: the Automation API's handle.
        env: what the engine's processes are given.
        events: engine events of the last operation.
    """

    folder: Path
    stack: auto.Stack
    env: dict[str, str]
    events: list[Any] = field(default_factory=list)

    def up(self, **options: Any) -> auto.UpResult:
        """Run `pulumi up`."""
        self.events = []
        return self.stack.up(on_event=self.events.append, **options)

    def preview(self, **options: Any) -> auto.PreviewResult:
        """Run `pulumi preview`."""
        self.events = []
        return self.stack.preview(on_event=self.events.append, **options)

    def set(self, path: str, value: str) -> None:
        """Set one config value, as `pulumi config set --path` does."""
        self.stack.set_config(f"groundwork:{path}", auto.ConfigValue(value), path=True)

    def changed(self) -> dict[str, str]:
        """List what the last operation would change or changed: resource name → operation."""
        steps = [event.resource_pre_event.metadata for event in self.events if event.resource_pre_event]
        # The default provider only mirrors the configuration, and changes with every value of it.
        ours = [step for step in steps if "pulumi:providers:" not in step.urn]
        return {step.urn.split("::")[-1]: str(step.op.value) for step in ours if step.op != auto.OpType.SAME}

    def outputs(self) -> Mapping[str, Any]:
        """Read the stack's outputs, secrets in clear."""
        return {key: value.value for key, value in self.stack.outputs().items()}

    def clean(self) -> None:
        """Destroy the stack, whatever a test left of it."""
        self.stack.cancel()
        self.stack.destroy(on_output=lambda _: None)


def open_program(folder: Path, stack: str = "local", backend: str | None = None) -> Program:
    """Copy the program into `folder` and create the stack there."""
    copy_program(folder)
    state = folder / ".local" / "state"
    state.mkdir(parents=True, exist_ok=True)
    env = environment(folder, backend or f"file://{state}")
    # The salt in the stack file belongs to the passphrase that clones use; a test has its own.
    config = folder / f"Pulumi.{stack}.yaml"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("encryptionsalt")))
    return Program(folder, open_stack(folder, stack, env), env)


def open_stack(folder: Path, stack: str, env: dict[str, str]) -> auto.Stack:
    """Create a stack of the program in `folder`, with the engine that scripts/bootstrap provided."""
    engine = (ROOT / ".venv" / "engine").resolve()
    assert (engine / "pulumi").exists(), "no Pulumi engine; run scripts/bootstrap"
    command = auto.PulumiCommand(root=str(engine.parent))
    options = auto.LocalWorkspaceOptions(work_dir=str(folder), env_vars=env, pulumi_command=command)
    return auto.create_or_select_stack(stack, work_dir=str(folder), opts=options)


@pytest.fixture(scope="session", autouse=True)
def _default_interrupts() -> None:
    """Let the engine's children be interrupted: with SIGINT ignored every operation ends 5 s late."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _programs() -> Iterator[None]:
    """Remove every copy when the tests end."""
    yield
    remove_copies()


def remove_copies() -> None:
    """Remove every copy that was made."""
    while COPIES:
        shutil.rmtree(COPIES.pop())


def scratch() -> Path:
    """Make a folder for one copy of the program.

    Not pytest's own: that closes it to other accounts whenever a second run starts, and a PostgreSQL server
    that root starts runs as another account.
    """
    COPIES.append(Path(tempfile.mkdtemp(prefix="gw-program-")))
    return COPIES[-1] / "program"


@pytest.fixture
def program() -> Iterator[Program]:
    """Give a fresh copy of the program with an empty local stack, destroyed afterwards."""
    made = open_program(scratch())
    yield made
    made.clean()
