"""The stand-in is held to the official SDK: tokens, names, types, and what must be given."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pulumi_docker
import pytest
from pulumi import _types as types

from tests.docker.plugin import properties
from tests.docker.plugin.provider import KINDS
from tests.docker.plugin.shapes import Many, One, Record, Texts

if TYPE_CHECKING:
    from tests.docker.plugin.shapes import Shape

# What the SDK has beyond the stand-in; a program that uses one of these is refused by it.
UNSERVED = {
    "ServiceArgs": {
        "auth",
        "mode.global",
        "taskSpec.runtime",
        "taskSpec.containerSpec.dnsConfig",
        "taskSpec.containerSpec.isolation",
        "taskSpec.containerSpec.privileges",
        "taskSpec.containerSpec.mounts.bindOptions",
        "taskSpec.containerSpec.mounts.volumeOptions",
        "taskSpec.networksAdvanceds.driverOpts",
        "taskSpec.placement.platforms",
        "taskSpec.resources.reservation.genericResources",
    },
    "NetworkArgs": {"ingress", "ipv6", "ipamDriver", "ipamOptions", "ipamConfigs.auxAddress"},
    "SecretArgs": set(),
    "ServiceConfigArgs": set(),
    "ImageArgs": {"build.addHosts", "build.cacheFrom", "build.network"},
    "ProviderArgs": {
        "caMaterial",
        "certMaterial",
        "certPath",
        "context",
        "disableDockerDaemonCheck",
        "keyMaterial",
        "registryAuth.authDisabled",
        "registryAuth.configFile",
        "registryAuth.configFileContent",
        "sshOpts",
    },
}
CLAIMED: dict[str, Record] = {
    "ServiceArgs": properties.SERVICE,
    "NetworkArgs": properties.NETWORK,
    "SecretArgs": properties.SECRET,
    "ServiceConfigArgs": properties.SERVICE_CONFIG,
    "ImageArgs": properties.IMAGE,
    "ProviderArgs": properties.PROVIDER,
}


def _ours(shape: Shape, path: str = "") -> dict[str, str]:
    """Give path → type of everything that a shape claims."""
    if isinstance(shape, Many):
        inner = _ours(shape.of, path)
        return {**inner, path: f"list of {inner[path]}"}
    if isinstance(shape, One):
        return {path: shape.type.__name__}
    if isinstance(shape, Texts):
        return {path: "map"}
    parts = [_ours(one, f"{path}.{name}".lstrip(".")) for name, one in shape.fields.items()]
    return {path: "object"} | {name: kind for part in parts for name, kind in part.items()}


def _official(args: type, path: str = "") -> dict[str, str]:
    """Give path → type of everything that one of the SDK's classes takes."""
    found: dict[str, str] = {}
    for name, official in types.input_type_py_to_pulumi_names(args).items():
        step = f"{path}.{official}".lstrip(".")
        hint = str(inspect.signature(args).parameters[name].annotation)
        inner = re.search(r"'(\w+Args)'", hint)
        found |= _official(getattr(pulumi_docker, inner[1]), step) if inner else {}
        found[step] = f"list of {_kind(hint)}" if "Sequence" in hint else _kind(hint)
    return found


def _kind(hint: str) -> str:
    if "Mapping" in hint:
        return "map"
    basic = re.search(r"\b(str|int|bool|BuilderVersion)\b", hint)
    if "Args'" in hint or basic is None:
        return "object"
    return {"BuilderVersion": "str"}.get(basic[1], basic[1])


def _below(path: str, tops: set[str]) -> bool:
    return any(path == top or path.startswith(f"{top}.") for top in tops)


@pytest.mark.parametrize("name", CLAIMED)
def test_every_claimed_property_is_the_sdks(name: str) -> None:
    """What the stand-in accepts exists in the official SDK, with the same type."""
    official = _official(getattr(pulumi_docker, name))
    ours = _ours(CLAIMED[name])
    del ours[""]

    assert {path: official.get(path) for path in ours} == ours


@pytest.mark.parametrize("name", CLAIMED)
def test_every_other_property_of_the_sdk_is_known_to_be_unserved(name: str) -> None:
    """The SDK takes nothing that is neither served nor listed here: a new version of it is noticed."""
    official = _official(getattr(pulumi_docker, name))
    others = {path for path in official if path not in _ours(CLAIMED[name])}

    assert {path for path in others if not _below(path, UNSERVED[name])} == set()
    assert set(official) >= UNSERVED[name]


@pytest.mark.parametrize("name", CLAIMED)
def test_what_the_sdk_requires_is_required(name: str) -> None:
    """A program that forgets something learns it from the stand-in, too."""
    parameters = inspect.signature(getattr(pulumi_docker, name)).parameters.values()
    needed = {one.name for one in parameters if one.default is one.empty}
    official = types.input_type_py_to_pulumi_names(getattr(pulumi_docker, name))

    assert {official[one] for one in needed} <= CLAIMED[name].required


def test_tokens_are_the_sdks() -> None:
    """Each served type is registered by a class of the official SDK, under this very token."""
    classes = [pulumi_docker.Network, pulumi_docker.Secret, pulumi_docker.ServiceConfig]
    classes += [pulumi_docker.Image, pulumi_docker.Service]
    sources: list[Any] = [inspect.getsource(one) for one in classes]
    tokens = {re.findall(r"'(docker:index/\w+:\w+)',\s+resource_name", source)[0] for source in sources}

    assert tokens == set(KINDS)
