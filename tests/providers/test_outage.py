"""A platform that fails in the midst of an update, a refresh or a destroy: an error, then convergence."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from engines.supabase import SupabaseError
from providers.addons import AddonsProvider
from providers.api_keys import ApiKeyProvider
from providers.buckets import BucketProvider
from providers.function_secrets import FunctionSecretsProvider
from providers.functions import EdgeFunctionProvider
from providers.hostname import CustomHostnameProvider
from providers.signing_keys import SigningKeysProvider
from providers.third_party import ThirdPartyProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from providers._named import NamedProvider
    from tests.fix_named import Driver

CANARY = "CANARY-outage-7d3"
READS = {"command": "select", "roles": ["authenticated"], "using": "owner_id = 'x'"}
KEY = {"algorithm": "ES256", "status": "in_use"}
STANDBY = {"algorithm": "ES256", "status": "standby"}
# By provider: its inputs, and what of them changes; None: nothing can change in place.
CASES: list[tuple[NamedProvider, dict[str, Any], dict[str, Any] | None]] = [
    (
        FunctionSecretsProvider(),
        {"values": {"O": CANARY, "P": "1"}, "fingerprint_key": "key"},
        {"values": {"O": f"{CANARY}-2"}},
    ),
    (
        EdgeFunctionProvider(),
        {"slug": "out", "entrypoint": "index.ts", "verify_jwt": True},
        {"verify_jwt": False},
    ),
    (
        ApiKeyProvider(),
        {"key_name": "out_key", "key_type": "secret", "description": "a"},
        {"description": "b"},
    ),
    (ThirdPartyProvider(), {"issuer_name": "o", "jwks_url": "https://out.example.com/jwks"}, None),
    (AddonsProvider(), {"addons": {"pitr": "pitr_7"}}, {"addons": {"pitr": ""}}),
    (CustomHostnameProvider(), {"hostname": "out.example.com"}, None),
    (SigningKeysProvider(), {"keys": {"a": KEY}}, {"keys": {"a": KEY, "b": STANDBY}}),
    (BucketProvider(), {"bucket": "out", "public": True, "policies": {"o": READS}}, {"policies": {}}),
]
# Settings of a project stay when a stack goes.
STAYING = (AddonsProvider, SigningKeysProvider)


@contextlib.contextmanager
def outage(*, carried_out: bool, reads: bool = False) -> Iterator[None]:
    """Cut every connection, or every one that writes, after the request was carried out or before."""
    send = httpx.Client.send

    def cut(opened: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        if request.method == "GET" and not reads:
            return send(opened, request, **options)
        if carried_out:
            send(opened, request, **options).close()
        raise httpx.ReadError("the connection was cut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", cut)
        yield


def fails(driver: Driver, action: Callable[[], Any]) -> None:
    """Run what must end in a clear error: what was done, where, and no secret."""
    with pytest.raises(SupabaseError, match="cut") as error:
        action()
    text = str(error.value)
    assert driver.project.emulator.api_url in text
    assert CANARY not in text
    assert driver.project.emulator.token not in text


@pytest.mark.parametrize("carried_out", [False, True], ids=["not-carried-out", "carried-out"])
@pytest.mark.parametrize(
    ("provider", "inputs", "change"), CASES, ids=[type(one[0]).__name__ for one in CASES]
)
def test_outage_in_every_operation(
    driver: Driver,
    provider: NamedProvider,
    inputs: dict[str, Any],
    change: dict[str, Any] | None,
    *,
    carried_out: bool,
    tmp_path: Path,
) -> None:
    """Each ends in an error while the platform fails, and as it should when it is back; nothing is lost."""
    (tmp_path / "index.ts").write_text("1")
    given = {**inputs, "dir": str(tmp_path)} if "slug" in inputs else inputs
    driver.client.addons.apply(driver.ref, "custom_domain", "cd_default")
    # What is found to be there after all is no error.
    with outage(carried_out=carried_out), contextlib.suppress(SupabaseError):
        provider.create(driver.checked(provider, {}, **given))
    outs = driver.create(provider, **given)
    assert driver.refreshed(provider, outs) == outs

    if change:
        with outage(carried_out=carried_out), contextlib.suppress(SupabaseError):
            provider.update("id", outs, driver.checked(provider, outs, **{**given, **change}))
        outs = driver.update(provider, outs, **{**given, **change})
        assert driver.refreshed(provider, outs) == outs

    with outage(carried_out=False, reads=True):
        fails(driver, lambda: driver.refreshed(provider, outs))
    driver.forget()
    outs = {**outs, "made": True}
    if not isinstance(provider, STAYING):
        with outage(carried_out=carried_out):
            fails(driver, lambda: provider.delete("id", outs))
        provider.delete("id", outs)
    for addon in driver.client.addons.all(driver.ref).selected:
        driver.client.addons.remove(driver.ref, addon.variant)
