"""The command line: `scripts/db new|list|plan|up|baseline|reset|repair|verify`.

Exit status: 0 done, 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engines.errors import GroundworkError
from engines.migrations import show
from engines.migrations.files.folder import LAYOUTS, read_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.migrations.files.folder import Folder
    from engines.migrations.plan import Options

_DSN_VARIABLE: Final = "GROUNDWORK_DSN"
_REFUSED: Final = 1
_USAGE: Final = 2
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(_COMMANDS[options.command](options))
    except GroundworkError as error:
        _say_error(str(error), as_json=options.json)
        return _REFUSED
    except KeyboardInterrupt:
        text = "interrupted; what is recorded stays, the rest is rolled back; run again to go on"
        _say_error(text, as_json=options.json)
        return _INTERRUPTED


def _say_error(text: str, *, as_json: bool) -> None:
    """Write an error for people, and for machines as the answer."""
    sys.stderr.write(f"error: {text}\n")
    if as_json:
        _write_json({"error": text})


def _write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _common() -> argparse.ArgumentParser:
    """Give the options that every command takes."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--dir", type=Path, default=Path("migrations"), help="folder of the files (default: migrations)"
    )
    common.add_argument(
        "--layout", choices=LAYOUTS, help="how the files are named (default: told by their names)"
    )
    common.add_argument("--json", action="store_true", help="answer for machines")
    common.add_argument(
        "--dsn",
        metavar="URL",
        help=f"the database; `-` reads it from standard input (default: the variable {_DSN_VARIABLE}, which, "
        "unlike an argument, other users of the machine cannot see)",
    )
    return common


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/db", description="Migrations of a PostgreSQL database.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = [_common()]
    new = commands.add_parser("new", parents=common, help="make the next file")
    new.add_argument("name", metavar="NAME", help="what it does, such as add_invoices")
    listing = commands.add_parser("list", parents=common, help="list every version and its status")
    listing.add_argument(
        "--statements", action="store_true", help="with how long each statement took, and waited for locks"
    )
    for name, text in (("plan", "say what `up` would do"), ("up", "run what is pending")):
        _selection(commands.add_parser(name, parents=common, help=text))
    commands.add_parser(
        "reset", parents=common, help="drop everything in a disposable database and run all files"
    )
    amend = commands.add_parser("repair", parents=common, help="correct the history without running anything")
    amend.add_argument("--applied", nargs="+", default=[], metavar="VERSION", help="record as applied")
    amend.add_argument("--reverted", nargs="+", default=[], metavar="VERSION", help="forget")
    adopt = commands.add_parser(
        "baseline", parents=common, help="record files as applied without running them"
    )
    adopt.add_argument("--to", metavar="VERSION", help="the last version to record (default: all)")
    commands.add_parser("verify", parents=common, help="compare the database with the files and DIR/checks")
    return parser


def _selection(command: argparse.ArgumentParser) -> None:
    command.add_argument("--to", metavar="VERSION", help="the last version to run")
    command.add_argument(
        "--phase", choices=("expand", "contract"), help="expand: stop before the first contract file"
    )
    command.add_argument(
        "--allow-out-of-order", action="store_true", help="run files that sort before the last applied"
    )
    command.add_argument(
        "--wait", type=float, default=600.0, metavar="SECONDS", help="for another run (default: 600)"
    )
    command.add_argument(
        "--lock-retry",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="while locks are not granted (default: 300)",
    )
    command.add_argument(
        "--lock-timeout",
        type=float,
        default=0.1,
        metavar="SECONDS",
        help="that one try may wait, and so make the product wait (default: 0.1)",
    )


def _dsn(options: argparse.Namespace) -> str:
    """Find the database URL, or end with a usage error."""
    given: str | None = sys.stdin.readline().strip() if options.dsn == "-" else options.dsn
    dsn = os.environ.get(_DSN_VARIABLE) if given is None else given  # what is named, if empty, is no default
    if not dsn or not dsn.strip():
        sys.stderr.write(f"error: which database? Set {_DSN_VARIABLE}, or give --dsn URL\n")
        raise SystemExit(_USAGE)
    return dsn


def _describe(dsn: str) -> str:
    from engines.postgres import describe  # noqa: PLC0415  # loads the database driver; `new` needs none

    return describe(dsn)


def _folder(options: argparse.Namespace) -> Folder:
    return read_folder(options.dir, layout=options.layout)


def _options(options: argparse.Namespace) -> Options:
    """Read how to run, and sign it for the record."""
    from engines.migrations.history.origin import signed  # noqa: PLC0415  # only where something is run

    return signed(_unsigned(options), options.dir)


