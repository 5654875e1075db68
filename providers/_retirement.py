"""Old versions of a secret are refused only once nobody uses them any more.

A secret is guarded when its inputs have `retire_after_s`, seconds, and say how to reach the database. `login`
is the base name of its two roles where the secret is a login's password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import engines
from engines.errors import GroundworkError
from providers import _access
from providers._crud import Props, log

if TYPE_CHECKING:
    from collections.abc import Collection

    from engines.usage import Use


class StillInUseError(GroundworkError):
    """A version is still used; the text says by whom, and what can be done."""


def refusal(olds: Props, news: Props) -> str:
    """Say, before an update, why versions cannot be retired; empty: nothing speaks against it.

    Args:
        olds: the inputs of the last update.
        news: the inputs.
    """
    gone = retired(accepted(olds) if olds else (), news)
    if not gone or not _is_guarded(news):
        return ""
    uses = _access.preview(olds, news, lambda dsn: _uses(dsn, news, gone))
    if uses is None:
        gap = f"whether version {_list(gone)} is still in use could not be checked"
        text = f"{_name(news)}: {gap}; the update does before it retires it"
        log(text, str(news.get("log_urn", "")), warning=True)
        return ""
    return _text(uses, news) if uses else ""


def ensure_unused(versions: Collection[str], news: Props) -> None:
    """Refuse to drop versions of a secret that somebody uses.

    Args:
        versions: those that there are.
        news: the inputs.

    Raises:
        StillInUseError: somebody uses one that would be dropped, or the database does not say.
    """
    gone = retired([int(number) for number in versions], news)
    if not gone or not _is_guarded(news):
        return
    try:
        uses = _access.run(news, lambda dsn: _uses(dsn, news, gone))
    except GroundworkError as error:
        text = (
            f"{_name(news)}: version {_list(gone)} stays, because nobody says whether it is in use: {error}"
        )
        raise StillInUseError(text) from None
    if uses:
        raise StillInUseError(_text(uses, news))


def accepted(props: Props) -> tuple[int, ...]:
    """Give the versions that inputs accept, the current one first."""
    return (int(props["version"]), *(int(number) for number in props["accept"]))


def retired(versions: Collection[int], news: Props) -> list[int]:
    """List those of some versions that are accepted no more."""
    return sorted(set(versions) - set(accepted(news)), reverse=True)


def _is_guarded(news: Props) -> bool:
    return "retire_after_s" in news and not news.get("compromised")


def _uses(dsn: str, news: Props, versions: Collection[int]) -> tuple[Use, ...]:
    if news.get("login"):
        return engines.usage.sessions(dsn, news["login"], versions)
    return engines.usage.noted(dsn, news["secret_name"], versions, float(news["retire_after_s"]))


def _text(uses: tuple[Use, ...], news: Props) -> str:
    """Say who uses what, and the three ways out."""
    found = "; ".join(f"version {use.version} is still in use: {use.by}" for use in uses)
    name, numbers = _name(news), sorted({use.version for use in uses}, reverse=True)
    window = (
        ""
        if news.get("login")
        else (f" (groundwork:secrets.retire_after wants {float(news['retire_after_s']):g} s without use)")
    )
    kept, stolen = _keeping(news, numbers), f"set {name}.compromised to true, which refuses it at once"
    return f"{name}: {found}{window}. Wait and run this again; or keep it, {kept}; or {stolen}"


def _keeping(news: Props, numbers: list[int]) -> str:
    version = int(news["version"])
    if news.get("login") and version - 1 not in numbers:
        # Two roles take turns: the version in use is the one that cannot go on being raised.
        return f"with {_name(news)}.version: {version - 1} for now"
    kept = sorted({*accepted(news)[1:], *numbers}, reverse=True)
    return f"with {_name(news)}.accept: [{_list(kept)}]"


def _name(news: Props) -> str:
    return f"groundwork:secrets.{news['secret_name']}"


def _list(numbers: Collection[int]) -> str:
    return ", ".join(map(str, numbers))
