"""Keeps programs alive on this machine, with their logs, secrets and health; supervisord does the keeping.

All state lies in a home folder (see engines.supervision). Callers may come and go: the supervisor and its
programs are no children of theirs, and inherit neither their environment nor their open files.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import re
import secrets as random
import shutil
import time
import xmlrpc.client
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engines import launcher, ports, readiness, supervision
from engines.ports import free_port, port_taken
from engines.readiness import RUNNING, Watch
from engines.supervision import Daemon, Home, ProcessError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "ProcessError",
    "Program",
    "Status",
    "free_port",
    "port_for",
    "port_taken",
    "start",
    "status",
    "stop",
]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_NOT_RUNNING, _BAD_NAME, _ALREADY_STARTED = 70, 10, 60


@dataclass(frozen=True)
class Program:
    """A program to keep alive.

    Attributes:
        name: lower-case letters, digits, `-`, `_`.
        command: program and arguments; visible to every user of the machine, so no secret is in it.
        directory: where it runs.
        environment: its variables besides PATH, HOME, LANG and TMPDIR; not for secrets.
        secrets: file name → value, as files in the folder that SECRETS_DIR names.
        health_url: what answers 2xx when the program is ready; None: it is ready when it runs.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    health_url: str | None = None


@dataclass(frozen=True)
class Status:
    """What a program does now; `detail` is for people."""

    running: bool
    pid: int | None
    detail: str


def start(home: Path, program: Program, *, timeout_s: float = 60) -> None:
    """Have a program run as defined, and wait until it is healthy.

    A program that runs already with the same definition is left alone. If a new program does not become
    healthy, it is removed again; a changed one stays defined, and the supervisor goes on trying.

    Args:
        home: the folder of its supervisor.
        program: what to run.
        timeout_s: seconds until it must be healthy.

    Raises:
        ProcessError: it cannot be started or does not become healthy; the text ends with its last output.
    """
    place = Home(home.resolve())
    _check_name(program.name)
    deadline = time.monotonic() + timeout_s
    is_new = not launcher.spec_file(place.run, program.name).exists()
    try:
        with _explained(place):
            with supervision.locked(place):
                watch = _launch(place, program, deadline)
            readiness.wait(watch)
    except ProcessError:
        if is_new:
            # Nobody would ever stop it: a creation that failed is not in any state.
            with suppress(ProcessError):
                stop(home, program.name)
        raise


def stop(home: Path, name: str, *, wipe: tuple[Path, ...] = ()) -> None:
    """End a program and forget it, its secrets included; the last one's end is the supervisor's, too.

    Logs stay, unless `wipe` names their folder.

    Args:
        home: the folder of its supervisor.
        name: the program; an unknown one is no error.
        wipe: files and folders inside `home` to delete when the program has ended.

    Raises:
        ProcessError: it does not end, or `wipe` names something outside of `home`.
    """
    place = Home(home.resolve())
    _check_name(name)
    doomed = [_inside(place, path) for path in wipe]
    with _explained(place):
        if place.run.is_dir():
            with supervision.locked(place):
                _remove(place, name)
        for path in doomed:
            _wipe(path)


def status(home: Path, name: str) -> Status:
    """Say whether a program runs; quick, and true also when the supervisor is dead.

    Raises:
        ProcessError: the home cannot be read.
    """
    place = Home(home.resolve())
    _check_name(name)
    with _explained(place):
        daemon = supervision.find(place)
        return _unattended(place, name) if daemon is None else _attended(daemon, name)


def port_for(home: Path, name: str, preferred: int | None) -> int:
    """Give a port for a program: `preferred` if it is free or the program itself has it, else a free one.

    A program whose supervisor was killed still has its port, and gives it up when it is started again.
    """
    held = launcher.holder(launcher.lock_file(Home(home.resolve()).run, name))
    return preferred if preferred and held else free_port(preferred)


def _attended(daemon: Daemon, name: str) -> Status:
    try:
        info = daemon.call("getProcessInfo", name, timeout_s=3.0)
    except xmlrpc.client.Fault:
        return Status(running=False, pid=None, detail="not started")
    except (OSError, http.client.HTTPException) as error:
        return Status(running=False, pid=None, detail=f"its supervisor does not answer: {error}")
    pid = int(info["pid"]) or None
    detail = f"{info['statename']} {info['description']}".strip()
    return Status(running=info["statename"] in RUNNING, pid=pid, detail=detail)


def _unattended(home: Home, name: str) -> Status:
    left = launcher.holder(launcher.lock_file(home.run, name))
    if left is None:
        return Status(running=False, pid=None, detail="not running, nor is its supervisor")
    return Status(running=False, pid=left.pid, detail="its supervisor is gone, and it runs unattended")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ProcessError(f"{name!r} is no name for a program; use lower-case letters, digits, - and _")


