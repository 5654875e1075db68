"""Removes secret values from texts that others wrote: server messages, log lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARK = "[secret]"


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace each secret in `text`, also its parts: the leaves of a JSON secret, the password of a URL."""
    forms = {form for secret in secrets for form in _forms(secret)}
    # The longest first: a short secret inside a longer one must not leave the rest of the longer one.
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MARK)
    return text


def _forms(secret: str) -> Iterator[str]:
    """Give the spellings under which a secret may appear."""
    for part in (secret, *_leaves(secret), *_url_password(secret)):
        if part:
            yield part
            yield quote(part, safe="")
            # As it stands inside a quoted JSON text, and inside one that another one quotes.
            for is_ascii in (True, False):
                quoted = json.dumps(part, ensure_ascii=is_ascii)[1:-1]
                yield quoted
                yield json.dumps(quoted, ensure_ascii=is_ascii)[1:-1]


def _leaves(secret: str) -> Iterator[str]:
    try:
        value = json.loads(secret)
    except ValueError:
        return
    if isinstance(value, dict | list):
        yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _url_password(secret: str) -> Iterator[str]:
    try:
        password = urlsplit(secret).password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
