"""`python -m emulator`: starts, says in JSON where it listens, ends cleanly on SIGTERM and SIGINT."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

import uvicorn

from emulator import options, server
from emulator.errors import StartError
from emulator.folder import Folder
from emulator.projects import Projects

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

# Requests that are under way at the end have this long.
GRACE_S = 5


class _Announcing(uvicorn.Server):
    """Prints the line that others wait for, once requests are answered."""

    def __init__(self, config: uvicorn.Config, line: dict[str, object]) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(json.dumps(self._line), flush=True)  # noqa: T201 - the contract with whoever started us


def main(arguments: Sequence[str]) -> int:
    """Run until a signal; give the exit status."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        _run(options.read(arguments))
    except StartError as error:
        print(f"emulator: {error}", file=sys.stderr)  # noqa: T201 - one line for the user, no log line
        return 1
    return 0


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _run(chosen: options.Options) -> None:
    lock = Folder(chosen.data).open()
    try:
        listener = None if chosen.stop else _listen(chosen)
        _with_projects(chosen, listener)
    finally:
        os.close(lock)


def _with_projects(chosen: options.Options, listener: socket.socket | None) -> None:
    projects = _load(chosen)
    try:
        if listener is not None:
            projects.start()
            projects.seed(chosen.projects)
            _serve(chosen, projects, listener)
    finally:
        # A second signal must not leave servers behind.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        projects.stop()


def _load(chosen: options.Options) -> Projects:
    folder = Folder(chosen.data)
    try:
        return Projects(
            folder,
            host=chosen.host,
            step_seconds=chosen.step_seconds,
            more_organizations=chosen.organizations,
        )
    except ValueError as error:
        raise StartError(f"cannot read the records in {folder.state}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _listen(chosen: options.Options) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY on the connections; without, each answer waits 40 ms
    # for the client's acknowledgement of its head.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # Connections of an earlier emulator in TIME_WAIT must not hinder a restart.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((chosen.host, chosen.port))
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror}") from error
    return listener


def _serve(chosen: options.Options, projects: Projects, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
        server.application(projects, chosen),
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    line = {"api_url": f"http://{host}:{port}", "data": str(chosen.data), "pid": os.getpid()}
    _Announcing(config, line).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
