"""What a single configuration value may look like."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

import pulumi
from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, Strict

_UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_DECIMAL = re.compile(r"\d{1,9}\.\d{1,9}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|min|h|d)")
_MEMORY = re.compile(r"([1-9]\d*) ?(MiB|GiB)")
_BYTES = {"MiB": 1 << 20, "GiB": 1 << 30}
_EVERY_SECONDS = re.compile(r"([1-9]|[1-5]\d) seconds?")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DAYS = "sun|mon|tue|wed|thu|fri|sat"
_CRON = re.compile(
    rf"[\d*/,-]+ [\d*/,-]+ [\d*/,$-]+ (?:[\d*/,-]|{_MONTHS})+ (?:[\d*/,-]|{_DAYS})+", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"change.?me|replace.?me|to.?do|placeholder|your\W.*|<.*>|\[.*\]|x{3,}", re.IGNORECASE
)
# Lemon Squeezy, the billing provider, takes 6 to 40 characters.
_SHORTEST_SIGNING = 16


def seconds(value: object) -> float:
    """
    Turn a duration such as "500ms", "30s", "5min", "1h", "7d" or a number of seconds into seconds.

    Raises:
        ValueError: if it is anything else, or not above zero.

    """
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        value = float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        message = 'must be a duration above zero such as "500ms", "30s", "5min", "1h" or "7d", or seconds'
        raise ValueError(message)
    return float(value)


def memory(value: object) -> int:
    """
    Turn a size such as "512MiB" or "2GiB" into bytes.

    Raises:
        ValueError: if it is anything else.

    """
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if not match:
        message = 'must be a size such as "512MiB" or "2GiB"'
        raise ValueError(message)
    return int(match[1]) * _BYTES[match[2]]


def _schedule(value: str) -> str:
    """Accept what pg_cron accepts: five fields, or "N seconds" with N from 1 to 59 (pg_cron README)."""
    text = " ".join(value.split())
    if _EVERY_SECONDS.fullmatch(text):
        return text
    if not _CRON.fullmatch(text) or not _comes_due(text):
        message = (
            'must be five cron fields such as "*/5 * * * *" that come due, or "N seconds" with N from 1 to 59'
        )
        raise ValueError(message)
    return text


def _comes_due(fields: str) -> bool:
    """Tell whether a five-field schedule has a next time ("0 0 30 2 *" has none); $ is cronsim's L."""
    try:
        next(CronSim(fields.replace("$", "L"), datetime.now(UTC)))
    except (CronSimError, StopIteration):
        return False
    return True


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_private(host: str) -> bool:
    """Tell whether a host lies on this machine or in a private network; one word is a container's name."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host


def _exact_url(value: str) -> str:
    """Accept https, or http inside a private network."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    allowed = parts.scheme == "https" or (parts.scheme == "http" and _is_private(parts.hostname or ""))
    if not allowed or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        message = (
            "must be an https:// address (http:// only inside a private network) without login or ?query"
        )
        raise ValueError(message)
    return value


def url(value: str) -> str:
    """Accept the same, and cut a slash at the end; anything else is a ValueError that does not quote it."""
    return _exact_url(value).rstrip("/")


def secret(value: object) -> pulumi.Output[str]:
    """Mark a value as secret; an error never shows it."""
    if not isinstance(value, str) or not value or value != value.strip():
        message = "must be text without blanks around it; set it by `pulumi config set --secret --path`"
        raise ValueError(message)
    if _PLACEHOLDER.fullmatch(value):
        message = "is a placeholder; set the real value by `pulumi config set --secret --path`"
        raise ValueError(message)
    return pulumi.Output.secret(value)


def signing_secret(value: object) -> pulumi.Output[str]:
    """Mark a value as secret that nobody may guess: what it signs, and what proves it, anybody can have."""
    made = secret(value)
    if isinstance(value, str) and len(value) < _SHORTEST_SIGNING:
        message = f"must have {_SHORTEST_SIGNING} characters or more; whoever guesses it signs events as well"
        raise ValueError(message)
    return made


def freeze(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a map as unchangeable as the model that holds it."""
    return MappingProxyType(dict(value))


def like(pattern: str, allowed: str) -> AfterValidator:
    """Build the check that a text fits a pattern as a whole; `allowed` says in words what fits."""
    expression = re.compile(pattern)

    def check(value: str) -> str:
        if not expression.fullmatch(value):
            message = f"must be {allowed}"
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _from_text(value: object) -> object:
    """Let the text `[]` stand for no version: `pulumi config set` has no other way to write an empty list."""
    return () if value == "[]" else value


def _decimal(value: object) -> object:
    """Take a decimal number in quotes: `pulumi config set --path` leaves it a text, unlike a whole one."""
    return float(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else value


def below(accept: tuple[int, ...] | None, version: int) -> tuple[int, ...] | None:
    """Accept older versions; `version` is 0 where it is wrong itself.

    Raises:
        ValueError: one does not exist yet.
    """
    if accept and version and max(accept) >= version:
        message = f"must hold versions below version, which is {version}"
        raise ValueError(message)
    return accept


Number = Annotated[float, BeforeValidator(_decimal)]
Seconds = Annotated[float, BeforeValidator(seconds)]
Schedule = Annotated[str, AfterValidator(_schedule)]
Url = Annotated[str, AfterValidator(url)]
ExactUrl = Annotated[str, AfterValidator(_exact_url)]
Secret = Annotated[pulumi.Output[str], PlainValidator(secret)]
SigningSecret = Annotated[pulumi.Output[str], PlainValidator(signing_secret)]
Port = Annotated[int, Field(ge=0, le=65535)]
# In the database, where uses are noted, a version is an integer; the one after it has a value, too.
Version = Annotated[int, Field(ge=1, le=2**31 - 2)]
Versions = Annotated[tuple[Version, ...] | None, Strict(strict=False), BeforeValidator(_from_text)]
Text = Annotated[str, Field(min_length=1, max_length=256)]
JsonObject = Annotated[Mapping[str, Any], AfterValidator(freeze)]
Memory = Annotated[int, BeforeValidator(memory)]
ImageByDigest = Annotated[
    str,
    like(
        r"[a-z0-9][\w.:/-]*@sha256:[0-9a-f]{64}",
        "an image by its digest, such as registry.example.com/product/app@sha256:… (64 digits)",
    ),
]
Registry = Annotated[
    str,
    like(
        r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*",
        "a registry and a path, such as registry.example.com/product, without https:// or a last slash",
    ),
]
