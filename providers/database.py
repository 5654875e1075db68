"""What a stack keeps inside the database besides its schema: logins of services, and Vault secrets."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, UpdateResult

import engines
from providers import _access
from providers._access import DatabaseProvider
from providers._crud import Props, plain


class LoginProvider(DatabaseProvider):
    """Gives a service a login; a new version takes the other of two roles, so none in use breaks."""

    soft = DatabaseProvider.soft | {"schema"}

    def create(self, props: Props) -> CreateResult:
        """Make the login."""
        return CreateResult(props["role"], _ensured(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Make the login of the new version and retire those that are no longer accepted."""
        return UpdateResult(_ensured(news))

    def delete(self, _id: str, props: Props) -> None:
        """Remove both roles of the service."""
        _access.remove(props, lambda dsn: engines.logins.drop_login(dsn, props["role"]))


def _ensured(props: Props) -> dict[str, Any]:
    version = int(props["version"])
    password = props["passwords"][str(version)]
    spec = engines.logins.LoginSpec(
        role=props["role"],
        group=props["group"],
        version=version,
        password=password,
        accept=tuple(int(number) for number in props["passwords"] if int(number) != version),
        cut_off=bool(props.get("cut_off")),
    )
    role = _access.run(props, lambda dsn: engines.logins.ensure_login(dsn, spec))
    return {**plain(props), "login": role, "url": _access.url(props, role, password)}


class Login(Resource, module="groundwork", name="Login"):
    """A service's database login.

    Attributes:
        login: name of the role in use.
        url: the DSN for the service (secret).
    """

    login: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a login; see `components.database.LoginArgs` for the properties."""
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["url"])
        declared = {**props, "login": None, "url": None}
        super().__init__(LoginProvider(), name, declared, pulumi.ResourceOptions.merge(hidden, opts))


class VaultSecretProvider(DatabaseProvider):
    """Keeps one entry of Supabase Vault equal to a secret of the stack."""

    def create(self, props: Props) -> CreateResult:
        """Put the secret into the vault."""
        _put(props)
        return CreateResult(props["secret_name"], plain(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Replace the value."""
        _put(news)
        return UpdateResult(plain(news))

    def delete(self, _id: str, props: Props) -> None:
        """Remove the entry."""
        _access.remove(props, lambda dsn: engines.vault.drop_secret(dsn, props["secret_name"]))


def _put(props: Props) -> None:
    entry = (props["secret_name"], props["value"], props["description"])
    _access.run(props, lambda dsn: engines.vault.put_secret(dsn, *entry))


class VaultSecret(Resource, module="groundwork", name="VaultSecret"):
    """One entry of Supabase Vault.

    Attributes:
        secret_name: the entry's name.
    """

    secret_name: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare an entry: how to reach the database, `secret_name`, `value`, `description`."""
        super().__init__(VaultSecretProvider(), name, props, opts)


class DemoAccountsProvider(DatabaseProvider):
    """Keeps the product's switch for demo accounts as the stack wants it."""

    soft = DatabaseProvider.soft | {"schema"}

    def create(self, props: Props) -> CreateResult:
        """Set the switch."""
        _switch(props)
        return CreateResult("demo-accounts", plain(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Set the switch."""
        _switch(news)
        return UpdateResult(plain(news))


def _switch(props: Props) -> None:
    allowed = bool(props["allowed"])
    _access.run(props, lambda dsn: engines.product.set_demo_accounts(dsn, allowed=allowed))


class DemoAccounts(Resource, module="groundwork", name="DemoAccounts"):
    """Whether the app may make demo accounts.

    Attributes:
        allowed: the switch.
    """

    allowed: pulumi.Output[bool]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the switch: how to reach the database, `schema` (which made it) and `allowed`."""
        super().__init__(DemoAccountsProvider(), name, props, opts)
