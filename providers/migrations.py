"""SQL migrations, applied as part of an update.

The database is the truth: what is pending is read from it in every preview and every update, so a restored
or hand-changed database is noticed. Stored properties only tell which files a stack asked for.
"""

from __future__ import annotations

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
from providers import _access
from providers._access import DatabaseProvider
from providers._crud import Props, changed_keys, log, plain, reporter

if TYPE_CHECKING:
    from engines.migrations import Folder, MigrationFile, Plan

# Shown beside the files that would run: it failed, or was killed before it.
_VERIFICATION = "verification of the last run"
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
        pending = {} if plan is None else {file.file: file.phase for file in _due(news, plan)}
        if plan and plan.history.unverified and news["verify"]:
            pending[_VERIFICATION] = news["phase"]
        _announce(news, folder, plan, known=olds.get("files", {}))
        failures = [CheckFailure("", text) for text in plan.refusals] if plan else []
        return CheckResult({**news, "pending": pending}, failures)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when something is pending or the stack's settings changed."""
        changed = [key for key in changed_keys(olds, news, self.soft) if key != "pending"]
        return DiffResult(changes=bool(news.get("pending")) or bool(changed), replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Apply what is pending; a database with a history is taken over as it is."""
        return CreateResult(f"migrations-{props['phase']}", _apply(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Apply what is pending."""
        return UpdateResult(_apply(news))

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


def _announce(props: Props, folder: Folder, plan: Plan | None, *, known: Props) -> None:
    report = reporter(props)
    if plan is not None:
        names = [file.file for file in _due(props, plan)]
    elif props["phase"] == "expand":
        names = [file.file for file in folder.files if file.file not in known]
        log(_NOT_ASKED, str(props.get("log_urn", "")), warning=bool(known))
    else:
        # The other phase has said it all.
        names = []
    for name in names:
        report(f"pending: {name}")


def _options(props: Props, plan: Plan) -> engines.migrations.Options:
    is_all = _due(props, plan) == plan.pending
    options = engines.migrations.Options(
        stack=props["stack"],
        phase=None if is_all else "expand",
        allow_out_of_order=bool(props["allow_out_of_order"]),
        retry_s=float(props["lock_wait_s"]),
        lock_timeout_ms=max(round(float(props["lock_timeout_s"]) * 1000), 1),
        count_rows=bool(props["verify"]),
    )
    return engines.migrations.signed(options, Path(props["folder"]))


def _apply(props: Props) -> dict[str, Any]:
    folder = _folder(props)
    outcome = _access.run(props, lambda dsn: _applied(dsn, folder, props))
    results = {
        "applied": outcome.total,
        "latest": outcome.latest or "",
        "history_table": outcome.history_table,
    }
    return {**plain(props), **results, "pending": {}}


def _applied(dsn: str, folder: Folder, props: Props) -> engines.migrations.Outcome:
    if props["disposable"]:
        engines.migrations.mark_disposable(dsn)
    options = _options(props, engines.migrations.inspect(dsn, folder))
    outcome = engines.migrations.apply(dsn, folder, options=options, report=reporter(props))
    if props["verify"]:
        checks = engines.migrations.verify(dsn, folder, settle=True)
        engines.migrations.require(checks, folder)
    return outcome


class Migrations(Resource, module="groundwork", name="Migrations"):
    """The migrations of one database.

    Attributes:
        latest: version of the newest applied migration, empty when there is none.
        applied: how many are applied.
        history_table: where the history is kept.
    """

    latest: pulumi.Output[str]
    applied: pulumi.Output[int]
    history_table: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the migrations of a database; see `components.database.SchemaArgs` for the properties."""
        results = dict.fromkeys(("latest", "applied", "history_table"))
        super().__init__(MigrationsProvider(), name, {**props, **results}, opts)
