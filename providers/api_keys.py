"""API keys of a project, each with a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

import engines
from providers import _cloud
from providers._named import NamedProvider, before, leave, put

if TYPE_CHECKING:
    from engines.supabase import ApiKey as Key
    from engines.supabase import ManagementClient
    from providers._crud import Props


_REASON = "the stack that made it does not name it any more"


class ApiKeyProvider(NamedProvider):
    """Makes one key, or takes over the one of its type and name."""

    results = frozenset({"key_id", "api_key", "made"})
    fixed = frozenset({"key_name", "key_type"})

    def create(self, props: Props) -> CreateResult:
        """Make the key, unless there is one of this type and name."""
        _cloud.forget(props)
        ref, kind, name = props["project_ref"], props["key_type"], props["key_name"]
        with _cloud.client(props) as client:
            found = client.keys.find(ref, kind, name)
            key, made = (found, False) if found else _made(client, props)
            key = _described(client, props, key)
        return CreateResult(str(key.id), _outputs(props, key, made=made))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Change the description; the key itself stays."""
        if not before(olds, news):
            return UpdateResult(self.create(news).outs)
        if "description" in news and news["description"] != olds.get("description"):
            _cloud.forget(news)
            with _cloud.client(news) as client:
                client.keys.change(news["project_ref"], olds["key_id"], description=news["description"])
        return UpdateResult(put(news, **{name: olds[name] for name in self.results}))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live key; one that is gone leaves the state and is made again."""
        try:
            keys = {key.id: key for key in _cloud.look(props, "keys")}
        except engines.supabase.NotFoundError:
            keys = {}
        if props["key_id"] not in keys:
            return ReadResult(None, {})
        outs = put(props, key_name=keys[props["key_id"]].name)
        if "description" in props:
            outs["description"] = keys[props["key_id"]].description or ""
        return ReadResult(id_, outs, self.inputs(outs))

    def delete(self, _id: str, props: Props) -> None:
        """Delete the key if the stack made it; it is refused from then on."""
        if not props["made"]:
            leave(props, f"the API key {props['key_name']}")
            return
        _cloud.forget(props)
        with _cloud.client(props) as client:
            client.keys.delete(props["project_ref"], props["key_id"], reason=_REASON)


def _made(client: ManagementClient, props: Props) -> tuple[Key, bool]:
    """Make the key, and tell whether it is ours: somebody else may have been quicker."""
    ref, kind, name = props["project_ref"], props["key_type"], props["key_name"]
    try:
        return client.keys.create(ref, kind, name, props.get("description")), True
    except engines.supabase.ConflictError:
        found = client.keys.find(ref, kind, name)
        if found is None:
            raise
        return found, False


def _described(client: ManagementClient, props: Props, key: Key) -> Key:
    wanted = props.get("description")
    if wanted is None or wanted == (key.description or ""):
        return key
    return client.keys.change(props["project_ref"], str(key.id), description=wanted)


def _outputs(props: Props, key: Key, *, made: bool) -> dict[str, Any]:
    return put(props, key_id=str(key.id), api_key=key.api_key or "", made=made)


class ApiKey(Resource, module="groundwork", name="ApiKey"):
    """One API key.

    Attributes:
        key_id: what the platform calls it.
        api_key: the key itself (secret).
    """

    key_id: pulumi.Output[str]
    api_key: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a key: how to reach the project, `key_name`, `key_type`, and `description` if given."""
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["api_key"])
        declared = {**props, **dict.fromkeys(("key_id", "api_key", "made"))}
        super().__init__(ApiKeyProvider(), name, declared, pulumi.ResourceOptions.merge(hidden, opts))
