"""Images by way of a real registry with a login: pushed by who updates, pulled by the nodes."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from tests.docker.plugin.engine import DockerError, Engine
from tests.docker.plugin.image import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.docker.fix_registry import Registry

pytestmark = pytest.mark.docker


@pytest.fixture(autouse=True)
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file of `docker login`, in a folder of the test's own; nobody is logged in."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    return tmp_path / "config.json"


@pytest.fixture
def calls() -> Iterator[Engine]:
    """Give the plugin's own access to the engine."""
    with contextlib.closing(Engine()) as made:
        yield made


@pytest.fixture
def small(registry: Registry, prefix: str, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Give a function that describes an image of one file, to be pushed; its arguments are the login."""
    context = tmp_path / "small"
    context.mkdir()
    (context / "file").write_text(secrets.token_hex(8))
    (context / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")

    def describe(**login: str) -> dict[str, Any]:
        given = {"server": registry.address, **login}
        return {
            "imageName": f"{registry.address}/{prefix}/small:1",
            "build": {"context": str(context)},
            "registry": given if login else {},
        }

    return describe


def test_pushed_image_is_known_by_its_digest(
    registry: Registry, calls: Engine, small: Callable[..., dict[str, Any]]
) -> None:
    """The output is the name that any node can pull by; the registry has the manifest."""
    identity, outputs = Image().create(calls, small(**registry.login))
    name, _, digest = outputs["repoDigest"].partition("@")

    assert name == small()["imageName"].removesuffix(":1")
    assert identity == outputs["repoDigest"]
    assert outputs["registryServer"] == registry.address
    assert registry.manifest(name, digest)["config"]["digest"].startswith("sha256:")


def test_login_of_this_machine_pushes_where_none_is_given(
    registry: Registry, calls: Engine, small: Callable[..., dict[str, Any]], logged_in: Path
) -> None:
    """It is the one that `docker login` wrote."""
    auth = base64.b64encode(f"{registry.user}:{registry.password}".encode()).decode()
    logged_in.write_text(json.dumps({"auths": {registry.address: {"auth": auth}}}))

    assert "@sha256:" in Image().create(calls, small())[1]["repoDigest"]


def test_push_without_a_login_says_so(
    registry: Registry, calls: Engine, small: Callable[..., dict[str, Any]]
) -> None:
    """Image, registry and the engine's words are in the error."""
    with pytest.raises(DockerError, match=rf"image {registry.address}/.*/small:1: no basic auth credentials"):
        Image().create(calls, small())


def test_push_with_a_wrong_password_says_so_without_it(
    registry: Registry, calls: Engine, small: Callable[..., dict[str, Any]]
) -> None:
    """Image, registry and the engine's words are in the error, and nothing of the login."""
    wrong = small(username=registry.user, password="CANARY-wrong")
    with pytest.raises(DockerError, match=rf"image {registry.address}/.*: unauthorized: ") as caught:
        Image().create(calls, wrong)

    assert "CANARY" not in str(caught.value)


def test_push_to_a_registry_that_is_away_says_so(
    registry: Registry, calls: Engine, small: Callable[..., dict[str, Any]]
) -> None:
    """The address that does not answer is in the error; when it is back, the same push goes through."""
    registry.stop()
    try:
        with pytest.raises(DockerError, match=rf"{registry.address}: connect: connection refused"):
            Image().create(calls, small(**registry.login))
    finally:
        registry.start()

    assert "@sha256:" in Image().create(calls, small(**registry.login))[1]["repoDigest"]
