"""Policies of row-level security on a project's files: PostgreSQL's own, on the table `storage.objects`.

PostgreSQL keeps a condition as it understood it, not as it was written (`a=1` becomes `(a = 1)`). So a wanted
policy is compared by letting PostgreSQL make it, read it, and undo it, all in one transaction.
https://www.postgresql.org/docs/current/sql-createpolicy.html
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.supabase.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engines.supabase.client import ManagementClient

# A policy waits for the requests that use the table, and new ones wait behind it: not longer than this.
_LOCK_TIMEOUT = "500ms"
_LOCK_TIMED_OUT = "55P03"
_TRIES = 20
_PAUSE_S = 1.0
_SHOW = """
select policyname as name, permissive, cmd, to_json(roles) as roles, qual, with_check
  from pg_policies where schemaname = 'storage' and tablename = 'objects'
"""
# Any name that no policy has: it is there only inside a part of a transaction that is undone.
_TRIAL = "groundwork trial"
_SEEN = "'groundwork.seen'"
_BUCKET = re.compile(r"\bbucket_id\b", re.IGNORECASE)
# Which commands have each condition at least; where `check` is not given, PostgreSQL takes `using` for it.
_NEEDS = {"using": ("all", "select", "update", "delete"), "check": ("insert",)}


@dataclass(frozen=True)
class Policy:
    """One policy as it is written in SQL.

    Attributes:
        command: `all`, `select`, `insert`, `update` or `delete`.
        roles: whom it allows something.
        using: condition on rows that are there; None: none is kept, which allows all of them.
        check: condition on rows as they are written; None: that of `using`.
    """

    command: str
    roles: tuple[str, ...]
    using: str | None
    check: str | None

    @classmethod
    def within(cls, bucket: str, values: Mapping[str, Any]) -> Policy:
        """Make one of a stack's words; a condition without `bucket_id` is confined to the bucket."""
        command = values["command"]
        conditions = {
            name: _confined(bucket, values.get(name)) if values.get(name) or command in applies else None
            for name, applies in _NEEDS.items()
        }
        return cls(command, tuple(values["roles"]), conditions["using"], conditions["check"])


@dataclass(frozen=True)
class Definition:
    """One policy as PostgreSQL keeps it."""

    command: str
    roles: tuple[str, ...]
    using: str | None
    check: str | None
    permissive: bool = True

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Definition:
        """Read it from a row of pg_policies."""
        return cls(
            command=row["cmd"].lower(),
            roles=tuple(sorted(row["roles"])),
            using=row["qual"],
            check=row["with_check"],
            permissive=row["permissive"] == "PERMISSIVE",
        )

    def values(self) -> dict[str, Any]:
        """Give it in the words of a stack's configuration."""
        values: dict[str, Any] = {"command": self.command, "roles": list(self.roles)}
        conditions = {"using": self.using, "check": self.check}
        values |= {name: text for name, text in conditions.items() if text is not None}
        return values if self.permissive else {**values, "restrictive": True}


def read_policies(client: ManagementClient, ref: str) -> dict[str, Definition]:
    """Read the policies on a project's files, by name."""
    return {row["name"]: Definition.read(row) for row in client.database.read_only_query(ref, _SHOW)}


def write_policies(
    client: ManagementClient,
    ref: str,
    wanted: Mapping[str, Policy],
    dropped: Mapping[str, Definition] | None = None,
) -> dict[str, Definition]:
    """Make, change and drop policies by name, and give those that are wanted as PostgreSQL keeps them.

    What is as it should be already is not touched, others are left alone, and all is done or nothing.

    Args:
        client: what to ask.
        ref: the project.
        wanted: by name.
        dropped: as they were found; one that somebody changed since then is theirs, and stays.

    Raises:
        SupabaseError: one of its kinds; RejectedError holds PostgreSQL's own words about a condition.
    """
    live = read_policies(client, ref) if wanted else {}
    meant = {} if not wanted else _tried(client, ref, wanted)
    differing = [name for name in wanted if live.get(name) != meant[name]]
    if differing or dropped:
        statements = [_drop_unchanged(*found) for found in (dropped or {}).items()]
        statements += [_drop(name) for name in differing]
        statements += [_create(name, wanted[name]) for name in differing]
        _run(client, ref, statements)
    return meant


def _tried(client: ManagementClient, ref: str, wanted: Mapping[str, Policy]) -> dict[str, Definition]:
    """Let PostgreSQL say how it understands policies; each one is undone at once."""
    trials = "".join(map(_trial, wanted.values()))
    keep = f"perform set_config({_SEEN}, array_to_json(seen)::text, true);"
    block = f"declare seen json[] := '{{}}'; one json; begin {trials} {keep} end"
    statements = [f"do {_text(block)}", f"select current_setting({_SEEN}) as seen"]
    rows = _run(client, ref, statements)
    return dict(zip(wanted, map(Definition.read, json.loads(rows[-1]["seen"])), strict=True))


def _trial(policy: Policy) -> str:
    """Write a block that makes a policy, remembers it, and ends in an error that undoes the making."""
    shown = f"{_SHOW} and policyname = {_text(_TRIAL)}"
    statements = (
        f"begin {_create(_TRIAL, policy)}",
        f"one := (select to_json(shown) from ({shown}) as shown)",  # noqa: S608 - both parts are constants
        "raise sqlstate 'GW000'",
        "exception when sqlstate 'GW000' then seen := array_append(seen, one)",
        "end;",
    )
    return ";\n".join(statements)


def _run(client: ManagementClient, ref: str, statements: list[str]) -> list[dict[str, Any]]:
    """Run statements in one transaction, and again while the table is in use for long."""
    for _ in range(_TRIES - 1):
        try:
            return client.database.query(ref, _together(statements))
        except RejectedError as error:
            if _LOCK_TIMED_OUT not in str(error):
                raise
            client.pause(_PAUSE_S)
    return client.database.query(ref, _together(statements))


def _together(statements: list[str]) -> str:
    """Join statements into one transaction (a request's statements are one), after others of its kind."""
    before = [
        f"select set_config('lock_timeout', '{_LOCK_TIMEOUT}', true)",
        "select pg_advisory_xact_lock(hashtext('groundwork'), hashtext('storage.objects policies'))",
    ]
    return ";\n".join((*before, *statements))


def _create(name: str, policy: Policy) -> str:
    roles = ", ".join(role if role == "public" else _name(role) for role in policy.roles)
    # A condition may end in a comment: the bracket is on a line of its own.
    using = f" using ({policy.using}\n)" if policy.using else ""
    check = f" with check ({policy.check}\n)" if policy.check else ""
    return f"create policy {_name(name)} on storage.objects for {policy.command} to {roles}{using}{check}"


def _confined(bucket: str, condition: str | None) -> str:
    inside = f"bucket_id = {_text(bucket)}"
    if not condition:
        return inside
    return condition if _BUCKET.search(condition) else f"{inside} and ({condition}\n)"


def _drop_unchanged(name: str, found: Definition) -> str:
    conditions = {"qual": found.using, "with_check": found.check}
    same = [
        f"{column} is not distinct from {'null' if text is None else _text(text)}"
        for column, text in conditions.items()
    ]
    there = f"{_SHOW} and {' and '.join((f'policyname = {_text(name)}', *same))}"
    return f"do {_text(f'begin if exists ({there}) then {_drop(name)}; end if; end')}"


def _drop(name: str) -> str:
    return f"drop policy if exists {_name(name)} on storage.objects"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    """Write a text as a literal that no setting of the server changes."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
