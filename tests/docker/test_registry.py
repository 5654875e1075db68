"""Images by way of a real registry with a login: pushed by who updates, pulled by the nodes."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from pulumi import automation as auto

from tests.docker.fix_registry import forget
from tests.docker.plugin import logins
from tests.docker.plugin.engine import DockerError, Engine
from tests.docker.plugin.image import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import docker

    from tests.docker.fix_hosted import Hosted
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


def test_nodes_need_a_login_or_a_file_of_docker_login(logged_in: Path) -> None:
    """Without a name the file decides; one that is absent is named, one without the registry means none."""
    entry = [{"address": "registry.example.com"}]

    assert logins.of_provider(entry).of("registry.example.com/app@sha256:0").fields == {
        "serveraddress": "registry.example.com"
    }
    logged_in.unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"registry.example.com: could not open config file {logged_in}"
    ):
        logins.of_provider(entry)


@pytest.mark.engine
def test_nothing_is_pushed_without_a_change(hosted: Hosted, registry: Registry) -> None:
    """A second update asks the registry nothing."""
    before = registry.requests(written=True), registry.requests(written=False), hosted.tasks()
    hosted.up()

    assert hosted.changed() == {}
    assert (registry.requests(written=True), registry.requests(written=False), hosted.tasks()) == before


@pytest.mark.engine
def test_a_new_password_reaches_the_nodes_without_a_release(
    hosted: Hosted, registry: Registry, engine: docker.DockerClient
) -> None:
    """What runs goes on; an engine that has no image and no login pulls the next task's with the new one."""
    tasks, before = hosted.tasks(), registry.pulled()
    hosted.login(registry.user, registry.rotate())
    hosted.up()
    changed, kept = hosted.changed(), hosted.tasks()
    hosted.scale(0)
    forget(engine, registry.address)
    hosted.scale(1)

    assert changed == {"app": "update"}
    assert kept == tasks
    assert registry.pulled() - before == {hosted.image().partition("@")[2]}
    assert hosted.answers()


@pytest.mark.engine
def test_new_code_with_a_new_password(hosted: Hosted, registry: Registry, calls: Engine) -> None:
    """One update pushes and runs it, from its own repository even if another stack's has the same image."""
    hosted.change()
    hosted.login(registry.user, registry.rotate())
    other = f"{registry.address}/another/stack:1"
    context = {"context": str(hosted.folder / "image"), "args": {"BASE": hosted.get("base")}}
    first = {"imageName": other, "build": context, "registry": {"server": registry.address, **registry.login}}
    _, outputs = Image().create(calls, first)
    hosted.up()

    assert hosted.changed() == {"app-image": "update", "app": "update"}
    assert hosted.output("app-image", "repoDigest") == outputs["repoDigest"]
    assert hosted.image().startswith(f"{registry.address}/hosted/{hosted.prefix}-app@sha256:")
    assert hosted.answers()


@pytest.mark.engine
def test_a_wrong_password_fails_the_update(hosted: Hosted, registry: Registry) -> None:
    """It says which image and why, never the password, and what ran serves on."""
    before = hosted.tasks()
    with hosted.other_code():
        hosted.login(registry.user, "CANARY-wrong")
        with pytest.raises(auto.errors.CommandError, match="unauthorized: authentication required") as caught:
            hosted.up()
    hosted.login(registry.user, registry.password)

    assert f"image {registry.address}/hosted/{hosted.prefix}-app:" in str(caught.value)
    assert "CANARY" not in str(caught.value)
    assert hosted.tasks() == before


@pytest.mark.engine
def test_a_login_is_nowhere_in_plain(hosted: Hosted, registry: Registry) -> None:
    """State, history, logs, what updates said and the service hold no password that ever was set."""
    texts = [*hosted.said, json.dumps(hosted.live()), *hosted.kept()]

    assert registry.password.startswith("CANARY-")
    assert len(texts) > len(hosted.said) + 100
    assert not [text for text in texts if "CANARY-registry" in text or "CANARY-wrong" in text]
