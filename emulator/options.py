"""Command line and environment of `python -m emulator`."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKEN = "GROUNDWORK_EMULATOR_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "GROUNDWORK_EMULATOR_TOKEN_FILE"  # noqa: S105 - the name of a variable
RATE_LIMIT = "GROUNDWORK_EMULATOR_RATE_LIMIT"
# What the real service answered in x-ratelimit-limit, for a window of 60 seconds.
DEFAULT_RATE_LIMIT = 120


@dataclass(frozen=True, kw_only=True)
class Options:
    """What one emulator was started with.

    Attributes:
        host: address to listen on.
        port: TCP port; 0 lets the kernel choose.
        data: folder of everything that survives a restart.
        token: the only bearer token that is accepted.
        rate_limit: requests a token has per 60 s; 0 means no limit.
        stop: stop the servers that an emulator left behind, then end.
    """

    host: str
    port: int
    data: Path
    token: str = field(repr=False)
    rate_limit: int
    stop: bool


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
    )


def _parser(rate_limit: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emulator", description="Stand-in for the Supabase cloud."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
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
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no TCP port (0 to 65535)")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no count (0 or more)")
    return int(text)


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
