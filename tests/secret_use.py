"""The table of who was shown which version of a secret, as a migration of the product makes it."""

from __future__ import annotations

TABLE = """
create schema if not exists private;
create table if not exists private.secret_use (
    secret text, version integer, service text, last_used_at timestamptz not null,
    primary key (secret, version, service)
)
"""


def used(secret: str, version: int, service: str, ago_s: float) -> str:
    """Give the statement that notes a use some seconds ago."""
    return (
        f"insert into private.secret_use values ('{secret}', {version}, '{service}', "
        f"now() - make_interval(secs => {ago_s})) on conflict (secret, version, service) "
        "do update set last_used_at = excluded.last_used_at"
    )
