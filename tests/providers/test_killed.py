"""A create of several requests, killed after any of them: the next one ends it, nothing is there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from providers.addons import AddonsProvider
from providers.buckets import BucketProvider
from providers.hostname import CustomHostnameProvider

if TYPE_CHECKING:
    from providers._named import NamedProvider
    from tests.fix_named import Driver

READS = {"command": "select", "roles": ["authenticated"], "using": "owner_id = 'x'"}
WRITES = {"command": "insert", "roles": ["authenticated"]}
# By provider: its inputs, and after how many requests (but GET ones) it is killed.
CASES: list[tuple[NamedProvider, dict[str, Any], int]] = [
    (AddonsProvider(), {"addons": {"pitr": "pitr_7", "custom_domain": "cd_default"}}, 1),
    *((CustomHostnameProvider(), {"hostname": "killed.example.com"}, after) for after in (1, 3)),
    *(
        (BucketProvider(), {"bucket": "killed", "public": True, "policies": {"r": READS, "w": WRITES}}, after)
        # The bucket; after a look at the policies, the trial; the policies.
        for after in (1, 3, 4)
    ),
]
NAMES = [f"{type(provider).__name__}-{after}" for provider, _, after in CASES]


class Killed(BaseException):
    """The update ends here, as if by a signal."""


def everything(driver: Driver) -> list[int]:
    """Count what the project has of each kind."""
    client, ref = driver.client, driver.ref
    kinds = (client.keys, client.functions, client.third_parties, client.buckets)
    policies = driver.project.sql("select 1 from pg_policies where tablename = 'objects'")
    return [*(len(kind.all(ref)) for kind in kinds), len(policies)]


@pytest.mark.parametrize(("provider", "inputs", "after"), CASES, ids=NAMES)
def test_killed_after_a_request(
    driver: Driver,
    provider: NamedProvider,
    inputs: dict[str, Any],
    after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second create leaves the same as one that was never killed, and the next preview is quiet."""
    driver.client.addons.apply(driver.ref, "custom_domain", "cd_default")
    left, send = [after], httpx.Client.send

    def counted(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        response = send(client, request, **options)
        left[0] -= request.method != "GET"
        if left == [0]:
            raise Killed
        return response

    with monkeypatch.context() as patch:
        patch.setattr(httpx.Client, "send", counted)
        with pytest.raises(Killed):
            provider.create(driver.checked(provider, {}, **inputs))

    driver.forget()
    outs = driver.create(provider, **inputs)
    assert driver.refreshed(provider, outs) == outs
    there = everything(driver)
    driver.create(provider, **inputs)
    assert everything(driver) == there
    provider.delete("id", {**outs, "made": True})
    for addon in driver.client.addons.all(driver.ref).selected:
        driver.client.addons.remove(driver.ref, addon.variant)
