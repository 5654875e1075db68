"""What the value of a variable may look like, by its kind, and the text that a service is given for it."""

from __future__ import annotations

import math
import re
from typing import Literal, get_args

from settings.values import url

Kind = Literal["text", "integer", "number", "boolean", "url"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# Linux takes no longer string in a program's environment (MAX_ARG_STRLEN is 128 KiB, the name included).
_LONGEST = 100_000
_NUMBER = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def written(kind: Kind, value: object) -> str:
    """
    Write a value of a stack file as the text that a service gets.

    `pulumi config set --path` makes booleans and whole numbers of texts that look like them, and encrypted
    values are always text: either form is good for every kind.

    Raises:
        ValueError: if it is not of the kind; the message says what is, never the value.
    """
    text = _plain(value, decimals=kind == "number")
    try:
        return _CHECKS[kind](text)
    except ValueError:
        # Worded here: what int() and float() say quotes the value.
        raise ValueError(_WORDS[kind]) from None


def _plain(value: object, *, decimals: bool) -> str:
    """Undo what YAML and the CLI make of a text; a decimal may have lost zeros, so only a number is one."""
    if isinstance(value, bool):
        return str(value).lower()
    if (isinstance(value, int) and abs(value) < 10**18) or (decimals and isinstance(value, float)):
        return str(value)
    return value if isinstance(value, str) else ""


def _text(text: str) -> str:
    # A lone surrogate raises UnicodeEncodeError, which is a ValueError.
    if not text or "\0" in text or len(text.encode()) > _LONGEST:
        raise ValueError
    return text


def _integer(text: str) -> str:
    if not _WHOLE.fullmatch(text):
        raise ValueError
    return str(int(text))


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError
    return text


def _boolean(text: str) -> str:
    if text not in {"true", "false"}:
        raise ValueError
    return text


_CHECKS = {"text": _text, "integer": _integer, "number": _number, "boolean": _boolean, "url": url}
_WORDS = {
    "text": f"must be text of 1 to {_LONGEST} bytes; put quotes around a decimal number",
    "integer": "must be a whole number of up to 18 digits",
    "number": "must be a number such as 0.5",
    "boolean": "must be true or false",
    "url": "must be an https:// address (http:// only inside a private network) without login or ?query",
}
