"""Random folders with what each statement does, and a model of what a run of them must do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterable

Verdict = Literal["runs", "fails", "refused"]

# What a statement does: `note` leaves a row, `none` leaves nothing, `fail` is refused by the server when it
# runs, `wrong` when it is parsed, `open` begins a transaction that nobody ends. `{}` stands for the row.
PLAIN: Final = {
    "insert into public.effects values ('{}');": "note",
    "do $$ begin insert into public.effects select '{}'; end $$;": "note",
    "savepoint s; insert into public.effects values ('never'); rollback to s;"
    "insert into public.effects values ('{}');": "note",
    "select ';', $x$;$x$, E'\\';' -- ;\n;": "none",
    "/* ; /* ; */ */;;": "none",
    "-- 'note'\r\n": "none",
    "set search_path = '';": "none",
    "set role pg_monitor; reset role;": "none",
    "set local lock_timeout = '1s';": "none",
    "create temp table work_{0} (a int);": "none",
    "lock table public.effects;": "none",
    "commit and no chain;": "none",
    "select 1 / 0;": "fail",
    "insert into public.nowhere values ('{}');": "fail",
    "do $$ begin raise exception 'no'; end $$;": "fail",
    "selct 1;": "wrong",
}
# Statements that make a file more than one transaction.
SPECIAL: Final = {
    "begin; insert into public.effects values ('{}'); commit;": "note",
    "begin;\nsavepoint a;\ninsert into public.effects values ('never');\nrollback to a;\n"
    "insert into public.effects values ('{}');\nend;": "note",
    "start transaction; insert into public.effects values ('never'); rollback;": "none",
    "begin; insert into public.effects values ('never'); select 1 / 0; commit;": "fail",
    "vacuum public.effects;": "none",
    "create index concurrently i_{0} on public.effects (label);": "none",
    "drop index concurrently public.nothing_{0};": "fail",
    "begin; insert into public.effects values ('never');": "open",
}
# These are part of a file that is one transaction, or of none.
_ENDS_NOTHING: Final = {"commit and no chain;"}
_IN_BLOCK_ONLY: Final = ("savepoint", "lock table")


@dataclass(frozen=True)
class Line:
    """One line of a file: its template, and what it does."""

    template: str
    effect: str
    special: bool


@dataclass(frozen=True)
class Draft:
    """A file that is being written."""

    version: str
    lines: tuple[Line, ...]
    directive: bool = False

    @property
    def name(self) -> str:
        """Give the file's name."""
        return f"{self.version}_é x.sql"

    def label(self, index: int) -> str:
        """Name the row that a line leaves."""
        return f"{self.version}.{index}"

    @property
    def sql(self) -> str:
        """Give the text."""
        head = "-- groundwork: no-transaction\n" if self.directive else ""
        return head + "\n".join(
            line.template.replace("{}", self.label(i)).replace("{0}", f"{self.version}_{i}")
            for i, line in enumerate(self.lines)
        )

    @property
    def labels(self) -> list[str]:
        """List the rows that it leaves when it is applied."""
        return [self.label(i) for i, line in enumerate(self.lines) if line.effect == "note"]

    @property
    def special(self) -> bool:
        """Say whether it is more than one transaction."""
        return self.directive or any(line.special for line in self.lines)

    @property
    def verdict(self) -> Verdict:
        """Say what becomes of it."""
        effects = {line.effect for line in self.lines}
        outside = self.special and any(line.template.startswith(_IN_BLOCK_ONLY) for line in self.lines)
        if "open" in effects or outside or ("wrong" in effects and self.special):
            return "refused"
        return "fails" if effects & {"fail", "wrong"} else "runs"

    def fixed(self) -> Draft:
        """Give it without what keeps it from running; what ran before that stays as it is."""
        kept = [line for line in self.lines if line.effect in {"note", "none"}]
        if self.special:
            kept = [line for line in kept if not line.template.startswith(_IN_BLOCK_ONLY)]
        return replace(self, lines=tuple(kept))