def _unsigned(options: argparse.Namespace) -> Options:
    from engines.migrations.plan import Options  # noqa: PLC0415  # loads the SQL parser; `new` needs none

    return Options(
        to=getattr(options, "to", None),
        phase=getattr(options, "phase", None),
        allow_out_of_order=getattr(options, "allow_out_of_order", False),
        wait_s=getattr(options, "wait", 600.0),
        retry_s=getattr(options, "lock_retry", 300.0),
        lock_timeout_ms=max(round(getattr(options, "lock_timeout", 0.1) * 1000), 1),
        count_rows=True,
    )


def _new(options: argparse.Namespace) -> int:
    from engines.migrations.files.new import create  # noqa: PLC0415  # only here

    file = create(options.dir, options.name, layout=options.layout)
    if options.json:
        _write_json({"file": str(file)})
    else:
        sys.stdout.write(f"{file}\n")
    return 0


def _list(options: argparse.Namespace) -> int:
    import engines.migrations as engine  # noqa: PLC0415  # see engines.migrations: loaded when used

    plan, details = engine.survey(_dsn(options), _folder(options))
    if options.json:
        _write_json(show.list_json(plan, details))
    else:
        sys.stdout.write(show.list_text(plan, details, statements=options.statements))
    return 0


def _plan(options: argparse.Namespace) -> int:
    import engines.migrations as engine  # noqa: PLC0415  # see engines.migrations: loaded when used

    folder = _folder(options)
    plan = engine.inspect(_dsn(options), folder, options=_unsigned(options))
    if plan.refusals:
        raise engine.RefusedError(plan.refusals)
    if options.json:
        _write_json(show.plan_json(plan))
    else:
        sys.stdout.write(show.plan_text(plan, folder))
    return 0


def _up(options: argparse.Namespace) -> int:
    import engines.migrations as engine  # noqa: PLC0415  # see engines.migrations: loaded when used

    dsn, folder = _dsn(options), _folder(options)
    engine.read_rules(folder.checks)  # what is wrong with them is told before anything runs
    outcome = engine.apply(dsn, folder, options=_options(options), report=_report(options))
    if not options.json:
        sys.stdout.write(show.outcome_text(outcome))
    checks = engine.verify(dsn, folder, settle=True) if outcome.to_verify else ()
    if options.json:
        _write_json({**show.outcome_json(outcome), "checks": show.checks_json(checks)})
    elif all(check.ok for check in checks):
        sys.stdout.write(show.verified_text(checks))
    try:
        engine.require(checks, folder)
    except engine.UnverifiedError as error:  # the answer for machines has been given
        _say_error(str(error), as_json=False)
        return _REFUSED
    return 0


def _report(options: argparse.Namespace) -> Callable[[str], None]:
    """Tell progress where it does not mix with an answer for machines."""
    stream = sys.stderr if options.json else sys.stdout

    def report(text: str) -> None:
        stream.write(f"{text}\n")
        stream.flush()

    return report


def _reset(options: argparse.Namespace) -> int:
    import engines.migrations as engine  # noqa: PLC0415  # see engines.migrations: loaded when used

    dsn, folder = _dsn(options), _folder(options)
    engine.reset(dsn, folder)
    _report(options)(f"emptied {_describe(dsn)}")
    options.dsn = dsn
    return _up(options)


def _repair(options: argparse.Namespace) -> int:
    import engines.migrations as engine  # noqa: PLC0415  # see engines.migrations: loaded when used

    if not options.applied and not options.reverted:
        sys.stderr.write("error: repair what? Give --applied VERSION or --reverted VERSION\n")
        return _USAGE
    changes = {"applied": options.applied, "reverted": options.reverted}
    dsn = _dsn(options)
    engine.repair(dsn, _folder(options), **changes, options=_options(options))
    if options.json:
        _write_json({"database": _describe(dsn), **changes})
    else:
        sys.stdout.write(
            "".join(f"{what}: {' '.join(versions)}\n" for what, versions in changes.items() if versions)
        )
        sys.stdout.write(f"changed the history of {_describe(dsn)}\n")
    return 0


def _baseline(options: argparse.Namespace) -> int:
    import engines.migrations as engine  # noqa: PLC0415  # see engines.migrations: loaded when used

    dsn = _dsn(options)
    files = engine.baseline(dsn, _folder(options), to=options.to, options=_options(options))
    if options.json:
        _write_json({"database": _describe(dsn), "recorded": list(files)})
    else:
        sys.stdout.write(show.recorded_text(files, _describe(dsn)))
    return 0


def _verify(options: argparse.Namespace) -> int:
    import engines.migrations as engine  # noqa: PLC0415  # see engines.migrations: loaded when used

    checks = engine.verify(_dsn(options), _folder(options))
    if options.json:
        _write_json(show.checks_json(checks))
    else:
        sys.stdout.write(show.checks_text(checks))
    return 0 if all(check.ok for check in checks) else _REFUSED


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "new": _new,
    "list": _list,
    "plan": _plan,
    "up": _up,
    "baseline": _baseline,
    "reset": _reset,
    "repair": _repair,
    "verify": _verify,
}


if __name__ == "__main__":
    sys.exit(main())
