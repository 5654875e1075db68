"""What is kept before migrations run: a restore point of the platform's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, Resource, UpdateResult

import engines
from providers import _access, _cloud
from providers._access import DatabaseProvider
from providers._crud import Props, plain, reporter

if TYPE_CHECKING:
    from engines.migrations import Folder, Plan


class RestorePointProvider(DatabaseProvider):
    """Acts only when files are about to be applied to a database that has a history.

    Of a database that does not answer a preview nobody knows: then changed files make it look again.
    """

    def check(self, olds: Props, news: Props) -> CheckResult:
        """Show the files that a restore point is made for; what is wrong with them, the migrations say."""
        try:
            folder = _folder(news)
        except engines.migrations.MigrationError:
            return CheckResult({**news, "pending": {}}, [])
        plan = _access.preview(olds, news, lambda dsn: engines.migrations.inspect(dsn, folder))
        return CheckResult({**news, "pending": _due(news, plan)} if plan else news, [])

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when there is something to come back from; other settings change nothing."""
        is_unknown = "pending" not in news and news.get("files") != olds.get("files")
        return DiffResult(changes=bool(news.get("pending")) or is_unknown, replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Have a restore point made, if files are pending."""
        return CreateResult("restore-point", _kept({}, props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Have a restore point made, if files are pending."""
        return UpdateResult(_kept(olds, news))


def _folder(props: Props) -> Folder:
    layout = props["layout"]
    return engines.migrations.read_folder(Path(props["folder"]), layout=None if layout == "auto" else layout)


def _due(props: Props, plan: Plan) -> dict[str, str]:
    """Give the files that this update runs, by phase; those held back get a restore point of their own."""
    if not plan.applied or plan.refusals:
        return {}
    phases = [file.phase for file in plan.pending]
    holds = float(props["contract_after_s"]) > 0 and "contract" in phases
    border = phases.index("contract") if holds else len(phases)
    return {file.file: file.phase for file in plan.pending[:border]}


def _kept(olds: Props, props: Props) -> dict[str, Any]:
    folder = _folder(props)
    plan = _access.run(props, lambda dsn: engines.migrations.inspect(dsn, folder), read_only=True)
    name = keep(props, plan) if _due(props, plan) else str(olds.get("point", ""))
    return {**plain(props), "point": name, "pending": {}}


def keep(props: Props, plan: Plan) -> str:
    """Have the platform make a restore point of the database as it is, and give its name.

    Args:
        props: how to reach the platform, the stack's name, and where messages go.
        plan: tells the version that the database is at.

    Raises:
        SupabaseError: the platform refuses or fails.
    """
    with _cloud.client(props) as client:
        label = f"{props['stack']}-{plan.latest}"
        point = engines.supabase.keep_restore_point(client, props["project_ref"], label)
    reporter(props)(f"restore point {point.name} is kept")
    return point.name


class RestorePoint(Resource, module="groundwork", name="RestorePoint"):
    """The last restore point that an update had made.

    Attributes:
        point: its name on the platform; empty: none was needed yet.
    """

    point: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare that one is made before migrations; see `components.operations.RestorePoint`."""
        super().__init__(RestorePointProvider(), name, {**props, "point": None}, opts)
