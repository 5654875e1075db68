"""People who use the product's database, each with the rights that they have in life."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

Row = tuple[Any, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Person:
    """A user who signed up, and their personal organization."""

    id: UUID
    organization: UUID


@dataclass(frozen=True)
class Product:
    """A migrated database and the ways into it.

    Attributes:
        owner_dsn: as `postgres`, who owns the tables.
        runtime_dsn: gives the URL for the login of a group role.
    """

    owner_dsn: str
    runtime_dsn: Callable[[str], str]

    def owner(self, query: LiteralString, arguments: Sequence[object] = ()) -> list[Row]:
        """Run one statement as the owner and commit."""
        with psycopg.connect(self.owner_dsn) as session:
            return _rows(session, query, arguments)

    def service(self, group: str, query: LiteralString, arguments: Sequence[object] = ()) -> list[Row]:
        """Run one statement with the login of a workload, as the service itself."""
        with psycopg.connect(self.runtime_dsn(group)) as session:
            return _rows(session, query, arguments)

    def agent(self, query: LiteralString, arguments: Sequence[object] = ()) -> list[Row]:
        """Run one statement as the agent service."""
        return self.service("agent_runtime", query, arguments)

    def app(self, query: LiteralString, arguments: Sequence[object] = ()) -> list[Row]:
        """Run one statement as the app."""
        return self.service("app_runtime", query, arguments)

    def user(self, person: Person, query: LiteralString, arguments: Sequence[object] = ()) -> list[Row]:
        """Run one statement as a signed-in user, the way that the app does it."""
        with self.acting("authenticated", person) as session:
            return _rows(session, query, arguments)

    def visitor(self, query: LiteralString, arguments: Sequence[object] = ()) -> list[Row]:
        """Run one statement as a visitor who is not signed in."""
        with self.acting("anon") as session:
            return _rows(session, query, arguments)

    def server(self, query: LiteralString, arguments: Sequence[object] = ()) -> list[Row]:
        """Run one statement as `service_role`, which no workload's login can become."""
        with psycopg.connect(self.owner_dsn) as session:
            session.execute("set local role service_role")
            return _rows(session, query, arguments)

    @contextlib.contextmanager
    def acting(self, role: str, person: Person | None = None) -> Iterator[psycopg.Connection]:
        """Open a transaction as `anon` or `authenticated`; it is committed at the end."""
        claims = {"role": role} if person is None else {"role": role, "sub": str(person.id)}
        with psycopg.connect(self.runtime_dsn("app_runtime")) as session:
            session.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            session.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
            yield session

    def sign_up(self, email: str) -> Person:
        """Add a user as Supabase Auth does."""
        query: LiteralString = (
            "insert into auth.users (id, aud, role, email, created_at, updated_at)"
            " values (gen_random_uuid(), 'authenticated', 'authenticated', %s, now(), now()) returning id"
        )
        [(user_id,)] = self.owner(query, [email])
        query = "select organization_id from memberships where user_id = %s"
        [(organization,)] = self.owner(query, [user_id])
        return Person(user_id, organization)

    def join(self, person: Person, organization: UUID, role: str = "member") -> Person:
        """Make somebody a member of an organization; the owner of the database does it."""
        query: LiteralString = "insert into memberships (organization_id, user_id, role) values (%s, %s, %s)"
        self.owner(query, [organization, person.id, role])
        return Person(person.id, organization)


def _rows(session: psycopg.Connection, query: LiteralString, arguments: Sequence[object]) -> list[Row]:
    cursor = session.execute(query, arguments)
    return cursor.fetchall() if cursor.description else []


@pytest.fixture
def product(supabase_database: str, runtime_dsn: Callable[[str], str]) -> Product:
    """Give a fresh database of the product."""
    return Product(supabase_database, runtime_dsn)


@pytest.fixture
def alice(product: Product) -> Person:
    """Sign up somebody who owns an organization with 100 credits."""
    return product.sign_up("alice@example.org")


@pytest.fixture
def bob(product: Product, alice: Person) -> Person:
    """Sign up a simple member of Alice's organization."""
    return product.join(product.sign_up("bob@example.org"), alice.organization)


@pytest.fixture
def mallory(product: Product) -> Person:
    """Sign up a stranger, with an organization of their own."""
    return product.sign_up("mallory@example.org")
