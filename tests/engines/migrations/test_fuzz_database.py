"""Random folders, edits and histories on a real PostgreSQL: each effect once, no error but ours."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from engines.errors import GroundworkError
from engines.migrations import FailedError, Options, RefusedError, apply, inspect, read_folder
from engines.migrations.sql.statements import read_script
from tests.engines.migrations.fix_dying import Dying, Killed
from tests.engines.migrations.fix_fuzz import Draft, Line, Model, crashing, rounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    Round = tuple[list[tuple[int, tuple[Line, ...], bool]], str, int, bool]

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
WIDTHS = {"numbered": 3, "supabase": 14}
CLEAN = (
    "drop schema if exists supabase_migrations, groundwork cascade; drop table if exists effects;"
    "create table effects (label text, at timestamptz default clock_timestamp())"
)
INSERT = "insert into supabase_migrations.schema_migrations values (%s, %s, 'é x')"
HISTORY = "select version from supabase_migrations.schema_migrations"


@dataclass
class World:
    """A folder on disk, a database, and the model of both."""

    path: Path
    dsn: str
    session: psycopg.Connection[tuple[Any, ...]]
    model: Model
    width: int

    def write(self, distance: int, lines: tuple[Line, ...], directive: bool) -> None:  # noqa: FBT001  # drawn
        """Write a new file, most often behind the last one."""
        versions = self.model.drafts.keys() | self.model.applied.keys()
        number = max(int(max(versions, default="0")) + distance, 1)
        version = f"{number:0{self.width}}"
        if version not in versions:
            self.model.drafts[version] = Draft(version, lines, directive)

    def fix(self, index: int) -> None:
        """Repair a file that has not run to its end."""
        for draft in self.model.pending[index : index + 1]:
            self.model.drafts[draft.version] = draft.fixed()

    def repair(self, *, failing: bool) -> None:
        """Repair what keeps all from running, and maybe what fails."""
        for draft in self.model.pending:
            if draft.verdict == "refused" or (failing and draft.verdict == "fails"):
                self.model.drafts[draft.version] = draft.fixed()

    def _applied(self, index: int) -> list[str]:
        return sorted(self.model.applied.keys() & self.model.drafts.keys())[index : index + 1]

    def edit(self, index: int) -> None:
        """Edit an applied file, see that it is refused, and restore it."""
        for version in self._applied(index):
            draft = self.model.drafts[version]
            self.model.drafts[version] = replace(draft, lines=draft.lines[1:])
            self.run(late=True)
            self.model.drafts[version] = draft

    def remove(self, index: int) -> None:
        """Remove an applied file, see that it is refused, and restore it."""
        for version in self._applied(index):
            draft = self.model.drafts.pop(version)
            self.run(late=True)
            self.model.drafts[version] = draft

    def other_tool(self, _index: int) -> None:
        """Record the first pending file as the Supabase CLI does that has applied it."""
        if not self.model.pending or not self.model.applied:
            return
        draft = self.model.pending[0]
        pieces = read_script(draft.sql).pieces
        self.session.execute(INSERT, [draft.version, pieces])
        self.model.applied[draft.version] = draft.sql
        self.model.foreign.add(draft.version)
        self.model.begun.discard(draft.version)

    def run(self, late: bool) -> None:  # noqa: FBT001  # drawn
        """Apply, and compare everything with the model."""
        self.keep()
        expected, verdict = self.model.expected(late=late)
        before = self._held()
        event(verdict)
        ran = self._apply(late=late, verdict=verdict)
        assert ran in (None, expected), f"{ran} were applied, not {expected}"
        if verdict == "refused":
            assert self._held() == before
            return
        self.model.ran(expected)
        rows, history = self._held()
        assert self.model.mismatches(rows) == []
        assert set(history) == self.model.applied.keys()

    def _apply(self, *, late: bool, verdict: str) -> list[str] | None:
        options = Options(allow_out_of_order=late)
        try:
            outcome = apply(self.dsn, read_folder(self.path), options=options, report=lambda _text: None)
        except GroundworkError as error:
            kind = {RefusedError: "refused", FailedError: "fails"}.get(type(error))
            if kind != verdict:
                raise
            return None
        assert verdict == "runs"
        return [name.partition("_")[0] for name in outcome.applied]

    def keep(self) -> None:
        """Write the folder to disk."""
        for old in self.path.iterdir():
            old.unlink()
        for draft in self.model.drafts.values():
            (self.path / draft.name).write_bytes(draft.sql.encode())

    def _held(self) -> tuple[list[str], list[str]]:
        """Give the rows that the files left, in order, and the versions in the history."""
        rows = self.session.execute("select label from effects order by at, ctid").fetchall()
        known = self.session.execute("select to_regclass('supabase_migrations.schema_migrations')").fetchone()
        history = self.session.execute(HISTORY).fetchall() if known and known[0] else []
        return [row[0] for row in rows], [row[0] for row in history]

    def finish(self) -> None:
        """Repair everything: then all is applied once, and nothing is left to do."""
        for index in range(len(self.model.pending)):
            self.fix(index)
        self.run(late=True)
        assert self.model.pending == []
        plan = inspect(self.dsn, read_folder(self.path))
        assert (plan.pending, plan.refusals, plan.partial) == ((), (), ())


@given(rounds, st.sampled_from(sorted(WIDTHS)))
@settings(
    deadline=None,
    max_examples=80,
    derandomize=True,
    suppress_health_check=SLOW,
)
def test_any_history_ends_right(database: str, steps: Sequence[Round], layout: str) -> None:
    """Whatever is written, edited, removed, run: each effect once, a refusal runs nothing, repairs finish."""
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(database, autocommit=True) as session:
        session.execute(CLEAN)
        world = World(Path(folder), database, session, Model(), WIDTHS[layout])
        for files, mishap, index, late in steps:
            for file in files:
                world.write(*file)
            if mishap:
                getattr(world, mishap)(index)
            world.run(late)
            world.repair(failing=index % 2 == 0)
        world.finish()


@given(crashing, st.integers(4, 20), st.booleans())
@settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=SLOW)
def test_killed_at_any_message_of_any_folder(
    database: str,
    files: list[tuple[Line, ...]],
    moment: int,
    seen: bool,  # noqa: FBT001  # drawn
) -> None:
    """Whenever the runner dies, a plain second run applies what is left, and each effect is there once."""
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(database, autocommit=True) as session:
        session.execute(CLEAN)
        world = World(Path(folder), database, session, Model(), WIDTHS["numbered"])
        for lines in files:
            world.write(1, Draft("", lines).fixed().lines, directive=False)
        world.keep()
        with pytest.MonkeyPatch.context() as patch:
            Dying(patch, moment, seen=seen)
            with contextlib.suppress(Killed):
                apply(database, read_folder(world.path), options=Options(), report=lambda _text: None)
                event("was not killed")
        apply(database, read_folder(world.path), options=Options(), report=lambda _text: None)
        world.model.ran([draft.version for draft in world.model.pending])
        world.finish()
