"""The password of the database's owner: kept by the stack, or known to nobody."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

import engines
from providers import _access, _cloud
from providers._access import DatabaseProvider
from providers._crud import Props, changed_keys, plain, reporter

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER = "postgres"
KEEP = "keep"
_BYTES = 32
# A pooler may know neither a new password nor a new project for a moment.
_TRIES, _PAUSE_S = 6, 1.0


class OwnerPasswordProvider(DatabaseProvider):
    """Sets the owner's password to the stack's, or makes sure that the stack's opens nothing."""

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when the password, or what becomes of it, changed."""
        changed = [key for key in changed_keys(olds, news, self.soft) if key != "adopt"]
        return DiffResult(changes=bool(changed), replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Prove that the password opens the database; where it does not, set it only if that is allowed."""
        return CreateResult(OWNER, _kept(props, is_ours=bool(props["adopt"])) or _forgotten(props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Set a new password, or give up the one that was kept."""
        changed = (olds["password"], olds["mode"]) != (news["password"], news["mode"])
        kept = _kept(news, is_ours=changed or bool(news["adopt"]))
        return UpdateResult(kept or _forgotten(news, was_kept=olds["mode"] == KEEP))


def _kept(props: Props, *, is_ours: bool) -> dict[str, Any] | None:
    """Have the stack's password open the database, and give the outputs; None: the stack does not keep it."""
    if props["mode"] != KEEP:
        return None
    url = _access.url(props, OWNER, props["password"])
    _keep(props, url, is_ours=is_ours)
    return {**plain(props), "url": url}


def _forgotten(props: Props, *, was_kept: bool = False) -> dict[str, Any]:
    """Have no password that the stack knew or knows open the database, and give the outputs."""
    if was_kept or _opens(_access.url(props, OWNER, props["password"])):
        reporter(props)("the owner's password is replaced by one that nobody knows")
        _set(props, nobodys())
    return {**plain(props), "url": _access.url(props, OWNER, None)}


def nobodys() -> str:
    """Make a password to be set and forgotten."""
    return secrets.token_urlsafe(_BYTES)


def _keep(props: Props, url: str, *, is_ours: bool) -> None:
    """Prove that the stack's password opens the database; set it there only where that is allowed."""
    try:
        engines.postgres.connect(url).close()
    except engines.postgres.LoginRefusedError:
        if is_ours:
            _set(props, props["password"])
    else:
        return
    try:
        _prove(url)
    except engines.postgres.LoginRefusedError as error:
        if is_ours:
            raise
        raise engines.supabase.SupabaseError(
            f"the project exists, but this stack's database password does not open it ({error}). If the "
            "project is yours, set groundwork:supabase.adopt to true: its password is then replaced"
        ) from None


def _set(props: Mapping[str, Any], password: str) -> None:
    with _cloud.client(dict(props)) as client:
        client.database.set_password(props["project_ref"], password)


def _prove(url: str) -> None:
    """Open the database with a password that may be new."""
    for left in reversed(range(_TRIES)):
        try:
            engines.postgres.connect(url).close()
        except engines.postgres.LoginRefusedError:
            if not left:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _opens(url: str) -> bool:
    try:
        engines.postgres.connect(url).close()
    except engines.postgres.LoginRefusedError:
        return False
    return True


class OwnerPassword(Resource, module="groundwork", name="OwnerPassword"):
    """What becomes of the password of the role `postgres`.

    Attributes:
        password: the stack's password; it opens the database only if it is kept (secret).
        url: the owner's login through the session pooler, with the password if it is kept (secret).
    """

    password: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare it: how to reach the database, `mode` (keep or forget), `password`, `adopt`."""
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["url"])
        declared = {**props, "url": None}
        super().__init__(OwnerPasswordProvider(), name, declared, pulumi.ResourceOptions.merge(hidden, opts))
