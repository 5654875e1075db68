"""Whether a project may be made where it is wanted, asked before it is: the platform says less afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.supabase.errors import ConflictError, SupabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.supabase.client import ManagementClient
    from engines.supabase.models import CreateProject
    from engines.supabase.organizations import Region


def require_placeable(client: ManagementClient, wanted: CreateProject) -> None:
    """Refuse a project that its organization may not have.

    Raises:
        ConflictError: the organization, the region or the size cannot be; the text says what can.
        SupabaseError: the organizations cannot be asked for.
    """
    seen = sorted(one.slug for one in client.organizations.all())
    if wanted.organization_slug not in seen:
        found = f"it sees {', '.join(seen)}" if seen else "it sees none"
        raise ConflictError(
            f"groundwork:organization is {wanted.organization_slug!r}, but the account of "
            f"`groundwork:supabase.access_token` does not see it: {found}"
        )
    _require_size(client, wanted)
    _require_region(client, wanted)


def _require_size(client: ManagementClient, wanted: CreateProject) -> None:
    size, slug = wanted.desired_instance_size, wanted.organization_slug
    if size and client.organizations.get(slug).plan == "free":
        raise ConflictError(
            f"groundwork:supabase.instance_size is {size}, but the organization {slug} is on the free plan, "
            "which has no choice of sizes: remove it, or move the organization to a paid plan"
        )


def _require_region(client: ManagementClient, wanted: CreateProject) -> None:
    try:
        regions = client.organizations.regions(wanted.organization_slug)
    except SupabaseError:
        # The list is Beta; without it the creation itself tells.
        return
    if not regions:
        return
    status = {one.code: one.status for one in regions}
    if wanted.region not in status:
        raise _not_there(wanted, "the platform does not offer it to this organization", regions)
    if status[wanted.region]:
        raise _not_there(wanted, f"it takes no projects now ({status[wanted.region]})", regions)


def _not_there(wanted: CreateProject, why: str, regions: Sequence[Region]) -> ConflictError:
    free = ", ".join(sorted(one.code for one in regions if not one.status))
    return ConflictError(f"groundwork:supabase.region is {wanted.region}, but {why}; it may be {free}")
