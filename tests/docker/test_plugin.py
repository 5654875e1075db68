"""The plugin's answers to Pulumi's protocol that need no engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from pulumi.provider.experimental import provider
from pulumi.provider.experimental.property_value import PropertyValue

from tests.docker.plugin.provider import Docker
from tests.docker.plugin.shapes import UNKNOWN
from tests.docker.plugin.values import plain, wrap
from tests.polling import until

PLUGIN = Path(__file__).parent / "plugin" / "pulumi-resource-docker"
STANDIN = Path(__file__).parent / "standin" / "image"
SECRET = {"name": "token", "data": "YQ=="}
SERVICE = {"name": "web", "taskSpec": {"containerSpec": {"image": "web:1"}}}


def _check(token: str, given: dict[str, Any]) -> list[str]:
    inputs = {name: wrap(one) for name, one in given.items()}
    request = provider.CheckRequest(f"urn:pulumi:s::p::docker:index/{token}::one", {}, inputs, b"")
    return [failure.reason for failure in asyncio.run(Docker().check(request)).failures or []]


def _diff(token: str, old: dict[str, Any], new: dict[str, Any]) -> provider.DiffResponse:
    before, after = ({name: wrap(one) for name, one in given.items()} for given in (old, new))
    request = provider.DiffRequest(f"urn:pulumi:s::p::docker:index/{token}::one", "id", before, after, [])
    return asyncio.run(Docker().diff(request))


def test_unknown_property_is_refused_by_its_path() -> None:
    """A property that the stand-in does not serve is named, however deep it is."""
    container = {"image": "web:1", "isolation": "hyperv"}
    found = _check("service:Service", {"name": "web", "taskSpec": {"containerSpec": container}})

    expected = (
        "taskSpec.containerSpec.isolation: the stand-in for the Docker plugin does not know this property"
    )
    assert found == [expected]


def test_unserved_type_is_refused() -> None:
    """A type of the SDK that the stand-in does not serve is named."""
    found = _check("container:Container", {"name": "web"})

    assert found == ["docker:index/container:Container: the stand-in for the Docker plugin does not serve it"]


@pytest.mark.parametrize(
    ("token", "given", "problem"),
    [
        ("secret:Secret", {"data": "YQ=="}, "name: is missing"),
        ("secret:Secret", {**SECRET, "data": "canary!"}, "data: is no base64"),
        ("secret:Secret", {**SECRET, "labels": "a=b"}, "labels: must be a list"),
        ("network:Network", {"name": "net", "attachable": "yes"}, "attachable: must be of type bool"),
        (
            "serviceConfig:ServiceConfig",
            {"name": "note"},
            "data: exactly one of data and dataRaw must be given",
        ),
        ("service:Service", {**SERVICE, "mode": {"replicated": {"replicas": True}}}, "must be of type int"),
        (
            "service:Service",
            {**SERVICE, "updateConfig": {"delay": "5"}},
            "updateConfig.delay: '5' is no duration",
        ),
        (
            "image:Image",
            {"imageName": "groundwork/web", "build": {"context": str(STANDIN)}},
            "imageName: must begin with a registry",
        ),
        ("image:Image", {"imageName": "web", "skipPush": True, "build": {"context": "none"}}, "is no folder"),
    ],
)
def test_wrong_property_is_refused(token: str, given: dict[str, Any], problem: str) -> None:
    """The text says what is wrong, without the value of anything that may be secret."""
    found = _check(token, given)

    assert len(found) == 1
    assert problem in found[0]
    assert "canary" not in found[0]


def test_what_is_not_known_yet_is_accepted() -> None:
    """In a preview values may still be unknown, wherever they are."""
    assert _check("service:Service", {"name": UNKNOWN, "taskSpec": UNKNOWN}) == []
    assert _check("secret:Secret", {"name": "token", "data": UNKNOWN}) == []
    assert _check("image:Image", {"imageName": "web", "skipPush": True, "build": {"context": UNKNOWN}}) == []


def test_service_changes_in_place() -> None:
    """Another image is an update, and the path of what differs is shown."""
    new = {"name": "web", "taskSpec": {"containerSpec": {"image": "web:2"}}}
    found = _diff("service:Service", SERVICE, new)

    assert (found.changes, found.replaces) == (True, [])
    assert list(found.detailed_diff) == ["taskSpec.containerSpec.image"]


def test_another_login_of_a_registry_is_no_change() -> None:
    """An image is not pushed again for it, as with the official plugin; for another registry it is."""
    login = {"server": "one.example.com", "username": "a", "password": "CANARY-a"}
    image = {"imageName": "one.example.com/web", "build": {"context": str(STANDIN)}, "registry": login}
    rotated = {**image, "registry": {**login, "username": "b", "password": "CANARY-b"}}
    moved = {**image, "registry": {**login, "server": "two.example.com"}}

    assert not _diff("image:Image", image, rotated).changes
    assert _diff("image:Image", image, moved).diffs == ["registry"]


def test_unserved_part_of_a_providers_login_is_refused() -> None:
    """It is named by its path, and its value is not shown."""
    entries = wrap(json.dumps([{"address": "one.example.com", "configFileContent": "CANARY"}]))
    request = provider.CheckRequest("urn:pulumi:s::p::pulumi:providers:docker::one", {}, {}, b"")
    urn = "urn:pulumi:s::p::pulumi:providers:docker::one"
    request = provider.CheckRequest(urn, {}, {"registryAuth": entries}, b"")
    found = asyncio.run(Docker().check_config(request)).failures or []

    assert [one.reason.partition(":")[0] for one in found] == ["registryAuth[0].configFileContent"]
    assert "CANARY" not in found[0].reason


def test_secret_is_replaced_and_the_old_one_stays_until_then() -> None:
    """Another content under another name is made before the old secret goes."""
    found = _diff("secret:Secret", SECRET, {"name": "token-2", "data": "Yg=="})

    assert found.replaces == ["data", "name"]
    assert not found.delete_before_replace


def test_secret_that_keeps_its_name_is_deleted_first() -> None:
    """Names are unique: another content under the same name has to wait until it is free."""
    assert _diff("secret:Secret", SECRET, {**SECRET, "data": "Yg=="}).delete_before_replace


def test_changed_part_keeps_its_mark() -> None:
    """What was secret in the state is secret with another value, and nothing else becomes so."""
    old = PropertyValue({"A": PropertyValue("1", is_secret=True), "B": PropertyValue("2")})
    new = wrap({"A": "changed", "B": "3"}, old)

    assert isinstance(new.value, Mapping)
    assert new.value["A"].is_secret
    assert not new.value["B"].is_secret
    assert plain(new) == {"A": "changed", "B": "3"}


def test_plugin_ends_with_its_engine() -> None:
    """When Pulumi's engine is killed, its plugin does not stay behind."""
    start = f"import subprocess, sys; subprocess.run([sys.executable, {str(PLUGIN)!r}, '127.0.0.1:1'])"
    with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline())
        (plugin,) = psutil.Process(parent.pid).children()
        os.kill(parent.pid, signal.SIGKILL)

        until(lambda: not plugin.is_running() or plugin.status() == psutil.STATUS_ZOMBIE)