@contextmanager
def _explained(home: Home) -> Iterator[None]:
    """Turn what the system or the daemon refuses into a text that says where, and what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename or home.root
        advice = {
            errno.ENOSPC: "the disk is full; make room",
            errno.EDQUOT: "the disk quota is used up; make room",
            errno.EACCES: f"{home.root} must be writable for this user",
            errno.EPERM: f"{home.root} must be writable for this user",
            errno.EROFS: f"{home.root} must not be on a read-only file system",
        }.get(error.errno or 0, f"check {home.root}")
        raise ProcessError(
            f"cannot use {where}: {error.strerror or error}; {advice}, then try again"
        ) from error
    except (xmlrpc.client.Error, http.client.HTTPException) as error:
        raise ProcessError(f"the supervisor of {home.root} refuses: {error}") from error


def _launch(home: Home, program: Program, deadline: float) -> Watch:
    """Write the definition and have the daemon run it; the caller holds the home's lock."""
    spec = _write_definition(home, program)
    daemon = supervision.ensure(home)
    supervision.write_config(home, daemon.socket)
    _adopt_config(daemon, program.name)
    lock = launcher.lock_file(home.run, program.name)
    running = launcher.holder(lock)
    attended = _state(daemon, program.name) in RUNNING
    watch = _watch(home, program, daemon, deadline)
    if not attended or running is None or running.definition != spec.definition:
        _restart(home, program, daemon)
    return watch


def _watch(home: Home, program: Program, daemon: Daemon, deadline: float) -> Watch:
    log = home.logs / f"{program.name}.log"
    return Watch(
        daemon=daemon,
        name=program.name,
        health_url=program.health_url,
        secrets=tuple(program.secrets.values()),
        deadline=deadline,
        log=log,
        log_offset=log.stat().st_size if log.exists() else 0,
    )


def _restart(home: Home, program: Program, daemon: Daemon) -> None:
    _end(daemon, program.name)
    # What a killed supervisor left: it would keep the port.
    launcher.end_holder(launcher.lock_file(home.run, program.name))
    port = urlsplit(program.health_url).port if program.health_url else None
    owner = ports.port_taken(port) if port else None
    if owner:
        raise ProcessError(
            f"cannot start {program.name}: port {port} is in use by {owner}; end it, or choose another port"
        )
    with _tolerating(_ALREADY_STARTED):
        daemon.call("startProcess", program.name, False)


def _write_definition(home: Home, program: Program) -> launcher.Spec:
    """Write secrets and definition, the definition last: a process that read it has the new secrets."""
    folder = home.secrets / program.name
    spec = launcher.Spec(
        command=program.command,
        directory=str(program.directory),
        environment={**program.environment, "SECRETS_DIR": str(folder)},
        definition=_fingerprint(home, program),
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    for file in folder.iterdir():
        if file.name not in program.secrets:
            file.unlink()
    for name, value in program.secrets.items():
        supervision.write_private(folder / _file_name(name), value)
    supervision.write_private(launcher.spec_file(home.run, program.name), launcher.dump_spec(spec))
    return spec


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ProcessError(f"{name!r} is no name for a secret's file; use letters, digits and _")
    return name


def _fingerprint(home: Home, program: Program) -> str:
    """Give a value that changes with the definition; keyed, so that it says nothing about a secret."""
    file = home.run / "key"
    if not file.exists():
        supervision.write_private(file, random.token_hex(32))
    parts = [program.command, str(program.directory), program.environment, program.secrets]
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), key=bytes.fromhex(file.read_text()), digest_size=16).hexdigest()


def _adopt_config(daemon: Daemon, name: str) -> None:
    """Make the daemon know the program by the present configuration."""
    [[added, changed, _removed]] = daemon.call("reloadConfig")
    if name in changed:
        _end(daemon, name)
        daemon.call("removeProcessGroup", name)
    if name in added or name in changed:
        daemon.call("addProcessGroup", name)


def _end(daemon: Daemon, name: str) -> None:
    with _tolerating(_NOT_RUNNING, _BAD_NAME):
        daemon.call("stopProcess", name)


@contextmanager
def _tolerating(*codes: int) -> Iterator[None]:
    """Let faults pass that mean that there is nothing to do (supervisor.xmlrpc.Faults)."""
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in codes:
            raise


def _state(daemon: Daemon, name: str) -> str:
    return str(daemon.call("getProcessInfo", name)["statename"])


def _remove(home: Home, name: str) -> None:
    daemon = supervision.find(home)
    if daemon is not None and daemon.answers():
        _end(daemon, name)
    lock = launcher.lock_file(home.run, name)
    if not launcher.end_holder(lock):
        raise ProcessError(f"{name} does not end; end it by hand, then try again")
    shutil.rmtree(home.secrets / name, ignore_errors=True)
    for file in (launcher.spec_file(home.run, name), lock, launcher.guard_file(lock)):
        file.unlink(missing_ok=True)
    if not home.programs():
        supervision.end(home)
    elif daemon is not None:
        supervision.write_config(home, daemon.socket)
        daemon.call("reloadConfig")
        with _tolerating(_BAD_NAME):
            daemon.call("removeProcessGroup", name)


def _inside(home: Home, path: Path) -> Path:
    # The parent only: a link inside the home may be deleted, what it points to may not.
    full = path.parent.resolve() / path.name
    if home.root not in full.parents:
        raise ProcessError(f"{path} is not inside {home.root}, so it is not deleted")
    return full


def _wipe(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
