"""Sign-up, organizations, and who may change a membership."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

from tests.polling import until

if TYPE_CHECKING:
    from tests.fix_product import Person, Product

MEMBERS: LiteralString = "select user_id, role from memberships where organization_id = %s"
ADD: LiteralString = "insert into memberships (organization_id, user_id, role) values (%s, %s, %s)"
SET_ROLE: LiteralString = (
    "update memberships set role = %s where organization_id = %s and user_id = %s returning role"
)
REMOVE: LiteralString = (
    "delete from memberships where organization_id = %s and user_id = %s returning user_id"
)


def test_sign_up_gives_all_that_is_needed(product: Product) -> None:
    """A new user has a profile, an organization of their own and the sign-up credits."""
    person = product.sign_up("carol@example.org")
    query: LiteralString = (
        "select p.email, o.name, o.is_personal, m.role, b.balance, e.kind, e.amount from profiles p"
        " join memberships m on m.user_id = p.id join organizations o on o.id = m.organization_id"
        " join credit_balances b on b.organization_id = o.id"
        " join credit_entries e on e.organization_id = o.id"
    )
    assert product.user(person, query) == [
        ("carol@example.org", "carol", True, "owner", 100, "grant", 100),
    ]


@pytest.mark.parametrize(
    ("email", "name", "organization"),
    [
        (None, None, "Personal"),
        ("@", None, "Personal"),
        ("d@example.org", "Dora", "Dora"),
        ("d@example.org", "x" * 500, "x" * 200),
        ("d@example.org", "   ", "d"),
    ],
)
def test_sign_up_takes_odd_accounts(
    product: Product, email: str | None, name: str | None, organization: str
) -> None:
    """No account that Supabase Auth may make is refused: a failing trigger would fail the sign-up."""
    query: LiteralString = (
        "insert into auth.users (id, email, raw_user_meta_data)"
        " values (gen_random_uuid(), %s, jsonb_build_object('full_name', %s::text))"
    )
    product.owner(query, [email, name])
    assert product.owner("select name from organizations") == [(organization,)]


def test_sign_up_credits_are_a_setting(product: Product) -> None:
    """The owner changes what new users get; zero is possible."""
    product.owner("update private.product_settings set value = '0' where name = 'signup_credits'")
    person = product.sign_up("d@example.org")
    assert product.user(person, "select balance from credit_balances") == [(0,)]
    assert product.user(person, "select * from credit_entries") == []


def test_email_follows_the_account(product: Product, alice: Person) -> None:
    """A changed address is seen in the profile."""
    product.owner("update auth.users set email = 'new@example.org' where id = %s", [alice.id])
    assert product.user(alice, "select email from profiles") == [("new@example.org",)]


def test_users_change_their_name_only(product: Product, alice: Person, bob: Person) -> None:
    """The own display name can be changed; nobody else's, and neither the address nor the demo mark."""
    product.user(alice, "update profiles set display_name = 'Alice'")
    names = product.user(bob, "select display_name from profiles order by display_name nulls last")
    assert names == [("Alice",), (None,)]
    for change in ("email = 'x@example.org'", "is_demo = true"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            product.user(alice, f"update profiles set {change}")


def test_created_organizations_have_no_free_credits(product: Product, alice: Person) -> None:
    """A further organization belongs to its maker and starts with nothing, or credits could be farmed."""
    [(made,)] = product.user(alice, "select create_organization('  Second ')")
    query: LiteralString = "select name, role, balance from user_organizations(%s) where organization_id = %s"
    assert product.app(query, [alice.id, made]) == [("Second", "owner", 0)]


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, None])
def test_organization_names_are_checked(product: Product, alice: Person, name: str | None) -> None:
    """An empty or endless name is refused with the rule in the message."""
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="1 to 200 characters"):
        product.user(alice, "select create_organization(%s)", [name])


def test_renaming_needs_a_role(product: Product, alice: Person, bob: Person) -> None:
    """Owners and admins rename, members do not."""
    query: LiteralString = "update organizations set name = %s where id = %s returning name"
    assert product.user(alice, query, ["Ours", alice.organization]) == [("Ours",)]
    assert product.user(bob, query, ["Mine", alice.organization]) == []


def test_an_admin_cannot_make_owners(product: Product, alice: Person, mallory: Person) -> None:
    """Admins add and remove simple members; they neither raise themselves nor touch owners."""
    dave = product.join(product.sign_up("dave@example.org"), alice.organization, "admin")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.user(dave, ADD, [alice.organization, mallory.id, "owner"])
    product.user(dave, ADD, [alice.organization, mallory.id, "member"])
    assert product.user(dave, SET_ROLE, ["owner", alice.organization, dave.id]) == []
    assert product.user(dave, REMOVE, [alice.organization, alice.id]) == []
    assert product.user(dave, REMOVE, [alice.organization, mallory.id]) == [(mallory.id,)]


def test_members_manage_nobody_but_may_leave(product: Product, alice: Person, bob: Person) -> None:
    """A simple member cannot add, raise or remove anybody, and can go."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.user(bob, ADD, [alice.organization, bob.id, "admin"])
    assert product.user(bob, SET_ROLE, ["owner", alice.organization, bob.id]) == []
    assert product.user(bob, REMOVE, [alice.organization, alice.id]) == []
    assert product.user(bob, REMOVE, [alice.organization, bob.id]) == [(bob.id,)]


def test_the_last_owner_stays(product: Product, alice: Person, bob: Person) -> None:
    """The last owner can neither leave nor step down, until somebody else is an owner."""
    for query, arguments in ((REMOVE, []), (SET_ROLE, ["member"])):
        with pytest.raises(psycopg.Error, match="would be left without an owner"):
            product.user(alice, query, [*arguments, alice.organization, alice.id])
    assert product.user(alice, SET_ROLE, ["owner", alice.organization, bob.id]) == [("owner",)]
    assert product.user(alice, REMOVE, [alice.organization, alice.id]) == [(alice.id,)]


def test_two_owners_who_leave_at_once(product: Product, alice: Person, bob: Person) -> None:
    """When all owners leave at the same moment, the second one waits for the first, and is kept."""
    product.user(alice, SET_ROLE, ["owner", alice.organization, bob.id])
    waiting: LiteralString = (
        "select 1 from pg_stat_activity where datname = current_database() and pg_blocking_pids(pid) <> '{}'"
    )
    with ThreadPoolExecutor(1) as thread:
        with product.acting("authenticated", bob) as session:
            assert session.execute(REMOVE, [alice.organization, bob.id]).fetchall() == [(bob.id,)]
            second = thread.submit(product.user, alice, REMOVE, [alice.organization, alice.id])
            until(lambda: second.done() or product.owner(waiting))
        with pytest.raises(psycopg.Error, match="would be left without an owner") as caught:
            second.result()
    assert caught.value.sqlstate == "PT409"
    assert product.owner(MEMBERS, [alice.organization]) == [(alice.id, "owner")]


def test_accounts_can_be_deleted(product: Product, alice: Person, bob: Person) -> None:
    """Deleting a user works for the last owner too, and leaves the books and the log as they were."""
    product.user(bob, "insert into documents (organization_id, title) values (%s, 'x')", [alice.organization])
    product.owner("delete from auth.users")
    assert product.owner("select count(*) from profiles") == [(0,)]
    assert product.owner("select created_by from documents") == [(None,)]
    assert product.owner("select sum(amount) from credit_entries") == [(200,)]
    assert product.owner("select count(*) from audit_log where action = 'membership.delete'") == [(3,)]
