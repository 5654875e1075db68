"""SQL migrations, applied as part of an update.

The database is the truth: what is pending is read from it in every preview and every update, so a restored
or hand-changed database is noticed. Stored properties only tell which files a stack asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    UpdateResult,
)

import engines
from providers import _access, backup
from providers._access import DatabaseProvider
from providers._crud import Props, changed_keys, log, plain, reporter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from engines.migrations import Folder, MigrationFile, Plan

# Shown beside the files that would run: it failed, or was killed before it.
_VERIFICATION = "verification of the last run"
# What is pending is asked of the database and the clock; how it is applied is no change of its own.
_CLOCK = frozenset({"pending", "contract_after_s", "restore_point"})
# Shown in place of a plan when there is no database to ask (first preview, or nothing runs).
_NOT_ASKED = "the database is not reachable yet; it is asked again during the update"


class MigrationsProvider(DatabaseProvider):
    """Previews what is pending, applies it, and verifies the result."""

    soft = DatabaseProvider.soft | {"after"}

    def check(self, olds: Props, news: Props) -> CheckResult:
        """Read the folder and the database, refuse what must not run, and show what is pending by name."""
        try:
            folder = _folder(news)
            engines.migrations.read_rules(folder.checks)
        except engines.migrations.MigrationError as error:
            return CheckResult(news, [CheckFailure("", str(error))])
        plan = _access.preview(olds, news, lambda dsn: engines.migrations.inspect(dsn, folder))
        _announce(news, folder, plan, known=olds.get("files", {}))
        if plan is None:
            # Nothing pending is another answer than none.
            return CheckResult(news, [])
        pending = {file.file: file.phase for file in _due(news, plan)}
        if plan.history.unverified and news["verify"]:
            pending[_VERIFICATION] = news["phase"]
        failures = [CheckFailure("", text) for text in (*plan.refusals, *_behind(news, plan))]
        return CheckResult({**news, "pending": pending}, failures)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when something is pending or the stack's settings changed."""
        changed = set(changed_keys(olds, news, self.soft)) - _CLOCK
        return DiffResult(changes=bool(_asked(olds, news)) or bool(changed), replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Apply what is pending; a database with a history is taken over as it is."""
        return CreateResult(f"migrations-{props['phase']}", _apply({}, props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Apply what is pending."""
        return UpdateResult(_apply(olds, news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report the live history; the version that this phase ended with stays while it is there.

        Of a project that sleeps, what is stored stays.
        """
        folder = _folder(props)
        try:
            plan = _access.look(props, lambda dsn: engines.migrations.inspect(dsn, folder), read_only=True)
        except engines.supabase.NotFoundError:
            return ReadResult(None, {})
        if plan is None:
            return ReadResult(id_, plain(props))
        reached = props["latest"] in plan.applied
        latest = props["latest"] if reached else plan.latest or ""
        return ReadResult(id_, {**plain(props), "applied": len(plan.applied), "latest": latest})

    def delete(self, _id: str, _props: Props) -> None:
        """Keep the data: removing the resource never changes a schema."""


def _folder(props: Props) -> Folder:
    layout = props["layout"]
    return engines.migrations.read_folder(Path(props["folder"]), layout=None if layout == "auto" else layout)


def _due(props: Props, plan: Plan) -> tuple[MigrationFile, ...]:
    """Choose what this phase runs: `expand` ends before the first contract file, `contract` begins there.

    A database without a history has no old code to spare: everything runs at once, before the first rollout.
    """
    phases = [file.phase for file in plan.pending]
    border = phases.index("contract") if plan.applied and "contract" in phases else len(phases)
    return plan.pending[border:] if props["phase"] == "contract" else plan.pending[:border]


def _behind(props: Props, plan: Plan) -> list[str]:
    """Refuse files that would wait behind one that is held back: the new code needs them now."""
    if props["phase"] != "expand" or not _holds(props) or not plan.applied:
        return []
    rest = plan.pending[len(_due(props, plan)) :]
    return [
        f"{file.file} sorts behind {rest[0].file}, which groundwork:migrations.contract_after holds back, "
        f"and files run in order; {rest[0].file} is not applied yet: give it a version after {file.file}"
        for file in rest
        if file.phase == "expand"
    ]


def _holds(props: Props) -> bool:
    return float(props.get("contract_after_s") or 0) > 0


def _asked(olds: Props, news: Props) -> list[str]:
    """List what an update is needed for: what is pending, but for what is held back and known to be.

    And what is known to be held back, and is not there any more: should it come again, it waits anew.
    """
    pending = list(news.get("pending", ()))
    gone = [name for name in olds.get("held", {}) if "pending" in news and name not in pending]
    if news["phase"] != "contract" or not _holds(news) or not pending:
        return pending + gone
    clocks, report = _clocks(olds, _folder(news), pending), reporter(news)
    held = _held_back(news, clocks)
    for name in held:
        report(f"held back until {_end(news, clocks[name]):%Y-%m-%d %H:%M:%SZ}: {name}")
    for name in clocks.keys() - set(held):
        report(f"pending: {name}")
    known = olds.get("held", {})
    return gone + [name for name in pending if name not in held or known.get(name) != clocks[name]]


def _clocks(olds: Props, folder: Folder, pending: Iterable[str]) -> dict[str, str]:
    """Say since when each file waits, ISO 8601 UTC, in order; an edited one begins anew."""
    checksums = olds.get("held_checksums", {})
    since = {checksums[name]: begun for name, begun in olds.get("held", {}).items() if name in checksums}
    now = datetime.now(UTC).isoformat()
    return {one.file: since.get(one.checksum, now) for one in folder.files if one.file in pending}


def _end(props: Props, begun: str) -> datetime:
    return datetime.fromisoformat(begun) + timedelta(seconds=float(props["contract_after_s"]))


def _held_back(props: Props, clocks: Mapping[str, str]) -> list[str]:
    """Name the first file whose time has not come, and all behind it: files run in the folder's order."""
    names, now = list(clocks), datetime.now(UTC)
    border = next((place for place, name in enumerate(names) if _end(props, clocks[name]) > now), len(names))
    return names[border:]


def _announce(props: Props, folder: Folder, plan: Plan | None, *, known: Props) -> None:
    report = reporter(props)
    if props["phase"] == "contract" and _holds(props):
        # The comparison with what is stored knows since when they wait, and says it.
        names = []
    elif plan is not None:
        names = [file.file for file in _due(props, plan)]
    elif props["phase"] == "expand":
        names = [file.file for file in folder.files if file.file not in known]
        log(_NOT_ASKED, str(props.get("log_urn", "")), warning=bool(known))
    else:
        # The other phase has said it all.
        names = []
    for name in names:
        report(f"pending: {name}")


def _options(props: Props, plan: Plan, held: Collection[str]) -> engines.migrations.Options:
    chosen = [file for file in _due(props, plan) if file.file not in held]
    is_all = tuple(chosen) == plan.pending
    # What is held back is the end of the pending files; where nothing else is left, `expand` ends before it.
    to = chosen[-1].version if held and chosen else None
    options = engines.migrations.Options(
        stack=props["stack"],
        to=to,
        phase=None if is_all or to else "expand",
        allow_out_of_order=bool(props["allow_out_of_order"]),
        retry_s=float(props["lock_wait_s"]),
        lock_timeout_ms=max(round(float(props["lock_timeout_s"]) * 1000), 1),
        count_rows=bool(props["verify"]),
    )
    return engines.migrations.signed(options, Path(props["folder"]))


def _apply(olds: Props, props: Props) -> dict[str, Any]:
    folder = _folder(props)
    outcome, held = _access.run(props, lambda dsn: _applied(dsn, folder, olds, props))
    results = {
        "applied": outcome.total,
        "latest": outcome.latest or "",
        "history_table": outcome.history_table,
        "held": held,
        "held_checksums": {one.file: one.checksum for one in folder.files if one.file in held},
    }
    return {**plain(props), **results, "pending": {}}


def _applied(
    dsn: str, folder: Folder, olds: Props, props: Props
) -> tuple[engines.migrations.Outcome, dict[str, str]]:
    """Apply what is due; give the outcome, and since when what is not due waits."""
    if props["disposable"]:
        engines.migrations.mark_disposable(dsn)
    plan = engines.migrations.inspect(dsn, folder)
    held = _waiting(folder, olds, props, plan)
    options = _options(props, plan, held)
    waited = [file for file in _due(props, plan) if file.file not in held]
    if props.get("restore_point") and props["phase"] == "contract" and _holds(props) and waited:
        # When the update with these files was made is long ago, and so is its restore point.
        backup.keep(props, plan)
    outcome = engines.migrations.apply(dsn, folder, options=options, report=reporter(props))
    if props["verify"]:
        checks = engines.migrations.verify(dsn, folder, settle=True)
        engines.migrations.require(checks, folder)
    return outcome, held


def _waiting(folder: Folder, olds: Props, props: Props, plan: Plan) -> dict[str, str]:
    """Say which files are held back, and since when."""
    if props["phase"] != "contract" or not _holds(props):
        return {}
    clocks = _clocks(olds, folder, [file.file for file in _due(props, plan)])
    return {name: clocks[name] for name in _held_back(props, clocks)}


class Migrations(Resource, module="groundwork", name="Migrations"):
    """The migrations of one database.

    Attributes:
        latest: version of the newest applied migration, empty when there is none.
        applied: how many are applied.
        history_table: where the history is kept.
        held: contract files that are held back, each with the time since when, ISO 8601 UTC.
    """

    latest: pulumi.Output[str]
    applied: pulumi.Output[int]
    history_table: pulumi.Output[str]
    held: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the migrations of a database; see `components.database.SchemaArgs` for the properties."""
        results = dict.fromkeys(("latest", "applied", "history_table", "held"))
        super().__init__(MigrationsProvider(), name, {**props, **results}, opts)
