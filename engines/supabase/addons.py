"""What is bought for a project: compute, restore to any moment, an IPv4 address, a domain of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engines.supabase.session import Call
from engines.supabase.wire import Answer, project_path, segment

if TYPE_CHECKING:
    from engines.supabase.session import Session


class Addon(Answer):
    """One thing that is bought, or may be: `compute_instance` as `ci_small`, `pitr` as `pitr_7`, ….

    Attributes:
        type: what it is; a project has at most one of each.
        variant: which one.
        name: the platform's words for it.
        price: amount, currency unit and interval as the platform words them.
    """

    type: str
    variant: str
    name: str
    price: str

    @classmethod
    def parse(cls, kind: str, raw: dict[str, Any]) -> Addon:
        """Read a variant from an answer; raises KeyError when that is something else."""
        price = (raw.get("price") or {}).get("description", "")
        return cls(type=kind, variant=raw["id"], name=raw["name"], price=price)


class AddonList(Answer):
    """What a project has, and what it may have."""

    selected: tuple[Addon, ...]
    available: tuple[Addon, ...]

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> AddonList:
        """Read it from an answer; raises KeyError when that is something else."""
        offers = [(one["type"], variant) for one in raw["available_addons"] for variant in one["variants"]]
        return cls(
            selected=tuple(Addon.parse(one["type"], one["variant"]) for one in raw["selected_addons"]),
            available=tuple(Addon.parse(kind, variant) for kind, variant in offers),
        )


class Addons:
    """The add-ons of projects. They cost money from the moment they are applied."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def all(self, ref: str) -> AddonList:
        """List what a project has, and what it may have."""
        call = Call("GET", _path(ref), f"listing the add-ons of project {ref}")
        return self._session.read(call, AddonList.parse)

    def apply(self, ref: str, kind: str, variant: str) -> None:
        """Buy a variant in the place of the one of its type; another compute restarts the project."""
        body = {"addon_type": kind, "addon_variant": variant}
        action = f"applying the add-on {variant} to project {ref}"
        self._session.send(Call("PATCH", _path(ref), action, body=body))

    def remove(self, ref: str, variant: str) -> None:
        """Give a variant up; of compute, what the plan includes takes its place."""
        action = f"removing the add-on {variant} from project {ref}"
        self._session.remove(Call("DELETE", _path(ref, segment(variant)), action))


def _path(ref: str, *parts: str) -> str:
    return project_path(ref, "billing/addons", *parts)
