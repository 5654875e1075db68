"""What a stack keeps inside the database besides its schema: logins of services, and Vault secrets."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pulumi
from pulumi.dynamic import CreateResult, Resource, UpdateResult

import engines
from providers._crud import EngineProvider, Props, plain


class LoginProvider(EngineProvider):
    """Gives a service a login; a new version takes the other of two roles, so none in use breaks."""

    soft = frozenset({"schema"})

    def create(self, props: Props) -> CreateResult:
        """Make the login."""
        return CreateResult(props["role"], _ensured(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Make the login of the new version and retire those that are no longer accepted."""
        return UpdateResult(_ensured(news))

    def delete(self, _id: str, props: Props) -> None:
        """Remove both roles of the service."""
        engines.logins.drop_login(props["dsn"], props["role"])


def _ensured(props: Props) -> dict[str, Any]:
    version = int(props["version"])
    password = props["passwords"][str(version)]
    spec = engines.logins.LoginSpec(
        role=props["role"],
        group=props["group"],
        version=version,
        password=password,
        accept=tuple(int(number) for number in props["passwords"] if int(number) != version),
    )
    role = engines.logins.ensure_login(props["dsn"], spec)
    user = quote(role + props["user_suffix"], safe="")
    address = f"{props['host']}:{int(props['port'])}/{props['database']}"
    return {**plain(props), "login": role, "url": f"postgresql://{user}:{quote(password, safe='')}@{address}"}


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


class VaultSecretProvider(EngineProvider):
    """Keeps one entry of Supabase Vault equal to a secret of the stack."""

    def create(self, props: Props) -> CreateResult:
        """Put the secret into the vault."""
        engines.vault.put_secret(props["dsn"], props["secret_name"], props["value"], props["description"])
        return CreateResult(props["secret_name"], plain(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Replace the value."""
        engines.vault.put_secret(news["dsn"], news["secret_name"], news["value"], news["description"])
        return UpdateResult(plain(news))

    def delete(self, _id: str, props: Props) -> None:
        """Remove the entry."""
        engines.vault.drop_secret(props["dsn"], props["secret_name"])


class VaultSecret(Resource, module="groundwork", name="VaultSecret"):
    """One entry of Supabase Vault.

    Attributes:
        secret_name: the entry's name.
    """

    secret_name: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare an entry: `dsn`, `secret_name`, `value`, `description`."""
        super().__init__(VaultSecretProvider(), name, props, opts)


class DemoAccountsProvider(EngineProvider):
    """Keeps the product's switch for demo accounts as the stack wants it."""

    soft = frozenset({"dsn", "schema"})

    def create(self, props: Props) -> CreateResult:
        """Set the switch."""
        engines.product.set_demo_accounts(props["dsn"], allowed=bool(props["allowed"]))
        return CreateResult("demo-accounts", plain(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Set the switch."""
        engines.product.set_demo_accounts(news["dsn"], allowed=bool(news["allowed"]))
        return UpdateResult(plain(news))


class DemoAccounts(Resource, module="groundwork", name="DemoAccounts"):
    """Whether the app may make demo accounts.

    Attributes:
        allowed: the switch.
    """

    allowed: pulumi.Output[bool]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the switch: `dsn`, `schema` (the version that made it) and `allowed`."""
        super().__init__(DemoAccountsProvider(), name, props, opts)
