"""docker:index/image:Image, built on the engine and kept there.

As with the official plugin an image outlives its resource (pulumi/pulumi-docker#588) and is not looked at by
a refresh (#421). Two differences: the classic builder works whatever `builderVersion` says, and nothing is
pushed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.utils.build import exclude_paths

from tests.docker.plugin import properties
from tests.docker.plugin.engine import DockerError
from tests.docker.plugin.shapes import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docker.plugin.engine import Engine
    from tests.docker.plugin.kinds import Given
    from tests.docker.plugin.shapes import Record

_TOLD_LINES = 20


class Image:
    """An image from a Dockerfile."""

    shape: Record = properties.IMAGE
    replacing: frozenset[str] = frozenset()
    computed = ("baseImageName", "repoDigest")

    def derive(self, given: Given) -> Given:
        """Add a digest of the context, so that a changed file is a change."""
        build = given["build"]
        if not _is_known(build):
            return {"contextDigest": UNKNOWN}
        return {"contextDigest": _digest(Path(build["context"]), _dockerfile(build))}

    def problems(self, given: Given) -> Iterator[str]:
        """Refuse what would need a registry, and folders that are none."""
        if given.get("skipPush") is not True:
            yield "skipPush: must be true, the stand-in pushes nothing"
        build = given["build"]
        if _is_known(build) and not Path(build["context"]).is_dir():
            yield "build.context: is no folder"
        elif _is_known(build) and not _dockerfile(build).is_file():
            yield "build.dockerfile: is no file"

    def create(self, engine: Engine, given: Given) -> tuple[str, Given]:
        """Build the image.

        Raises:
            DockerError: the build failed; the text ends with its last lines.
        """
        outputs = self._build(engine, given)
        return outputs["repoDigest"], outputs

    def update(self, engine: Engine, _identity: str, given: Given) -> Given:
        """Build the image anew.

        Raises:
            DockerError: the build failed; the text ends with its last lines.
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
        # Without a push it is the image's id (docker.Image's repoDigest in the SDK).
        return {"baseImageName": name, "repoDigest": engine.call("GET", f"/images/{name}/json")["Id"]}


def _follow(name: str, lines: Iterator[dict[str, str]]) -> None:
    told: list[str] = []
    for line in lines:
        told.append(line.get("stream", ""))
        if "error" in line:
            end = "".join(told[-_TOLD_LINES:]).strip()
            raise DockerError(f"image {name}: {line['error']}\n{end}")


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
