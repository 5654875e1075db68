"""What sections demand of each other.

A rule is a function whose parameters are named after the sections that it reads; it is asked when all of
these are valid, so that a mistake elsewhere does not hide it. It yields one problem per violation, and each
problem names every key that takes part.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from settings.problems import Problem
from settings.values import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from settings.hosting import Host
    from settings.sections import Agent, App, CronJob, Migrations, Secrets, Supabase


# What edge functions may be told: of the other secrets they would need all versions, or none.
SHAREABLE = ("agent_shared_secret", "ai_api_key", "mail_api_key", "billing_webhook_secret")


def _api_url_and_token(supabase: Supabase) -> Iterator[Problem]:
    """The API needs a token; without the API there is nothing to log in to or to adopt from."""
    if supabase.api_url and supabase.access_token is None:
        yield Problem(
            "supabase.access_token",
            "is needed because groundwork:supabase.api_url is set; set it by "
            "`pulumi config set --secret --path groundwork:supabase.access_token`",
        )
    for name in ("access_token", "ref"):
        if not supabase.api_url and getattr(supabase, name) is not None:
            yield Problem(
                f"supabase.{name}", "has no use without groundwork:supabase.api_url; set that, or remove this"
            )


def _stand_in_needs_processes(supabase: Supabase, host: Host) -> Iterator[Problem]:
    """Only the process host runs a stand-in for the Supabase cloud."""
    if not supabase.api_url and host.kind != "process":
        yield Problem(
            "supabase.api_url",
            f'is needed because groundwork:host.kind is "{host.kind}"; only "process" runs a stand-in',
        )


def _only_for_containers(host: Host, app: App, agent: Agent) -> Iterator[Problem]:
    """Processes have no use for the settings of containers."""
    if host.kind != "process":
        return
    sections = {"host.docker": host.docker, "host.proxy": host.proxy}
    for name, workload in (("app", app), ("agent", agent)):
        sections |= {f"{name}.{key}": getattr(workload, key) for key in _OF_CONTAINERS}
    for key in (key for key, value in sections.items() if value is not None):
        yield Problem(
            key, 'has no use while groundwork:host.kind is "process"; remove it, or choose docker or swarm'
        )


_OF_CONTAINERS = ("replicas", "image", "memory", "cpus", "drain")


def _container_ports(host: Host, app: App, agent: Agent) -> Iterator[Problem]:
    """A service in containers is published at a port that is known before it runs."""
    for name, workload in (("app", app), ("agent", agent)):
        if not workload.port and host.kind != "process":
            yield Problem(f"{name}.port", f'is needed because groundwork:host.kind is "{host.kind}"')


def _images_reach_all_nodes(host: Host, app: App, agent: Agent) -> Iterator[Problem]:
    """The nodes of a Swarm pull what they run; an image on one engine is not there for the others."""
    registry = host.docker and host.docker.registry
    for name, workload in (("app", app), ("agent", agent)):
        if host.kind == "swarm" and not registry and not workload.image:
            yield Problem(
                f"{name}.image",
                'is needed because groundwork:host.kind is "swarm" without groundwork:host.docker.registry; '
                "set that, or this to an image by its digest",
            )


def _registry_login(host: Host) -> Iterator[Problem]:
    """A login is a name, a password and a place."""
    docker = host.docker
    if docker is None or (docker.registry_username is None and docker.registry_password is None):
        return
    for key in ("registry", "registry_username", "registry_password"):
        if getattr(docker, key) is None:
            yield Problem(
                f"host.docker.{key}",
                "is needed because groundwork:host.docker.registry_username or registry_password is set",
            )


def _redirect(host: Host, app: App, agent: Agent) -> Iterator[Problem]:
    """A redirect leads from a free port to an address with TLS."""
    port = host.proxy.redirect_port if host.proxy else 0
    if not port:
        return
    because = "is needed because groundwork:host.proxy.redirect_port is set"
    if host.proxy and host.proxy.certificate is None:
        yield Problem("host.proxy.certificate", because)
    if not (app.public_url or "").startswith("https://"):
        yield Problem("app.public_url", f"{because}, and must begin with https://")
    if port in {app.port, agent.port}:
        yield Problem(
            "host.proxy.redirect_port",
            f"is {port}, as groundwork:app.port or groundwork:agent.port is; choose another one",
        )


def _same_port(app: App, agent: Agent) -> Iterator[Problem]:
    """Two programs on one machine cannot share a port."""
    if app.port and app.port == agent.port:
        yield Problem(
            "app.port", f"and groundwork:agent.port are both {app.port}; choose two, or 0 to have one found"
        )


def _ai_key(agent: Agent, secrets: Secrets) -> Iterator[Problem]:
    """A real model needs a name and a key."""
    if agent.ai_provider == "echo":
        return
    reason = f'is needed because groundwork:agent.ai_provider is "{agent.ai_provider}"'
    if secrets.ai_api_key is None:
        how = "set it by `pulumi config set --secret --path groundwork:secrets.ai_api_key.value`"
        yield Problem("secrets.ai_api_key.value", f"{reason}; {how}")
    if agent.ai_model is None:
        yield Problem("agent.ai_model", reason)


def _cron_reaches_agent(cron: Mapping[str, CronJob], supabase: Supabase, agent: Agent) -> Iterator[Problem]:
    """A database elsewhere cannot call an address that only this machine knows."""
    remote = supabase.api_url is not None and not is_loopback(supabase.api_url)
    if cron and remote and agent.public_url is None:
        yield Problem(
            "agent.public_url",
            "is needed because groundwork:cron has jobs and the database calls the agent from elsewhere",
        )


def _protected(supabase: Supabase, migrations: Migrations, app: App) -> Iterator[Problem]:
    """A protected project is not one to empty, to delete or to play with."""
    playful = {
        "migrations.disposable": migrations.disposable,
        "app.demo_accounts": app.demo_accounts,
        "supabase.on_destroy": supabase.on_destroy == "delete",
    }
    for key in (key for key, used in playful.items() if used and supabase.protect):
        yield Problem(key, "cannot be used while groundwork:supabase.protect is true")


def _two_logins(secrets: Secrets) -> Iterator[Problem]:
    """Two roles take turns, so that only the version before fits beside the one in use."""
    for role in ("app", "agent"):
        key = f"{role}_database_password"
        wanted = getattr(secrets, key)
        for taken in (one for one in wanted.accept or () if one != wanted.version - 1):
            yield Problem(
                f"secrets.{key}.accept",
                f"cannot hold {taken} beside version {wanted.version}: two roles take turns, so only the "
                "version before fits; raise the version by one at a time",
            )


def _links(supabase: Supabase, secrets: Secrets) -> Iterator[Problem]:
    """Edge functions are told what the stack has, and never what opens its database."""
    absent = {name for name in SHAREABLE if getattr(secrets, name) is None}
    known = {*SHAREABLE, *(f"api_keys.{name}" for name in supabase.api_keys)}
    for name, source in supabase.function_links.items():
        key = f"supabase.function_secrets.{name}"
        if source in absent:
            yield Problem(key, f"is from {source}, which the stack does not set; set {_value_of(source)}")
        elif source not in known:
            allowed = ", ".join(sorted(known))
            yield Problem(key, f'is from "{source}", which edge functions cannot be told; one of: {allowed}')


def _value_of(name: str) -> str:
    return f"groundwork:secrets.{name}.value"


RULES: tuple[Callable[..., Iterator[Problem]], ...] = (
    _api_url_and_token,
    _stand_in_needs_processes,
    _only_for_containers,
    _container_ports,
    _images_reach_all_nodes,
    _registry_login,
    _redirect,
    _same_port,
    _ai_key,
    _cron_reaches_agent,
    _protected,
    _two_logins,
    _links,
)


def broken(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield every violation among the sections that are valid."""
    for rule in RULES:
        names = tuple(inspect.signature(rule).parameters)
        if all(name in sections for name in names):
            yield from rule(*(sections[name] for name in names))
