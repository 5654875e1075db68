"""How long statements took, and how long they waited for locks: measured, and written with the next message.

A transaction cannot hold how long it took itself. So the times of a file follow it; a run that is killed in
between leaves the file recorded, without the times of its single statements.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from engines.migrations.history.table import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engines.migrations.sql.statements import Script

_STATEMENTS: Final = (
    "insert into groundwork.migration_statements as s"
    " (version, statement, line, duration_ms, retries, lock_wait_ms) values "
)
_AGAIN: Final = (
    " on conflict (version, statement) do update set line = excluded.line, retries = excluded.retries,"
    " duration_ms = coalesce(excluded.duration_ms, s.duration_ms), lock_wait_ms = excluded.lock_wait_ms;"
)
_FILES: Final = "update groundwork.migrations m set duration_ms = v.took from (values "
_BY_VERSION: Final = ") v (version, took) where m.version = v.version;"


@dataclass
class Waits:
    """Tries in vain of one file or unit.

    Attributes:
        tries: how many, by index of the statement that did not get its lock.
        waited_s: how long these tries and the pauses after them took, likewise, in seconds.
    """

    tries: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    waited_s: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    _since: float = field(default_factory=time.monotonic)
    _refused: int | None = None

    def begin(self) -> None:
        """Note that a try begins: what passed since the last one began was waiting."""
        now = time.monotonic()
        if self._refused is not None:
            self.waited_s[self._refused] += now - self._since
        self._since, self._refused = now, None

    def refuse(self, statement: int | None) -> None:
        """Note that a statement did not get its lock."""
        self._refused = statement or 0
        self.tries[self._refused] += 1

    @property
    def retries(self) -> int:
        """Count the tries in vain."""
        return sum(self.tries.values())

    @property
    def lock_wait_ms(self) -> float:
        """Sum up the waiting, in milliseconds."""
        return sum(self.waited_s.values()) * 1000


@dataclass
class Journal:
    """What is measured and not yet written."""

    _statements: list[str] = field(default_factory=list)
    _files: list[str] = field(default_factory=list)

    def add(
        self, version: str, script: Script, times: Iterable[tuple[int, float]], waits: Waits | None = None
    ) -> None:
        """Note the times of a file's statements.

        Args:
            version: of the file.
            script: its statements.
            times: milliseconds by index of the statement.
            waits: its tries in vain.
        """
        known = dict(times)
        tries = waits.tries if waits else {}
        line, cursor = 1, 0
        for index in sorted(known.keys() | tries.keys()):
            start = script.statements[index].start
            line, cursor = line + script.sql.count("\n", cursor, start), start
            took = f"{known[index]:.3f}" if index in known else "null"
            waited = waits.waited_s.get(index, 0.0) * 1000 if waits else 0.0
            cells = f"{index + 1}, {line}, {took}, {tries.get(index, 0)}, {waited:.3f}"
            self._statements.append(f"({quoted(version)}, {cells})")

    def add_file(self, version: str, duration_ms: float) -> None:
        """Note how long a file took that could not say so itself."""
        self._files.append(f"({quoted(version)}, {duration_ms:.3f})")

    @property
    def text(self) -> str:
        """Give the SQL that writes all of it; empty: there is nothing."""
        statements = f"{_STATEMENTS}{', '.join(self._statements)}{_AGAIN}" if self._statements else ""
        files = f"{_FILES}{', '.join(self._files)}{_BY_VERSION}" if self._files else ""
        return statements + files

    def clear(self) -> None:
        """Forget what is written."""
        self._statements.clear()
        self._files.clear()
