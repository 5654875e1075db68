"""Buckets of a project's storage, with their limits and the policies on their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

import engines
from providers import _cloud
from providers._crud import Props, reporter
from providers._named import NamedProvider, before, leave, named, put

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from engines.supabase import ManagementClient
    from engines.supabase.policies import Definition, Policy
    from engines.supabase.storage import Storage, StoredBucket

# What stands for "no limit of its own": a top-level input cannot be null.
_NO_LIMIT: dict[str, Any] = {"file_size_limit": 0, "allowed_mime_types": []}


class BucketProvider(NamedProvider):
    """Keeps a bucket's limits and policies as the stack names them; a bucket with files is never deleted."""

    results = frozenset({"shown", "made", "made_policies"})

    def create(self, props: Props) -> CreateResult:
        """Make the bucket, or take over the one of this name."""
        return CreateResult(props["bucket"], _written({}, props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Change the limits and policies that differ."""
        return UpdateResult(_written(before(olds, news), news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live limits, and at the policies that the stack names; a paused project shows none."""
        try:
            found = _stored(props)
        except engines.supabase.NotFoundError:
            return ReadResult(None, {})
        if found is None:
            return ReadResult(id_, put(props), self.inputs(put(props)))
        buckets, policies = found
        if props["bucket"] not in buckets:
            return ReadResult(None, {})
        outs = put(props, **_settings_seen(props, buckets[props["bucket"]]))
        outs["policies"] = _policies_seen(props, policies)
        return ReadResult(id_, outs, self.inputs(outs))

    def delete(self, _id: str, props: Props) -> None:
        """Delete the bucket if the stack made it and it is empty, and the policies that it made."""
        _cloud.forget(props)
        try:
            with _cloud.client(props) as client:
                _delete(client, props)
        except engines.supabase.NotFoundError:
            return


def _delete(client: ManagementClient, props: Props) -> None:
    if not props["made"]:
        leave(props, f"the bucket {props['bucket']}")
    elif not _removed(client, props):
        # Its files would be anybody's, or nobody's, without them.
        leave(props, f"the bucket {props['bucket']}, with its policies,", "it has files")
        return
    made = props.get("made_policies")
    leaving = _leaving(client, props, props["policies"] if made is None else made)
    engines.supabase.policies.write_policies(client, props["project_ref"], {}, leaving)


def _removed(client: ManagementClient, props: Props) -> bool:
    """Delete the bucket unless it has files; a stack that goes must not take them along, nor be held up."""
    with _open(client, props) as storage:
        try:
            storage.delete(props["bucket"])
        except engines.supabase.ConflictError:
            return False
    return True


def _open(client: ManagementClient, props: Props) -> Storage:
    project = client.projects.get(props["project_ref"])
    return engines.supabase.storage.open_storage(client, project, props["api_url"])


def _written(olds: Props, news: Props) -> dict[str, Any]:
    """Write what differs, and give the outputs with the policies as PostgreSQL shows them then."""
    _cloud.forget(news)
    with _cloud.client(news) as client:
        with _open(client, news) as storage:
            made = _write_bucket(storage, news)
        shown, made_policies = _write_policies(client, olds, news)
    _say(olds, news)
    values = {name: definition.values() for name, definition in shown.items()}
    made = made or bool(olds.get("made"))
    return put(news, shown=values, made=made, made_policies=made_policies)


def _write_bucket(storage: Storage, props: Props) -> bool:
    """Bring the bucket in line, and tell whether it was made for that."""
    wanted = _settings(props)
    live = storage.find(props["bucket"])
    made = live is None
    if live is None:
        try:
            storage.create(props["bucket"], wanted)
        except engines.supabase.ConflictError:
            made = False  # somebody else was quicker
        live = storage.find(props["bucket"])
    if live and (changes := engines.supabase.differing(wanted, live.settings())):
        storage.change(props["bucket"], changes)
    return made


def _write_policies(
    client: ManagementClient, olds: Props, news: Props
) -> tuple[dict[str, Definition], list[str]]:
    """Bring the stack's policies in line, drop those that left it, and name those that it made or changed."""
    ref, policies = news["project_ref"], _policies(news)
    gone = _leaving(client, olds, olds.get("policies", {}).keys() - policies.keys())
    if not policies and not gone:
        return {}, []
    live = engines.supabase.policies.read_policies(client, ref)
    shown = engines.supabase.policies.write_policies(client, ref, policies, gone)
    made: Collection[str] = olds.get("made_policies") or ()
    return shown, sorted(name for name in policies if name in made or live.get(name) != shown[name])


def _leaving(client: ManagementClient, props: Props, names: Collection[str]) -> dict[str, Definition]:
    """Give those of a bucket's policies that are there and still its own."""
    if not names:
        return {}
    live = engines.supabase.policies.read_policies(client, props["project_ref"])
    return {name: live[name] for name in names if name in live and not _moved(props, name, live[name])}


def _settings(props: Props) -> dict[str, Any]:
    """Give what the stack names, as the service spells it: null for no limit, whole numbers."""
    fields = named(props, engines.supabase.storage.FIELDS)
    if "file_size_limit" in fields:
        fields["file_size_limit"] = int(fields["file_size_limit"]) or None
    return {name: None if value == [] else value for name, value in fields.items()}


def _policies(props: Props) -> dict[str, Policy]:
    within = engines.supabase.policies.Policy.within
    return {name: within(props["bucket"], policy) for name, policy in props["policies"].items()}


def _moved(olds: Props, name: str, live: Definition) -> bool:
    """Tell whether a policy that left this bucket belongs to another one of the stack by now."""
    if live.values() == (olds.get("shown") or {}).get(name):
        return False
    text = f"{live.using} {live.check}"
    return "bucket_id" in text and f"'{olds['bucket']}'" not in text


def _stored_now(props: Props) -> tuple[Mapping[str, StoredBucket], Mapping[str, Definition]] | None:
    """Read all buckets and policies; None: the project is paused, and its services do not answer."""
    with _cloud.client(props) as client:
        project = client.projects.get(props["project_ref"])
        if project.is_asleep:
            return None
        with engines.supabase.storage.open_storage(client, project, props["api_url"]) as storage:
            buckets = {one.id: one for one in storage.all()}
        return buckets, engines.supabase.policies.read_policies(client, props["project_ref"])


# All buckets and policies of a project, read once for all resources of an operation.
_stored = _cloud.Once(_stored_now)


def _settings_seen(props: Props, live: StoredBucket) -> dict[str, Any]:
    """Give the live values of what the stack names, in the spelling of its inputs."""
    found, wanted = live.settings(), _settings(props)
    return {
        name: props[name]
        if not engines.supabase.differing({name: wanted[name]}, found)
        else found[name] or _NO_LIMIT.get(name, found[name])
        for name in wanted
    }


def _policies_seen(props: Props, live: Mapping[str, Definition]) -> dict[str, Any]:
    """Give the stack's policies: as they are written where nothing changed, else as PostgreSQL shows them."""
    shown = props["shown"] or {}
    return {
        name: policy if live[name].values() == shown.get(name) else live[name].values()
        for name, policy in props["policies"].items()
        if name in live
    }


def _say(olds: Props, news: Props) -> None:
    fields = engines.supabase.storage.FIELDS
    if let_go := sorted((olds.keys() - news.keys()) & set(fields)):
        reporter(news)(f"left as on the platform, and no longer looked at: {', '.join(let_go)}")


class Bucket(Resource, module="groundwork", name="Bucket"):
    """One bucket.

    Attributes:
        bucket: its name.
    """

    bucket: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a bucket: how to reach the project, `bucket`, `policies`, and its limits where given.

        These are `public`, `file_size_limit` (bytes, 0 for none of its own) and `allowed_mime_types` (an
        empty list for all). A policy has `command`, `roles`, and `using` and `check` where they are given.
        """
        declared = {**props, **dict.fromkeys(("shown", "made", "made_policies"))}
        super().__init__(BucketProvider(), name, declared, opts)
