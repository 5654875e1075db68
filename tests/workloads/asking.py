"""Asking the agent, and looking at what it left in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tests.workloads.programs import SHARED

if TYPE_CHECKING:
    from tests.fix_product import Person, Product
    from tests.workloads.programs import Program

NEW = {"Authorization": f"Bearer {SHARED['2']}"}
COMPLETIONS = "/v1/chat/completions"


def ask(agent: Program, person: Person, message: str = "Hello there", **more: Any) -> httpx.Response:
    """Ask the agent as a person of an organization."""
    headers = NEW | ({"Idempotency-Key": more.pop("key")} if "key" in more else {})
    body = {"organization_id": str(person.organization), "user_id": str(person.id), "message": message}
    return agent.post("/reply", json=body | more, headers=headers)


def balance(product: Product, person: Person) -> int:
    """Read what is left of an organization's credits."""
    query = "select balance from credit_balances where organization_id = %s"
    return int(product.owner(query, [person.organization])[0][0])


def messages(product: Product, person: Person) -> list[tuple[str, str]]:
    """Read the stored messages of an organization as (role, content)."""
    query = "select role, content from messages where organization_id = %s order by id"
    return [(role, text) for role, text in product.owner(query, [person.organization])]


def hang_up_after_the_first_token(agent: Program, person: Person, key: str = "attempt-0") -> None:
    """Ask, read one token and close the connection."""
    body = {"organization_id": str(person.organization), "user_id": str(person.id), "message": "hi"}
    headers = NEW | {"Idempotency-Key": key}
    with httpx.stream("POST", f"{agent.url}/reply", json=body, headers=headers) as response:
        next(response.iter_text())
