"""Command line and environment of `python -m emulator`."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKEN = "GROUNDWORK_EMULATOR_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "GROUNDWORK_EMULATOR_TOKEN_FILE"  # noqa: S105 - the name of a variable
RATE_LIMIT = "GROUNDWORK_EMULATOR_RATE_LIMIT"
# Where the projects are that a caller asks for at the start, and what its owner is always in.
ORGANIZATION = "groundwork"
# What the real service answered in x-ratelimit-limit, for a window of 60 seconds.
DEFAULT_RATE_LIMIT = 120


@dataclass(frozen=True, kw_only=True)
class Options:
    """What one emulator was started with.

    Attributes:
        host: address where the API and the databases listen and are said to be.
        port: TCP port; 0 lets the kernel choose.
        data: folder of everything that survives a restart.
        token: the only bearer token that is accepted.
        rate_limit: requests a token has per 60 s; 0 means no limit.
        stop: stop the servers that an emulator left behind, then end.
        step_seconds: how long each step of a project takes at least, so that a poller sees its state.
        partner: whether the routes are open that the real service opens to selected partners only.
        organizations: more organizations that the token's owner is in, by slug.
        projects: references of projects that are made at the start, if they are not there.
    """

    host: str
    port: int
    data: Path
    token: str = field(repr=False)
    rate_limit: int
    stop: bool
    step_seconds: float = 0
    partner: bool = True
    organizations: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()


def read(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Read the options; argparse ends the process with status 2 on wrong usage.

    Raises:
        StartError: no token, or its file cannot be read.
    """
    given = _parser(environment.get(RATE_LIMIT, str(DEFAULT_RATE_LIMIT))).parse_args(arguments)
    return Options(
        host=given.host,
        port=given.port,
        data=given.data.absolute(),
        token="" if given.stop else _token(environment),
        rate_limit=given.rate_limit,
        stop=given.stop,
        step_seconds=given.step_seconds,
        partner=given.partner,
        organizations=tuple(given.organization),
        projects=tuple(given.project),
    )


def _parser(rate_limit: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emulator", description="Stand-in for the Supabase cloud."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address of the API and the databases (default: %(default)s)"
    )
    parser.add_argument("--port", type=_port, default=0, help="TCP port (default: a free one)")
    parser.add_argument("--data", type=Path, required=True, help="folder for all state")
    parser.add_argument(
        "--rate-limit",
        type=_count,
        default=rate_limit,
        metavar="N",
        help=f"requests per minute and token, 0: no limit (default: {RATE_LIMIT} or {DEFAULT_RATE_LIMIT})",
    )
    parser.add_argument("--stop", action="store_true", help="stop the data folder's servers, then end")
    _add_behaviour(parser)
    return parser


def _add_behaviour(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--step-seconds",
        type=_seconds,
        default=0.0,
        metavar="S",
        help="how long each step of a project takes at least (default: %(default)s)",
    )
    parser.add_argument(
        "--no-partner",
        dest="partner",
        action="store_false",
        help="answer 403 on the routes that are for selected partners only (database/migrations)",
    )
    parser.add_argument(
        "--organization",
        action="append",
        default=[],
        type=_slug,
        metavar="SLUG",
        help="one more organization",
    )
    parser.add_argument(
        "--project",
        action="append",
        default=[],
        type=_ref,
        metavar="REF",
        help="make this project at the start",
    )


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no TCP port (0 to 65535)")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no count (0 or more)")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no time (seconds, 0 or more)")
    return float(text)


def _slug(text: str) -> str:
    if not re.fullmatch(r"[\w-]+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no organization's slug (letters, digits, _ and -)")
    return text


def _ref(text: str) -> str:
    if not re.fullmatch(r"[a-z]{20}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no project's reference (20 letters from a to z)")
    return text


def _token(environment: Mapping[str, str]) -> str:
    token = environment.get(TOKEN, "")
    if not token and TOKEN_FILE in environment:
        token = _first_line(environment[TOKEN_FILE])
    if not token:
        raise StartError(f"no access token: set {TOKEN}, or {TOKEN_FILE} to the name of a file that holds it")
    return token


def _first_line(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StartError(f"{TOKEN_FILE}: cannot read {name}: {error.strerror}") from error
