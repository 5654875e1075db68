"""Become `pulumi`, in the environment that a stack of this folder needs.

What the user has set is kept. What is missing is filled in for the stack `local` only; every other stack is
refused as long as nobody has said where its state lives (docs/decisions/0002-local-passphrase.md).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
LOCAL = "local"
PASSPHRASE = "groundwork-local"  # noqa: S105  # public on purpose: docs/decisions/0002-local-passphrase.md

# Commands that change or ask for the login itself; a backend from here would be in their way.
_LOGIN = {"login", "logout"}
# Options whose value follows as a word of its own, so that it is not taken for a command or a stack.
_VALUED = {
    *("-C", "--cwd", "--color", "-v", "--verbose", "--tracing", "--profiling", "--memprofilerate"),
    *("--secrets-provider", "--copy-config-from", "--teams", "--remote-config", "--config-file"),
}


def words(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command line that are neither options nor values of options."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _VALUED or argument in {"-s", "--stack"}:
            next(rest, None)
        elif not argument.startswith("-"):
            yield argument


def stack(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Find the stack that a command line names, without its organization; None: the one that is selected."""
    named = None
    for position, argument in enumerate(arguments):
        if argument in {"-s", "--stack"}:
            named = arguments[position + 1] if position + 1 < len(arguments) else None
        elif argument.startswith(("-s", "--stack=")) and not argument.startswith("--s"):
            named = argument[2:]
        elif argument.startswith("--stack="):
            named = argument.removeprefix("--stack=")
    command = list(words(arguments))
    if named is None and command[:1] == ["stack"] and command[1:2] in (["init"], ["select"], ["rm"]):
        named = command[2] if len(command) > 2 else None
    named = named or environment.get("PULUMI_STACK")
    return named.rpartition("/")[2] if named else None


def logged_in(environment: Mapping[str, str]) -> bool:
    """Tell whether `pulumi login` has chosen a backend, by the file in which it remembers that."""
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        kept = json.loads((home / "credentials.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(kept, dict) and bool(kept.get("current"))


def additions(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """
    Decide what the environment lacks.

    Raises:
        SystemExit: with an explanation, when a stack other than `local` has no place for its state.

    """
    if next(words(arguments), None) in _LOGIN:
        return {}
    name = stack(arguments, environment)
    elsewhere = bool(environment.get("PULUMI_BACKEND_URL"))
    added = {}
    if name not in {None, LOCAL} and not elsewhere and not logged_in(environment):
        raise SystemExit(_no_place_for_state(str(name)))
    if name in {None, LOCAL} and not elsewhere:
        added["PULUMI_BACKEND_URL"] = (ROOT / ".local" / "state").as_uri()
        added["PULUMI_STACK"] = LOCAL
    has_key = any(f"PULUMI_CONFIG_PASSPHRASE{end}" in environment for end in ("", "_FILE"))
    if not has_key and (name == LOCAL or "PULUMI_BACKEND_URL" in added):
        added["PULUMI_CONFIG_PASSPHRASE"] = PASSPHRASE
    return added


def _no_place_for_state(name: str) -> str:
    """Explain how to choose where a stack's state lives."""
    return f"""scripts/pulumi: nobody has said where the state of the stack "{name}" lives.
  The folder .local/state of this clone is for the stack "{LOCAL}" only; other state must outlive one laptop.
  Choose one:
    export PULUMI_BACKEND_URL='s3://BUCKET?region=REGION'    (also azblob://, gs://, file:///SHARED/FOLDER)
    scripts/pulumi login                                     (Pulumi Cloud)
  The key of its secrets is yours, too: PULUMI_CONFIG_PASSPHRASE, or --secrets-provider at `stack init`."""


def main() -> None:
    """Replace this process by pulumi."""
    environment = dict(os.environ)
    environment.update(additions(sys.argv[1:], environment))
    engine = ROOT / ".venv" / "engine"
    environment["PATH"] = os.pathsep.join(
        [str(ROOT / ".venv" / "bin"), str(engine), environment.get("PATH", "")]
    )
    environment["PULUMI_SKIP_UPDATE_CHECK"] = "true"
    # Where the engine had to be built, plugins cannot be downloaded either, and trying costs seconds.
    if json.loads((ROOT / ".venv" / "engine.json").read_text())["origin"] == "build":
        environment.setdefault("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
    (ROOT / ".local").mkdir(exist_ok=True)
    (ROOT / ".local" / "state").mkdir(mode=0o700, exist_ok=True)
    # A background job of a script ignores SIGINT, and children inherit that. The engine stops its language
    # host by SIGINT and waits 5 seconds if that is ignored; a shell's `trap - INT` cannot undo it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvpe(engine / "pulumi", ["pulumi", "-C", str(ROOT), *sys.argv[1:]], environment)  # noqa: S606  # no shell


if __name__ == "__main__":
    main()
