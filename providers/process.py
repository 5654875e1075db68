"""A program kept alive on this machine by the process host."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

import engines
from providers._crud import EngineProvider, Props, changed_keys, plain

_LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 120


class ProcessProvider(EngineProvider):
    """Starts a program, restarts it when its definition changed or it is gone, and ends it."""

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when an input differs or the program does not run (a reboot, for one)."""
        running = engines.processes.status(Path(olds["home"]), olds["program"]).running
        return DiffResult(changes=bool(changed_keys(olds, news)) or not running, replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Start the program on a free port, or on the one that is asked for."""
        return CreateResult(props["program"], _started(props, 0))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Start or restart the program, on its old port if nobody took it."""
        return UpdateResult(_started(news, int(olds["port"])))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report the stored properties; whether the program runs is `diff`'s question."""
        return ReadResult(id_, plain(props))

    def delete(self, _id: str, props: Props) -> None:
        """End the program; its data stays unless the resource says otherwise."""
        home = Path(props["home"])
        engines.processes.stop(
            home, props["program"], wipe=tuple(Path(path) for path in props["wipe_on_delete"])
        )


def _started(props: Props, old_port: int) -> dict[str, Any]:
    home, fixed = Path(props["home"]), int(props["fixed_port"])
    port = fixed or engines.processes.port_for(home, props["program"], old_port or None)
    name = props["program"]
    # {secrets}: where engines.processes puts this program's secret files.
    filled = {
        "{port}": str(port),
        "{python}": sys.executable,
        "{secrets}": str(home.resolve() / "secrets" / name),
    }
    program = engines.processes.Program(
        name=name,
        command=tuple(_fill(part, filled) for part in props["command"]),
        directory=Path(props["directory"]).resolve(),
        environment={key: _fill(value, filled) for key, value in props["environment"].items()},
        secrets=dict(props["secrets"]),
        health_url=f"http://{_LOOPBACK}:{port}{props['health_path']}",
    )
    engines.processes.start(home, program, timeout_s=START_TIMEOUT_S)
    return {**plain(props), "port": port, "url": f"http://{_LOOPBACK}:{port}"}


def _fill(text: str, values: dict[str, str]) -> str:
    """Put this machine's values where a definition names them."""
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


class Process(Resource, module="groundwork", name="Process"):
    """A program on this machine.

    Attributes:
        url: where it listens, `http://127.0.0.1:PORT`.
        port: the TCP port.
        version: the version it was started with.
    """

    url: pulumi.Output[str]
    port: pulumi.Output[int]
    version: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a program; see `components.host.ProcessHost` for the properties."""
        super().__init__(ProcessProvider(), name, {**props, "port": None, "url": None}, opts)
