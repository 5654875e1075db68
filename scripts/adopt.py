"""The command line of adoption: `scripts/adopt REF [OPTIONS]`.

Exit status: 0 written, 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from engines import adoption, supabase
from engines.errors import GroundworkError
from settings import Migrations, Supabase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parents[1]
API_URL: Final = "https://api.supabase.com"
_TOKEN: Final = "SUPABASE_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
_REFUSED: Final = 1
_USAGE: Final = 2
_INTERRUPTED: Final = 130
_REF: Final = re.compile(r"[a-z]{20}")
_STACK: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Adopt a project and give the exit status."""
    options = _parser().parse_args(arguments)
    try:
        sys.stdout.write(adopt(options))
    except GroundworkError as error:
        sys.stderr.write(f"error: {error}\n")
        return _REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted; no stack file was written\n")
        return _INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/adopt",
        description="Write the stack file of a project that exists. The project is read, never changed.",
    )
    parser.add_argument("ref", metavar="REF", type=_ref, help="the project's reference, 20 letters")
    parser.add_argument("--stack", metavar="NAME", type=_stack, help="default: made of the project's name")
    parser.add_argument("--api-url", metavar="URL", default=API_URL, help=f"default: {API_URL}")
    parser.add_argument("--all", action="store_true", help="name the settings too that nobody has changed")
    parser.add_argument(
        "--dir",
        metavar="MIGRATIONS",
        default="migrations",
        help="folder of the SQL files (default: migrations)",
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        type=Path,
        default=ROOT,
        help="where to write (default: where Pulumi.yaml is)",
    )
    parser.add_argument("--force", action="store_true", help="replace a stack file; a copy is kept")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help=f"holds the access token (default: the variable {_TOKEN})",
    )
    return parser


def _ref(text: str) -> str:
    if not _REF.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no reference: it has 20 small letters")
    return text


def _stack(text: str) -> str:
    if not _STACK.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not up to 32 of a-z, 0-9 and -, a letter first")
    return text


def adopt(options: argparse.Namespace) -> str:
    """Read the project, write its files, and tell what was done and what to do next.

    Raises:
        GroundworkError: it cannot be done; no stack file was written.
    """
    if options.stack:
        adoption.must_be_new(adoption.path_of(options.root, options.stack), force=options.force)
    with supabase.ManagementClient(options.api_url, _token(options.token_file)) as client:
        live = adoption.read_live(client, options.ref)
    stack = options.stack or adoption.stack_name(live.project.name)
    path = adoption.path_of(options.root, stack)
    adoption.must_be_new(path, force=options.force)
    choices = adoption.Choices(stack, options.api_url.rstrip("/"), options.dir, options.root, options.all)
    description = adoption.describe(live, choices)
    adoption.without_problems(description, problems)
    folders = [adoption.write_source(options.root, source) for source in description.sources]
    copy = adoption.write(path, description.text(), force=options.force)
    return _report(description, path, [*folders, *([f"the former file is kept as {copy}"] if copy else [])])


def _token(file: Path | None) -> str:
    """Read the token from where no other user of the machine sees it."""
    try:
        token = file.read_text(encoding="utf-8").strip() if file else os.environ.get(_TOKEN, "").strip()
    except (OSError, ValueError) as error:
        raise adoption.AdoptionError(f"the token file {file} cannot be read: {error}") from None
    if not token:
        where = f"{file} is empty" if file else f"set {_TOKEN}, or give --token-file FILE"
        raise adoption.AdoptionError(f"an access token is needed: {where}")
    return token


def problems(config: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    """Say what the settings of a stack do not allow, by path."""
    found: dict[tuple[str, ...], str] = {}
    for name, model in (("supabase", Supabase), ("migrations", Migrations)):
        try:
            model.model_validate(config[name])
        except ValidationError as error:
            found |= {
                (name, *map(str, one["loc"])): one["msg"].removeprefix("Value error, ")
                for one in error.errors(include_input=False)
            }
    return found


def _report(description: adoption.Description, path: Path, done: list[str]) -> str:
    steps = [
        f"scripts/pulumi stack init {description.stack} --secrets-provider ...",
        *description.commands,
        *description.notes.steps,
        f"scripts/pulumi preview --stack {description.stack}",
    ]
    parts = {
        f"wrote {path}": done,
        "left as it is, and not in the file:": description.notes.left,
        "in the database:": list(description.facts),
        "next:": steps,
    }
    return "".join(
        f"{title}\n" + "".join(f"  {adoption.shown(line)}\n" for line in lines)
        for title, lines in parts.items()
        if lines or title.startswith("wrote")
    )


if __name__ == "__main__":
    sys.exit(main())
