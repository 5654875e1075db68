"""What every kind of resource answers, and the kinds that Docker never changes in place."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tests.docker.plugin import properties
from tests.docker.plugin.servicespec import labels_of
from tests.docker.plugin.shapes import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.docker.plugin.engine import Engine
    from tests.docker.plugin.shapes import Record

Given = dict[str, Any]


class Kind(Protocol):
    """One type of resource; all values are plain."""

    @property
    def shape(self) -> Record:
        """Its properties."""

    @property
    def replacing(self) -> frozenset[str]:
        """Names of the properties whose change needs another resource."""

    @property
    def unseen(self) -> frozenset[str]:
        """Paths of what may change without a change of the resource."""

    @property
    def computed(self) -> tuple[str, ...]:
        """Names of the outputs beside the properties."""

    def derive(self, given: Given) -> Given:
        """Give properties that the plugin adds, from which changes are told."""

    def problems(self, given: Given) -> Iterator[str]:
        """Say what is wrong beyond the shapes, with no values in it."""

    def create(self, engine: Engine, given: Given) -> tuple[str, Given]:
        """Make it; give its id and the computed outputs."""

    def update(self, engine: Engine, identity: str, given: Given) -> Given:
        """Change it in place; give the computed outputs."""

    def read(self, engine: Engine, identity: str, given: Given) -> Given | None:
        """Give the properties as they are now; None: it is gone."""

    def delete(self, engine: Engine, identity: str, given: Given) -> None:
        """Remove it; one that is gone is fine."""


@dataclass(frozen=True)
class Fixed:
    """A kind that any change replaces, and of which a refresh sees only that it is gone."""

    shape: Record
    path: str
    word: str
    computed: tuple[str, ...] = ()
    unseen: frozenset[str] = frozenset()

    @property
    def replacing(self) -> frozenset[str]:
        """Every property."""
        return frozenset(self.shape.fields)

    def derive(self, _given: Given) -> Given:
        """Add nothing."""
        return {}

    def problems(self, _given: Given) -> Iterator[str]:
        """Find nothing beyond the shapes."""
        yield from ()

    def body(self, given: Given) -> Given:
        """Give what the Engine API's create call takes."""
        raise NotImplementedError

    def create(self, engine: Engine, given: Given) -> tuple[str, Given]:
        """Make it."""
        made = engine.call("POST", f"{self.path}/create", self.body(given))
        return str(made.get("ID") or made["Id"]), self.outputs(engine, given)

    def outputs(self, _engine: Engine, _given: Given) -> Given:
        """Give the computed outputs: none."""
        return {}

    def update(self, _engine: Engine, _identity: str, _given: Given) -> Given:
        """Refuse: the engine of Pulumi never asks for it."""
        raise NotImplementedError(f"a {self.word} is never changed in place")

    def read(self, engine: Engine, identity: str, given: Given) -> Given | None:
        """Look whether it is there."""
        return given if engine.find(f"{self.path}/{identity}") else None

    def delete(self, engine: Engine, identity: str, given: Given) -> None:
        """Remove it, waiting a little while something still uses it."""
        engine.remove(f"{self.path}/{identity}", f"{self.word} {given.get('name', identity)}")


class Network(Fixed):
    """docker:index/network:Network."""

    def __init__(self) -> None:
        """Serve the engine's networks."""
        super().__init__(properties.NETWORK, "/networks", "network", computed=("scope",))

    def body(self, given: Given) -> Given:
        """Give what the Engine API's create call takes."""
        pools = [
            {name: one[key] for name, key in _POOL.items() if key in one}
            for one in given.get("ipamConfigs", [])
        ]
        return {
            "Name": given["name"],
            "CheckDuplicate": True,
            "Driver": given.get("driver", "bridge"),
            "Attachable": given.get("attachable", False),
            "Internal": given.get("internal", False),
            "Options": given.get("options", {}),
            "Labels": labels_of(given.get("labels")),
            "IPAM": {"Driver": "default", "Config": pools},
        }

    def outputs(self, engine: Engine, given: Given) -> Given:
        """Give the scope, `swarm` or `local`."""
        return {"scope": engine.call("GET", f"/networks/{given['name']}")["Scope"]}


_POOL = {"Subnet": "subnet", "Gateway": "gateway", "IPRange": "ipRange"}


class Secret(Fixed):
    """docker:index/secret:Secret; its data is base64, as in the official SDK."""

    def __init__(self) -> None:
        """Serve the Swarm's secrets."""
        super().__init__(properties.SECRET, "/secrets", "secret")

    def problems(self, given: Given) -> Iterator[str]:
        """Refuse data that is no base64, without showing it."""
        yield from _encoding(given)

    def body(self, given: Given) -> Given:
        """Give what the Engine API's create call takes."""
        return {"Name": given["name"], "Data": given["data"], "Labels": labels_of(given.get("labels"))}


class ServiceConfig(Fixed):
    """docker:index/serviceConfig:ServiceConfig; base64 in `data` or text in `dataRaw`."""

    def __init__(self) -> None:
        """Serve the Swarm's configs."""
        super().__init__(properties.SERVICE_CONFIG, "/configs", "config")

    def problems(self, given: Given) -> Iterator[str]:
        """Want the content once."""
        if len({"data", "dataRaw"} & set(given)) != 1:
            yield "data: exactly one of data and dataRaw must be given"
        yield from _encoding(given)

    def body(self, given: Given) -> Given:
        """Give what the Engine API's create call takes."""
        data = given.get("data") or base64.b64encode(given["dataRaw"].encode()).decode()
        return {"Name": given["name"], "Data": data, "Labels": labels_of(given.get("labels"))}


def _encoding(given: Mapping[str, Any]) -> Iterator[str]:
    data = given.get("data", "")
    try:
        base64.b64decode("" if data == UNKNOWN else data, validate=True)
    except binascii.Error:
        yield "data: is no base64"
