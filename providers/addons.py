"""What is bought for a project. Each costs money from the moment it is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, ReadResult, Resource, UpdateResult

import engines
from providers import _cloud
from providers._crud import Props, reporter
from providers._named import NamedProvider, before, put

if TYPE_CHECKING:
    from engines.supabase import AddonList, ManagementClient

COMPUTE_TIMEOUT_S = 1800
_GLANCE_S = 5.0
_COMPUTE = "compute_instance"


class AddonsProvider(NamedProvider):
    """Applies the variants that a stack names, by type; no variant (empty) gives a type up, others stay."""

    def check(self, olds: Props, news: Props) -> CheckResult:
        """Refuse a variant that the project is not offered, if it can be asked."""
        changed = {
            kind: variant
            for kind, variant in news["addons"].items()
            if variant and olds.get("addons", {}).get(kind) != variant
        }
        failures = [CheckFailure("", text) for text in _refused(news, changed)] if changed else []
        return CheckResult(news, failures)

    def create(self, props: Props) -> CreateResult:
        """Apply what differs."""
        return CreateResult(f"{props['project_ref']}/addons", _applied({}, props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Apply what differs."""
        return UpdateResult(_applied(before(olds, news), news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at what the project has of the types that the stack names."""
        try:
            live = _selected(_cloud.look(props, "addons"))
        except engines.supabase.NotFoundError:
            return ReadResult(None, {})
        outs = put(props, addons={kind: live.get(kind, "") for kind in props["addons"]})
        return ReadResult(id_, outs, self.inputs(outs))

    def delete(self, _id: str, _props: Props) -> None:
        """Give nothing up: a smaller machine or a lost restore point is nobody's wish by accident."""


def _refused(props: Props, variants: dict[str, str]) -> list[str]:
    """Word which variants the project is not offered; a platform that does not answer refuses nothing."""
    if not _cloud.is_reachable(props):
        return []
    # One try: a preview must not wait for an API that is not there.
    timing = engines.supabase.default_timing(timeout_s=_GLANCE_S, attempts=1)
    try:
        with _cloud.client(props, timing) as client:
            offered = client.addons.all(props["project_ref"])
    except engines.supabase.SupabaseError:
        return []
    return _not_offered(props["project_ref"], variants, offered)


def _not_offered(ref: str, variants: dict[str, str], offered: AddonList) -> list[str]:
    found = []
    for kind, variant in variants.items():
        choice = [one.variant for one in offered.available if one.type == kind]
        if variant not in {*choice, _selected(offered).get(kind)}:
            shown = ", ".join(choice) or "nothing of this type"
            found.append(
                f"groundwork:supabase.addons.{kind}: project {ref} is not offered {variant}; "
                f"it is offered {shown}"
            )
    return found


def _selected(addons: AddonList) -> dict[str, str]:
    return {one.type: one.variant for one in addons.selected}


def _applied(olds: Props, news: Props) -> dict[str, Any]:
    """Give up what needs a larger machine, then change the machine, then apply what may need it."""
    _cloud.forget(news)
    ref, wanted = news["project_ref"], news["addons"]
    with _cloud.client(news) as client:
        offered = client.addons.all(ref)
        live = _selected(offered)
        differing = {kind: variant for kind, variant in wanted.items() if live.get(kind, "") != variant}
        _check(ref, differing, offered)
        for kind in sorted(differing, key=lambda kind: _turn(kind, differing[kind])):
            _change(client, news, kind, live.get(kind, ""))
    _say(olds, news)
    return put(news)


def _turn(kind: str, variant: str) -> int:
    if kind == _COMPUTE:
        return 1
    return 2 if variant else 0


def _check(ref: str, differing: dict[str, str], offered: AddonList) -> None:
    """Refuse all before anything is bought."""
    if texts := _not_offered(ref, {kind: one for kind, one in differing.items() if one}, offered):
        raise engines.supabase.RejectedError("; ".join(texts))


def _change(client: ManagementClient, props: Props, kind: str, old: str) -> None:
    ref, variant, report = props["project_ref"], props["addons"][kind], reporter(props)
    if variant:
        report(f"applying the add-on {variant}")
        client.addons.apply(ref, kind, variant)
    else:
        report(f"giving up the add-on {old}")
        client.addons.remove(ref, old)
    if kind == _COMPUTE:
        client.projects.wait_until_resized(ref, report, COMPUTE_TIMEOUT_S)


def _say(olds: Props, news: Props) -> None:
    if kinds := sorted(olds.get("addons", {}).keys() - news["addons"].keys()):
        reporter(news)(f"left as on the platform, and no longer looked at: {', '.join(kinds)}")


class Addons(Resource, module="groundwork", name="Addons"):
    """The add-ons of a project.

    Attributes:
        addons: variants by type; empty: the project has none.
    """

    addons: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the add-ons: how to reach the project, and `addons` (type → variant, empty for none)."""
        super().__init__(AddonsProvider(), name, props, opts)