def _line(item: tuple[str, str], *, special: bool) -> Line:
    return Line(*item, special=special or item[0] in _ENDS_NOTHING)


def _open_at_the_end(found: list[Line]) -> tuple[Line, ...]:
    """Keep a transaction that nobody ends only where no later line can end it."""
    return tuple(line for line in found[:-1] if line.effect != "open") + tuple(found[-1:])


_LINES: Final = [
    *(_line(item, special=False) for item in PLAIN.items()),
    *(_line(item, special=True) for item in SPECIAL.items()),
]
_GOOD: Final = [line for line in _LINES if line.effect in {"note", "none"}]
_PLAIN_GOOD: Final = [line for line in _GOOD if not line.special]
# Three files of four run; half of them are one transaction.
contents = st.sampled_from([_PLAIN_GOOD, _GOOD, _PLAIN_GOOD, _LINES]).flatmap(
    lambda known: st.lists(st.sampled_from(known), min_size=1, max_size=5).map(_open_at_the_end)
)
# How far behind the last file, the file's lines, and whether it says `no-transaction`.
written = st.tuples(
    st.sampled_from([1, 1, 1, 2, 5, -2]), contents, st.sampled_from([False, False, False, True])
)
mishaps = st.sampled_from(["", "", "fix", "edit", "remove", "other_tool"])
# Files that run, and of which it can be told after a crash what has happened (of a CALL or DO it cannot).
_TOLD: Final = [line for line in _GOOD if not line.template.startswith("do ")]
crashing = st.lists(
    st.lists(st.sampled_from(_TOLD), min_size=1, max_size=5).map(tuple), min_size=1, max_size=4
)
rounds = st.lists(
    st.tuples(st.lists(written, min_size=1, max_size=4), mishaps, st.integers(0, 5), st.booleans()),
    min_size=2,
    max_size=6,
)


@dataclass
class Model:
    """What the database must hold.

    Attributes:
        drafts: the folder, by version.
        applied: versions with a history row, and the text that was applied.
        foreign: those of them that another tool recorded.
        begun: versions of which a part ran.
    """

    drafts: dict[str, Draft] = field(default_factory=dict)
    applied: dict[str, str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)

    @property
    def pending(self) -> list[Draft]:
        """List what has no row, in order."""
        return [self.drafts[version] for version in sorted(self.drafts) if version not in self.applied]

    def expected(self, *, late: bool) -> tuple[list[str], Verdict]:
        """Say which files a run applies, and how it ends; `late` allows files before the last applied."""
        last = max(self.applied, default="")
        wrong = any(
            version not in self.drafts or self.drafts[version].sql != text
            for version, text in self.applied.items()
        )
        behind = any(draft.version < last and draft.version not in self.begun for draft in self.pending)
        unusable = any(draft.verdict == "refused" for draft in self.pending)
        if wrong or unusable or (behind and not late):
            return [], "refused"
        return self._until_failure()

    def _until_failure(self) -> tuple[list[str], Verdict]:
        ran: list[str] = []
        for draft in self.pending:
            if draft.verdict == "fails":
                return ran, "fails"
            ran.append(draft.version)
        return ran, "runs"

    def ran(self, versions: Iterable[str]) -> None:
        """Note what was applied, and that the next special file may have begun."""
        for version in versions:
            self.applied[version] = self.drafts[version].sql
        self.begun -= self.applied.keys()
        if self.pending and self.pending[0].verdict == "fails" and self.pending[0].special:
            self.begun.add(self.pending[0].version)

    def mismatches(self, rows: list[str]) -> list[str]:
        """Compare the rows that the files left with what they must be."""
        found = ["a row stands twice"] if len(set(rows)) < len(rows) else []
        found += ["what was rolled back is there"] if "never" in rows else []
        for version, draft in self.drafts.items():
            got = [label for label in rows if label.split(".")[0] == version]
            if version in self.foreign:
                continue
            if version in self.begun:
                found += [] if got == draft.labels[: len(got)] else [f"{version} is not a beginning: {got}"]
            elif got != (draft.labels if version in self.applied else []):
                found.append(f"{version} left {got}")
        return found
