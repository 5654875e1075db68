"""The matrix of who holds which version of which secret; an update ends with it, or fails by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi

from components._base import Component
from providers.parity import Parity as Proof

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.configuration import FunctionLinks
    from components.database import Logins
    from components.secret import Bundle
    from components.supabase import Project

# How long places may need to follow an update that has just ended, in seconds.
_PATIENCE_S: Final = 20.0
_LOGIN: Final = {"listed_as": "database_password", "checks": ["database"]}
# Who presents a secret holds the version in use; who checks it holds all that are accepted, and no others.
_PLACES: Final[Mapping[str, Mapping[str, Any]]] = {
    "agent_shared_secret": {"presents": ["app", "cron"], "checks": ["agent"]},
    "app_database_password": {"presents": ["app"], "login": "app", **_LOGIN},
    "agent_database_password": {"presents": ["agent"], "login": "agent", **_LOGIN},
    "session_key": {"checks": ["app"]},
    "ai_api_key": {"presents": ["agent"]},
    "mail_api_key": {"presents": ["app"]},
    "billing_webhook_secret": {"checks": ["app"]},
}


@dataclass(frozen=True, kw_only=True)
class ParityArgs:
    """What is proven.

    Attributes:
        secrets: the services' secrets.
        logins: the services' logins.
        links: what edge functions are told of the secrets.
        urls: `app` and `agent` → where they are reached.
        releases: `app` and `agent` → what changes with everything that was rolled out.
    """

    secrets: Bundle
    logins: Logins
    links: FunctionLinks
    urls: Mapping[str, pulumi.Input[str]]
    releases: Mapping[str, pulumi.Input[str]]


class Parity(Component):
    """Fails the update when places disagree about a secret.

    Attributes:
        matrix: secret → place → version; `unknown` and `missing` only while it fails.
    """

    token = "groundwork:parity:Parity"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: ParityArgs, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the proof, after everything that it asks."""
        super().__init__(name, opts)
        links = args.links
        props = {
            **project.access,
            "app_url": args.urls["app"],
            "agent_url": args.urls["agent"],
            "releases": dict(args.releases),
            "places": _places(args.secrets.versions, links.sources, links.key_versions),
            "secrets": pulumi.Output.secret({**args.secrets.all_values(), **links.key_values}),
            "logins": pulumi.Output.secret({role: args.logins.url(role) for role in ("app", "agent")}),
            "asks_functions": bool(links.sources),
            "timeout_s": _PATIENCE_S,
        }
        proof = Proof(self.named("proof"), props, self.under(project.inside()))
        self.matrix = proof.matrix
        self.finish(matrix=self.matrix)


def _places(
    versions: Mapping[str, int], sources: Mapping[str, str], key_versions: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """Give who has to hold what: by the table above, and what edge functions are told."""
    known = {**versions, **key_versions}
    return {
        name: {
            "checks": [],
            **_PLACES.get(name, {}),
            "version": version,
            "presents": [
                *_PLACES.get(name, {}).get("presents", []),
                *(f"functions.{told}" for told, source in sorted(sources.items()) if source == name),
            ],
        }
        for name, version in known.items()
    }
