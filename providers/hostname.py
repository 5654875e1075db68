"""A project's own host name: claimed, proved by DNS records, put into service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

import engines
from providers import _cloud
from providers._crud import Props, log, reporter
from providers._named import NamedProvider, before, leave, put

if TYPE_CHECKING:
    from engines.supabase import Hostname, ManagementClient

# The platform's words for the two last of its five states.
_PROVED = "4_origin_setup_completed"
_ACTIVE = "5_services_reconfigured"


class CustomHostnameProvider(NamedProvider):
    """Brings one host name as far as DNS allows; the platform takes ten requests a minute for it."""

    results = frozenset({"status", "records", "made"})
    fixed = frozenset({"hostname"})
    holds_one = True

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update until the name is in service."""
        found = super().diff(id_, olds, news)
        found.changes = bool(found.changes or olds.get("status") != _ACTIVE)
        return found

    def create(self, props: Props) -> CreateResult:
        """Claim the name, unless the project has it."""
        _cloud.forget(props)
        ref, name = props["project_ref"], props["hostname"]
        with _cloud.client(props) as client:
            found = client.hostnames.get(ref)
            if found and found.custom_hostname != name:
                raise engines.supabase.ConflictError(_taken(ref, name, found.custom_hostname))
            now = found or client.hostnames.claim(ref, name)
            now = _advanced(client, props, now)
        return CreateResult(name, _outputs(props, now, made=found is None))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Try the next steps again."""
        outs = self.create(news).outs or {}
        return UpdateResult({**outs, "made": bool(outs["made"] or before(olds, news).get("made"))})

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live name; one that is gone leaves the state and is claimed again."""
        try:
            with _cloud.client(props) as client:
                live = client.hostnames.get(props["project_ref"])
        except engines.supabase.NotFoundError:
            live = None
        if live is None:
            return ReadResult(None, {})
        outs = {**_outputs(props, live, made=props["made"]), "hostname": live.custom_hostname}
        return ReadResult(id_, outs, self.inputs(outs))

    def delete(self, _id: str, props: Props) -> None:
        """Give the name up if the stack claimed it."""
        if not props["made"]:
            leave(props, f"the host name {props['hostname']}")
            return
        _cloud.forget(props)
        with _cloud.client(props) as client:
            live = client.hostnames.get(props["project_ref"])
            if live and live.custom_hostname == props["hostname"]:
                client.hostnames.delete(props["project_ref"])


def _taken(ref: str, name: str, other: str) -> str:
    return (
        f"groundwork:supabase.custom_hostname: project {ref} has the host name {other}, which this stack did "
        f"not claim, and may have one only; give it up on the platform, then {name} can be claimed"
    )


def _advanced(client: ManagementClient, props: Props, now: Hostname) -> Hostname:
    """Take the steps that DNS allows by now; that it does not hold the records yet is no failure."""
    ref = props["project_ref"]
    try:
        if now.status < _PROVED:
            now = client.hostnames.verify(ref)
        if now.status == _PROVED:
            now = client.hostnames.activate(ref)
    except engines.supabase.RejectedError as error:
        now = now.model_copy(update={"errors": (*now.errors, str(error))})
    if now.status == _ACTIVE:
        reporter(props)(f"{now.custom_hostname} is in service")
    else:
        _warn(props, now)
    return now


def _warn(props: Props, now: Hostname) -> None:
    """Say what DNS has to hold, and that the next update goes on."""
    urn = props.get("log_urn")
    lines = [f"  {record.name} TXT {record.value}" for record in now.records]
    reasons = [f"the platform says: {error}" for error in now.errors]
    text = (
        f"{now.custom_hostname} is not in service yet ({now.status}): DNS needs the records below, and a "
        f"CNAME from {now.custom_hostname} to the project's own address; run the update again then"
    )
    log("\n".join((text, *lines, *reasons)), urn if isinstance(urn, str) else "", warning=True)


def _outputs(props: Props, now: Hostname, *, made: bool) -> dict[str, Any]:
    records = {record.name: record.value for record in now.records}
    return put(props, status=now.status, records=records, made=made)


class CustomHostname(Resource, module="groundwork", name="CustomHostname"):
    """A project's own host name.

    Attributes:
        status: how far it is, by the platform's words: `5_services_reconfigured` is in service.
        records: the TXT records that DNS has to hold, by their names.
    """

    status: pulumi.Output[str]
    records: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the name: how to reach the project, and `hostname`."""
        declared = {**props, **dict.fromkeys(("status", "records", "made"))}
        super().__init__(CustomHostnameProvider(), name, declared, opts)
