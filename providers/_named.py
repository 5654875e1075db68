"""What the providers of a project's named things share: what counts as a change, and whose a thing is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulumi.dynamic import DiffResult

from providers._cloud import REACH, CloudProvider
from providers._crud import Props, changed_keys, log, plain

if TYPE_CHECKING:
    from collections.abc import Collection

_SILENT = frozenset({*REACH, "__provider", "log_urn", "fingerprint_key"})


class NamedProvider(CloudProvider):
    """A provider of one of a project's named things, or of all of a kind.

    Attributes:
        results: outputs that are no inputs.
        fixed: inputs that a thing is made with; another value makes another thing.
        holds_one: whether the platform keeps only one, so that the old one goes first.
    """

    results: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    holds_one = False

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when an input differs or is let go, and for another thing when it is fixed."""
        let_go = olds.keys() - news.keys() - self.results - _SILENT
        changed = {*changed_keys(olds, news, self.soft), *let_go}
        return DiffResult(
            changes=bool(changed),
            replaces=sorted(changed & self.fixed),
            delete_before_replace=self.holds_one,
        )

    def inputs(self, outputs: Props) -> Props:
        """Give the part of the outputs that are inputs."""
        return {name: value for name, value in outputs.items() if name not in self.results}


def before(olds: Props, news: Props) -> Props:
    """Give what an update starts from: nothing, when the project is another one now."""
    return olds if olds.get("project_ref") == news["project_ref"] else {}


def named(props: Props, names: Collection[str]) -> Props:
    """Choose some of the properties, as far as they are there."""
    return {name: props[name] for name in names if name in props}


def put(props: Props, **results: object) -> Props:
    """Give the outputs: the inputs as they are, and the results."""
    return {**plain(props), **results}


def leave(props: Props, what: str, why: str = "it was there before this stack") -> None:
    """Say that something stays on the platform, and why."""
    urn = props.get("log_urn")
    text = f"{what} stays as it is: {why}"
    log(text, urn if isinstance(urn, str) else "", warning=True)
