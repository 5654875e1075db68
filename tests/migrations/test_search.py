"""Search by meaning, in documents and in memory, under row level security."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString, cast

import psycopg
import pytest

if TYPE_CHECKING:
    from uuid import UUID

    from tests.fix_product import Person, Product

MATCH: LiteralString = "select content, similarity from match_document_chunks(%s, %s::extensions.vector, %s)"
MATCH_MEMORY: LiteralString = "select summary from match_memory_summaries(%s, %s::extensions.vector)"


def direction(*values: float) -> str:
    """Write a vector of 1536 numbers that begins with the given ones."""
    return str([*values, *([0.0] * (1536 - len(values)))])


def add_document(product: Product, person: Person, chunks: dict[str, str | None]) -> UUID:
    """Store a document with chunks: text to embedding."""
    query: LiteralString = "insert into documents (organization_id, title) values (%s, 'T') returning id"
    [(document,)] = product.user(person, query, [person.organization])
    query = (
        "insert into document_chunks (organization_id, document_id, position, content, embedding)"
        " values (%s, %s, %s, %s, %s)"
    )
    for position, (content, embedding) in enumerate(chunks.items()):
        product.user(person, query, [person.organization, document, position, content, embedding])
    return cast("UUID", document)


def test_nearest_first(product: Product, alice: Person) -> None:
    """Chunks come in the order of their similarity, with it; one without an embedding is not found."""
    chunks = {
        "far": direction(0, 1),
        "near": direction(1, 0.1),
        "exact": direction(2, 0),
        "not embedded": None,
    }
    add_document(product, alice, chunks)
    rows = product.user(alice, MATCH, [alice.organization, direction(1), 10])
    assert [content for content, _ in rows] == ["exact", "near", "far"]
    assert [similarity for _, similarity in rows] == pytest.approx([1, 0.995, 0], abs=0.001)


def test_count_and_minimum(product: Product, alice: Person) -> None:
    """The caller limits how many and how similar; a negative count is none."""
    add_document(product, alice, {"a": direction(1), "b": direction(1, 0.1), "c": direction(0, 1)})
    find: LiteralString = "select content from match_document_chunks(%s, %s::extensions.vector, %s, %s)"
    for count, minimum, found in ((1, 0.0, ["a"]), (10, 0.9, ["a", "b"]), (-1, 0.0, [])):
        rows = product.user(alice, find, [alice.organization, direction(1), count, minimum])
        assert [content for (content,) in rows] == found


def test_strangers_find_nothing(product: Product, alice: Person, mallory: Person) -> None:
    """The function has the caller's rights: naming another organization finds nothing."""
    add_document(product, alice, {"secret": direction(1)})
    assert product.user(mallory, MATCH, [alice.organization, direction(1), 10]) == []
    for ask in (product.visitor, product.agent):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(MATCH, [alice.organization, direction(1), 10])


def test_small_organization_beside_a_large_one(product: Product, alice: Person, mallory: Person) -> None:
    """Rows are found by the HNSW index although hundreds of rows of somebody else are nearer."""
    document = add_document(product, mallory, {})
    product.owner(
        "insert into document_chunks (organization_id, document_id, position, content, embedding)"
        " select %s, %s, n, 'other', ('[1,' || n / 100000.0 || repeat(',0', 1534) || ']')::extensions.vector"
        " from generate_series(1, 1500) n",
        [mallory.organization, document],
    )
    add_document(product, alice, {"ours": direction(0.2, 1)})
    with product.acting("authenticated", alice) as session:
        # A planner that knows the few rows would sort them; a large organization is found by the index.
        session.execute("set local enable_sort = off")
        session.execute("set local enable_bitmapscan = off")
        session.execute("set local enable_seqscan = off")
        rows = session.execute(MATCH, [alice.organization, direction(1), 5]).fetchall()
        ours: LiteralString = (
            "explain select 1 from document_chunks order by embedding operator(extensions.<=>) %s"
        )
        plan = "\n".join(line for (line,) in session.execute(ours, [direction(1)]))
    assert [content for content, _ in rows] == ["ours"]
    assert "document_chunks_embedding_idx" in plan


def test_only_the_documents_of_an_agent(product: Product, alice: Person) -> None:
    """With an agent only the documents that it was given are searched."""
    given = add_document(product, alice, {"given": direction(0, 1)})
    add_document(product, alice, {"other": direction(1)})
    add: LiteralString = "insert into agents (organization_id, name) values (%s, 'Guide') returning id"
    [(agent,)] = product.user(alice, add, [alice.organization])
    give: LiteralString = (
        "insert into agent_documents (organization_id, agent_id, document_id) values (%s, %s, %s)"
    )
    product.user(alice, give, [alice.organization, agent, given])
    find: LiteralString = "select content from match_document_chunks(%s, %s::extensions.vector, 10, -1, %s)"
    assert product.user(alice, find, [alice.organization, direction(1), agent]) == [("given",)]


def test_wrong_number_of_dimensions(product: Product, alice: Person) -> None:
    """A vector of another model is refused with the numbers, when stored and when asked."""
    with pytest.raises(psycopg.errors.DataException, match="expected 1536 dimensions, not 3"):
        add_document(product, alice, {"x": "[1,2,3]"})
    add_document(product, alice, {"x": direction(1)})
    with pytest.raises(psycopg.errors.DataException, match="different vector dimensions 1536 and 3"):
        product.user(alice, MATCH, [alice.organization, "[1,2,3]", 10])


def test_memory_is_the_users_own(product: Product, alice: Person, bob: Person) -> None:
    """Memories are found by their user only, the owner of the organization not excepted."""
    add: LiteralString = (
        "insert into memory_summaries (organization_id, summary, embedding) values (%s, %s, %s)"
    )
    product.user(bob, add, [alice.organization, "likes tea", direction(1)])
    product.user(bob, add, [alice.organization, "has a cat", direction(0, 1)])
    product.user(bob, add, [alice.organization, "not embedded", None])
    arguments = [alice.organization, direction(1)]
    assert product.user(bob, MATCH_MEMORY, arguments) == [("likes tea",), ("has a cat",)]
    assert product.user(alice, MATCH_MEMORY, arguments) == []


def test_memory_in_another_name(product: Product, alice: Person, bob: Person) -> None:
    """Nobody writes memories for somebody else."""
    add: LiteralString = (
        "insert into memory_summaries (organization_id, user_id, summary) values (%s, %s, 'x')"
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.user(bob, add, [alice.organization, alice.id])
