"""A stack file that says of a project what is so already, and what a reader has to know about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engines.adoption.errors import AdoptionError
from engines.adoption.history import describe_migrations, history_of
from engines.adoption.named import describe_named
from engines.adoption.notes import Notes
from engines.adoption.sections import describe_sections
from engines.adoption.sources import describe_functions
from engines.adoption.text import commented, shown, to_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from engines.adoption.reading import Live
    from engines.adoption.sources import Source

    Problems = Callable[[Mapping[str, Any]], Mapping[tuple[str, ...], str]]

_STACK_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMMAND: Final = "scripts/pulumi config set"


@dataclass(frozen=True)
class Choices:
    """What the one who adopts decides.

    Attributes:
        stack: name of the stack.
        api_url: the Management API.
        migrations: folder of the migration files, relative to `root`.
        root: the folder of the stack file.
        every: name those fields too that are as in a new project.
    """

    stack: str
    api_url: str
    migrations: str
    root: Path
    every: bool = False


@dataclass(frozen=True)
class Description:
    """A stack that is as its project.

    Attributes:
        config: values by key, without the namespace.
        sources: folders of files that it speaks of.
        facts: what the database holds, for the reader.
    """

    stack: str
    config: dict[str, Any]
    sources: tuple[Source, ...]
    facts: tuple[str, ...]
    notes: Notes

    @property
    def commands(self) -> list[str]:
        """Give the commands that set what must not stand in a file, or cannot be read."""
        paths = [("access_token",), *self.notes.secrets]
        return [f"{_COMMAND} --stack {self.stack} --secret --path '{_key(path)}'" for path in paths]

    def text(self) -> str:
        """Give the whole file."""
        named = {f"groundwork:{name}": value for name, value in self.config.items()}
        comments = {("config", *("groundwork:" + path[0], *path[1:])): text for path, text in _ABOUT.items()}
        return commented(self._head()) + to_yaml({"config": named}, comments)

    def _head(self) -> list[str]:
        project = self.config["supabase"]
        masked = ["", "Secrets stay as they are, and unmanaged, until they are set; nobody can read them:"]
        head = [
            f"Adopted from the project {project['ref']}: what stands here is as it was there.",
            "What does not stand here is left alone.",
            "",
            "Before the first update:",
            f"  scripts/pulumi stack init {self.stack} --secrets-provider ...",
            f"  {self.commands[0]}",
            *(masked if self.commands[1:] else ()),
            *(f"  {command}" for command in self.commands[1:]),
            *_listed("Not in this file, and left alone:", self.notes.left),
            *_listed("In the database, beside what the platform keeps there:", self.facts),
        ]
        return [shown(line) for line in head]


# Comments above keys.
_ABOUT: Final[dict[tuple[str, ...], list[str]]] = {
    ("supabase", "protect"): ["Refuses `pulumi destroy`, and a replacement of the project."],
    ("supabase", "owner_password"): ["The password of `postgres` stays as it is, and is not needed."],
    ("supabase", "postgres"): ["Of PostgreSQL's parameters, those that somebody has set."],
    ("supabase", "functions"): ["Their files were read from the platform."],
    ("supabase", "signing_keys"): ["The names are this stack's own."],
    ("supabase", "third_party"): ["The names are this stack's own."],
    ("migrations",): ["The files that the database's history speaks of."],
}


def describe(live: Live, choices: Choices) -> Description:
    """Describe a project as a stack file says it."""
    notes = Notes()
    functions, sources = describe_functions(live, notes)
    for part, why in sorted(live.refused.items()):
        notes.leave(part, why)
    supabase: dict[str, Any] = {
        "api_url": choices.api_url,
        "ref": live.project.ref,
        "region": live.project.region,
        "protect": True,
        "owner_password": "forget",
        **describe_sections(live.sections, notes, every=choices.every),
        **describe_named(live, notes, every=choices.every),
        **({"functions": functions} if functions else {}),
    }
    config = {
        "organization": live.project.organization_slug,
        "project_name": live.project.name,
        "supabase": supabase,
        "migrations": describe_migrations(live, choices.migrations, choices.root, notes),
    }
    return Description(choices.stack, config, sources, tuple(_facts(live)), notes)


def stack_name(project_name: str) -> str:
    """Make a stack's name of a project's."""
    name = re.sub(r"[^a-z0-9]+", "-", project_name.lower()).strip("-")[:32].rstrip("-")
    return name if _STACK_NAME.fullmatch(name) else "adopted"


def without_problems(description: Description, problems: Problems) -> None:
    """Take out, and note, what the settings of a stack do not allow.

    Args:
        description: is changed.
        problems: what is wrong with a configuration, by path.

    Raises:
        AdoptionError: what is not allowed is no part that could be left out.
    """
    while found := {_unit(path): text for path, text in problems(description.config).items()}:
        for path, text in found.items():
            if len(path) < 2:
                raise AdoptionError(f"the project cannot be described as a stack: {text}")
            description.notes.leave(".".join(path), text)
            _remove(description.config, path)


def _unit(path: tuple[str, ...]) -> tuple[str, ...]:
    """Give the smallest whole that may be missing: a field, a thing with a name, a policy of a bucket."""
    return path[:5] if path[3:4] == ("policies",) else path[:3]


def _remove(config: dict[str, Any], path: tuple[str, ...]) -> None:
    name, *rest = path
    if rest and isinstance(config.get(name), dict):
        _remove(config[name], tuple(rest))
        if config[name]:
            return
    config.pop(name, None)


def _key(path: tuple[str, ...]) -> str:
    """Spell a path below `groundwork:supabase` as Pulumi reads it."""
    parts = (f".{name}" if _IDENTIFIER.fullmatch(name) else f'["{name}"]' for name in path)
    return "groundwork:supabase" + "".join(parts)


def _facts(live: Live) -> list[str]:
    found = live.catalog
    schemas = ", ".join(_schema(one.name, one.tables, one.without_rls) for one in found.schemas)
    jobs = ", ".join(f"{job.name} ({job.schedule}{'' if job.active else ', inactive'})" for job in live.jobs)
    facts = {
        "schemas": schemas,
        "extensions": ", ".join(found.extensions),
        "roles": ", ".join(found.roles),
        "cron jobs": jobs,
        "history": history_of(live).text,
    }
    return [f"{name}: {text}" for name, text in facts.items() if text]


def _schema(name: str, tables: int, without_rls: int) -> str:
    number = f"{tables} table{'' if tables == 1 else 's'}"
    return f"{name} ({number}{f', {without_rls} without row level security' if without_rls else ''})"


def _listed(title: str, lines: list[str] | tuple[str, ...]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []
