"""docker:index/image:Image, built on the engine, and pushed unless it is to stay there.

As with the official plugin an image outlives its resource (pulumi/pulumi-docker#588), is not looked at by
a refresh (#421), and is not pushed again when only the login of its registry changes. One difference: the
classic builder works whatever `builderVersion` says.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.utils.build import exclude_paths

from tests.docker.plugin import logins, properties
from tests.docker.plugin.engine import DockerError
from tests.docker.plugin.shapes import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docker.plugin.engine import Engine
    from tests.docker.plugin.kinds import Given
    from tests.docker.plugin.logins import Login
    from tests.docker.plugin.shapes import Record

_TOLD_LINES = 20


class Image:
    """An image from a Dockerfile."""

    shape: Record = properties.IMAGE
    replacing: frozenset[str] = frozenset()
    unseen = frozenset({"registry.username", "registry.password"})
    computed = ("baseImageName", "repoDigest", "registryServer")

    def derive(self, given: Given) -> Given:
        """Add a digest of the context, so that a changed file is a change."""
        build = given["build"]
        if not _is_known(build):
            return {"contextDigest": UNKNOWN}
        return {"contextDigest": _digest(Path(build["context"]), _dockerfile(build))}

    def problems(self, given: Given) -> Iterator[str]:
        """Refuse names that lead to no registry, and folders that are none."""
        if not given.get("skipPush") and not _is_qualified(given["imageName"]):
            yield "imageName: must begin with a registry, such as docker.io/"
        build = given["build"]
        if _is_known(build) and not Path(build["context"]).is_dir():
            yield "build.context: is no folder"
        elif _is_known(build) and not _dockerfile(build).is_file():
            yield "build.dockerfile: is no file"

    def create(self, engine: Engine, given: Given) -> tuple[str, Given]:
        """Build the image.

        Raises:
            DockerError: the build failed, and the text ends with its last lines; or the push.
        """
        outputs = self._build(engine, given)
        return outputs["repoDigest"], outputs

    def update(self, engine: Engine, _identity: str, given: Given) -> Given:
        """Build the image anew.

        Raises:
            DockerError: the build failed, and the text ends with its last lines; or the push.
        """
        return self._build(engine, given)

    def read(self, _engine: Engine, _identity: str, given: Given) -> Given | None:
        """Look at nothing, as the official plugin does."""
        return given

    def delete(self, _engine: Engine, _identity: str, _given: Given) -> None:
        """Leave the image, as the official plugin does."""

    def _build(self, engine: Engine, given: Given) -> Given:
        name, build = given["imageName"], given["build"]
        try:
            lines = engine.client.build(
                path=build["context"],
                dockerfile=str(_dockerfile(build).resolve()),
                tag=name,
                buildargs=build.get("args"),
                target=build.get("target"),
                platform=build.get("platform"),
                rm=True,
                forcerm=True,
                decode=True,
            )
            _follow(name, lines)
        except docker.errors.APIError as error:
            raise DockerError(f"image {name}: {error.explanation}") from error
        registry = given.get("registry", {})
        if not given.get("skipPush"):
            _push(engine, name, logins.given_for(name, registry))
        found = engine.call("GET", f"/images/{name}/json")
        # Without a push it is the image's id; of one that is in several repositories, the first one's digest
        # (docker.Image's repoDigest in the SDK, and image.go of the official plugin).
        digest = found["Id"] if given.get("skipPush") else found["RepoDigests"][0]
        return {"baseImageName": name, "repoDigest": digest, "registryServer": registry.get("server", "")}


def _push(engine: Engine, name: str, login: Login) -> None:
    try:
        _follow(name, engine.client.push(name, stream=True, decode=True, auth_config=login.fields))
    except docker.errors.APIError as error:
        raise DockerError(f"image {name}: {error.explanation}") from error


def _follow(name: str, lines: Iterator[dict[str, str]]) -> None:
    # To the end: an answer that is not read keeps its connection.
    told = list(lines)
    wrong = [line["error"] for line in told if "error" in line]
    if wrong:
        end = "".join(line.get("stream", "") for line in told[-_TOLD_LINES:]).strip()
        raise DockerError(f"image {name}: {wrong[-1]}\n{end}".strip())


def _is_qualified(name: str) -> bool:
    """Say whether a name begins with a registry's host, as Docker tells it from a folder."""
    host, _, path = name.partition("/")
    return name == UNKNOWN or (bool(path) and (host == "localhost" or "." in host or ":" in host))


def _is_known(build: Any) -> bool:
    return build != UNKNOWN and UNKNOWN not in {build["context"], build.get("dockerfile")}


def _dockerfile(build: Given) -> Path:
    return Path(build.get("dockerfile") or Path(build["context"]) / "Dockerfile")


def _digest(context: Path, dockerfile: Path) -> str:
    """Hash what the engine would be sent: names, contents and the right to be executed."""
    ignore = context / ".dockerignore"
    patterns = ignore.read_text().splitlines() if ignore.exists() else []
    rules = [line.strip() for line in patterns if line.strip() and not line.startswith("#")]
    digest = hashlib.sha256(dockerfile.read_bytes())
    for name in sorted(exclude_paths(str(context), rules)):
        file = context / name
        if file.is_file():
            executable = file.stat().st_mode & 0o100
            digest.update(f"{name}\0{executable}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
