"""One migration file: its name, text, checksum and the directives at its head."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from engines.migrations.files.backfill import PART, VERIFY, Backfill, read_backfill

Phase = Literal["expand", "contract"]
Value = bool | str | Backfill | tuple[str, ...]

# The pattern of the Supabase CLI; what follows the first underscore is the name, in any script.
NAME: Final = re.compile(r"([0-9]+)_(.*)\.sql", re.DOTALL)
_DIRECTIVE: Final = re.compile(r"[ \t]*--[ \t]*groundwork:(.*)")
_DURATION: Final = re.compile(r"[0-9]+(us|ms|s|min|h|d)?")
_TABLE: Final = rf"{PART}(?:\.{PART})?"
_TABLES: Final = re.compile(rf"{_TABLE}(?:[ \t]*,[ \t]*{_TABLE})*")
# The Supabase CLI's own way to say the same as `no-transaction`.
_CLI_NO_TRANSACTION: Final = "-- pg-delta: transaction=false"
_KNOWN: Final = (
    "no-transaction, phase=expand|contract, lock-timeout=TIME, statement-timeout=TIME, "
    "shrinks=TABLE[,TABLE…], backfill table=TABLE key=COLUMN"
)


@dataclass(frozen=True)
class Directives:
    """What the comments at the head of a file ask for.

    Attributes:
        transaction: False runs the file statement by statement.
        phase: `contract` waits for the new code.
        lock_timeout: PostgreSQL duration of one try; None: the run's.
        statement_timeout: PostgreSQL duration; None: the login's own.
        backfill: how to run the file's statement in batches; None: it is no backfill.
        shrinks: tables that lose rows on purpose, as written.
    """

    transaction: bool = True
    phase: Phase = "expand"
    lock_timeout: str | None = None
    statement_timeout: str | None = None
    backfill: Backfill | None = None
    shrinks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DrizzleEntry:
    """What Drizzle's history keeps about a migration.

    Attributes:
        when: milliseconds since 1970, from the journal or from the folder's name.
        digest: SHA-256 (hex) of the file's bytes.
        digests: those of the same text with other line ends, or with or without a byte order mark.
        name: of the folder that holds it under 1.0, or would after `drizzle-kit up`.
    """

    when: int
    digest: str
    digests: frozenset[str]
    name: str


@dataclass(frozen=True)
class MigrationFile:
    """One file as read from disk.

    Attributes:
        version: the digits before the first underscore; in a Drizzle folder, the whole tag.
        name: what stands between that underscore and `.sql`.
        file: the base name.
        sql: the text without a byte order mark.
        checksum: SHA-256 (hex) of the text with LF line ends: a checkout on another system is no edit.
        directives: from the head of the file.
        entry: what Drizzle's history keeps about it; None: not of a Drizzle folder.
    """

    version: str
    name: str
    file: str
    sql: str = field(repr=False)
    checksum: str
    directives: Directives = Directives()
    entry: DrizzleEntry | None = field(default=None, repr=False)

    @property
    def phase(self) -> Phase:
        """Say when it runs: before (`expand`) or after (`contract`) the new code."""
        return self.directives.phase


def checksum(sql: str) -> str:
    """Hash a text independently of its line ends."""
    return hashlib.sha256(sql.replace("\r\n", "\n").encode()).hexdigest()


def decode(raw: bytes) -> str:
    """Read a file's bytes as UTF-8 and drop a byte order mark.

    Raises:
        ValueError: not UTF-8, or holds a NUL; the text says where.
    """
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise ValueError("is UTF-16; save it as UTF-8")
    nul = raw.find(b"\0")
    if nul >= 0:
        line = raw.count(b"\n", 0, nul) + 1
        raise ValueError(f"line {line}: holds a NUL byte, which PostgreSQL cannot take")
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line}: is not UTF-8 (byte 0x{raw[error.start]:02x}); save it as UTF-8"
        ) from None


def _apply(text: str, so_far: dict[str, Value]) -> str | None:
    """Add one directive to those before; give the problem, if it is one."""
    if text.split()[:1] == ["backfill"]:
        return _apply_backfill(text.strip().removeprefix("backfill"), so_far)
    key, _, value = (part.strip() for part in text.strip().partition("="))
    field = key.replace("-", "_")
    if key == "no-transaction" and not value:
        so_far["transaction"] = False
    elif key == "phase" and value in {"expand", "contract"}:
        so_far["phase"] = value
    elif key in {"lock-timeout", "statement-timeout"} and _DURATION.fullmatch(value):
        so_far[field] = value
    elif key == "shrinks" and _TABLES.fullmatch(value) and key not in so_far:
        so_far[key] = tuple(re.findall(_TABLE, value))
    else:
        return f"directive `{text.strip()}` is not known; there are {_KNOWN} (TIME such as 500ms, 2s, 10min)"
    return None


def _apply_backfill(words: str, so_far: dict[str, Value]) -> str | None:
    """Add the directive that makes a file a backfill."""
    if "backfill" in so_far:
        return "a file is one backfill; put the second into a file of its own"
    try:
        so_far["backfill"] = read_backfill(words)
    except ValueError as error:
        return f"directive `backfill`: {error}"
    return None


def _misplaced(text: str, values: dict[str, Value]) -> str | None:
    """Say what is wrong with a directive below the first statement; only a backfill's verification may be."""
    if text.strip() != VERIFY:
        return "a directive must stand above the first statement; move it up"
    return None if "backfill" in values else f"`{VERIFY}` belongs to a backfill, which this file is not"


def read_directives(sql: str) -> tuple[Directives, list[str]]:
    """Read the directives in the comment lines before the first statement.

    Returns:
        The directives, and every problem with its line; a directive further down is one: it would be ignored.
    """
    if "groundwork:" not in sql and "pg-delta:" not in sql[:40]:
        return Directives(), []
    values: dict[str, Value] = {}
    problems: list[str] = []
    head = True
    for number, line in enumerate(sql.splitlines(), start=1):
        head = head and (not line.strip() or line.lstrip().startswith("--"))
        found = _DIRECTIVE.match(line)
        if found and head:
            problem = _apply(found[1], values)
            problems += [f"line {number}: {problem}"] if problem else []
        elif found and (problem := _misplaced(found[1], values)):
            problems.append(f"line {number}: {problem}")
    if sql.partition("\n")[0].strip() == _CLI_NO_TRANSACTION:
        values["transaction"] = False
    return Directives(**values), problems  # type: ignore[arg-type]  # _apply lets only fitting values in
