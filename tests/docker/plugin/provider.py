"""A stand-in for Pulumi's Docker plugin, for tests on machines where the official one cannot be fetched.

It speaks Pulumi's provider protocol and does on a real Docker engine what the resources of the official SDK
say. What it proves: that the program's resources are complete and well ordered, that Swarm takes them and
does with them what the program wants, that previews are empty when nothing changed, and that secrets stay
secret in the state. What it does not prove: that the official plugin understands a property as this one
does, or makes the same differences of it. To names and types it is held (test_contract.py); the behaviour
is written after the source of terraform-provider-docker, which is inside the official plugin. A property
that it does not know is refused, so that no test is green for something that was never done.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from pulumi.provider.experimental import provider
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import main

from tests.docker.plugin import kinds, logins, properties
from tests.docker.plugin.differences import detailed, top
from tests.docker.plugin.engine import Engine
from tests.docker.plugin.image import Image
from tests.docker.plugin.service import Service
from tests.docker.plugin.shapes import UNKNOWN, problems
from tests.docker.plugin.values import Properties, plain_map, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.docker.plugin.kinds import Given, Kind

# The version of the SDK that it stands for; the engine accepts a plugin from PATH whatever its version is.
VERSION = "5.2.0"
KINDS: dict[str, Kind] = {
    "docker:index/network:Network": kinds.Network(),
    "docker:index/secret:Secret": kinds.Secret(),
    "docker:index/serviceConfig:ServiceConfig": kinds.ServiceConfig(),
    "docker:index/image:Image": Image(),
    "docker:index/service:Service": Service(),
}
# What the engine itself adds to a provider's configuration.
_ENGINES_OWN = {"version", "pluginDownloadURL"}


class Docker(provider.Provider):
    """The provider; what takes time runs beside the event loop, for several resources at once."""

    def __init__(self) -> None:
        """Wait for the configuration."""
        self._engine = Engine()

    async def check_config(self, request: provider.CheckRequest) -> provider.CheckResponse:
        """Accept the engine's address and logins, and nothing else."""
        given = _configuration(request.new_inputs)
        return provider.CheckResponse(request.new_inputs, _failures(problems(properties.PROVIDER, given)))

    async def diff_config(self, _request: provider.DiffRequest) -> provider.DiffResponse:
        """Let the engine compare: another address or login changes no resource that does not change itself.

        An answer would not do: Pulumi 3.259's server.py sends True as the number that means "no change", and
        the engine goes on with the configuration of the state.
        """
        return provider.DiffResponse()

    async def configure(self, request: provider.ConfigureRequest) -> provider.ConfigureResponse:
        """Take address and logins; unknown values are to come as the protocol's own mark, not as objects."""
        given = _configuration(request.args)
        host = given.get("host")
        self._engine = Engine(
            None if host == UNKNOWN else host, logins.of_provider(given.get("registryAuth", []))
        )
        return provider.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: provider.CheckRequest) -> provider.CheckResponse:
        """Refuse what is unknown or of the wrong type; add what changes are told from."""
        kind = KINDS.get(_token(request.type))
        if kind is None:
            known = f"{_token(request.type)}: the stand-in for the Docker plugin does not serve it"
            return provider.CheckResponse(request.new_inputs, _failures([known]))
        given = plain_map(request.new_inputs)
        found = list(problems(kind.shape, given)) or list(kind.problems(given))
        derived = {} if found else await asyncio.to_thread(kind.derive, given)
        inputs = {**request.new_inputs, **{name: wrap(one) for name, one in derived.items()}}
        return provider.CheckResponse(inputs, _failures(found))

    async def diff(self, request: provider.DiffRequest) -> provider.DiffResponse:
        """Compare the properties with those of the state, where outputs repeat them."""
        kind = KINDS[_token(request.type)]
        old, new = _inputs(kind, request.old_state), plain_map(request.new_inputs)
        found = {
            path: one for path, one in detailed(old, new, kind.replacing).items() if path not in kind.unseen
        }
        changed = {top(path) for path in found}
        replaces = sorted(changed & kind.replacing)
        return provider.DiffResponse(
            changes=bool(found),
            diffs=sorted(changed),
            replaces=replaces,
            detailed_diff=found,
            # Names are unique, so one that stays must be free before it is taken again.
            delete_before_replace=bool(replaces) and "name" not in changed,
        )

    async def create(self, request: provider.CreateRequest) -> provider.CreateResponse:
        """Make the resource; a preview touches nothing."""
        kind = KINDS[_token(request.type)]
        if request.preview:
            return provider.CreateResponse(None, {**request.properties, **_later(kind)})
        given = plain_map(request.properties)
        identity, outputs = await asyncio.to_thread(kind.create, self._engine, given)
        return provider.CreateResponse(identity, _merged(request.properties, outputs))

    async def update(self, request: provider.UpdateRequest) -> provider.UpdateResponse:
        """Change the resource in place; a preview touches nothing."""
        kind = KINDS[_token(request.type)]
        if request.preview:
            return provider.UpdateResponse({**request.news, **_later(kind)})
        given = plain_map(request.news)
        outputs = await asyncio.to_thread(kind.update, self._engine, request.resource_id, given)
        return provider.UpdateResponse(_merged(request.news, outputs))

    async def read(self, request: provider.ReadRequest) -> provider.ReadResponse:
        """Say how the resource is; one that is gone has no id."""
        kind = KINDS[_token(request.type)]
        given = _inputs(kind, request.properties)
        found = await asyncio.to_thread(kind.read, self._engine, request.resource_id, given)
        if found is None:
            return provider.ReadResponse()
        inputs = {name: wrap(one, request.properties.get(name)) for name, one in found.items()}
        return provider.ReadResponse(request.resource_id, {**request.properties, **inputs}, inputs)

    async def delete(self, request: provider.DeleteRequest) -> None:
        """Remove the resource."""
        kind = KINDS[_token(request.type)]
        given = plain_map(request.properties)
        await asyncio.to_thread(kind.delete, self._engine, request.resource_id, given)


def _configuration(values: Properties) -> Given:
    """Give a provider's own configuration; what is no single value comes as JSON."""
    given = {name: one for name, one in plain_map(values).items() if name not in _ENGINES_OWN}
    entries = given.get("registryAuth", UNKNOWN)
    return given if entries == UNKNOWN else {**given, "registryAuth": json.loads(entries)}


def _token(types: str) -> str:
    """Give a resource's own type: below a component it comes with those of its parents (`a$b$c`)."""
    return types.rpartition("$")[2]


def _failures(texts: Iterable[str]) -> list[provider.CheckFailure]:
    # Without a property the engine shows the text alone, and no value beside it.
    return [provider.CheckFailure("", text) for text in texts]


def _inputs(kind: Kind, state: Properties) -> Given:
    """Pick a resource's properties from its outputs."""
    return {name: one for name, one in plain_map(state).items() if name not in kind.computed}


def _later(kind: Kind) -> Properties:
    return {name: PropertyValue(UNKNOWN) for name in kind.computed}


def _merged(given: Properties, outputs: Given) -> Properties:
    return {**given, **{name: wrap(one) for name, one in outputs.items()}}


def serve(arguments: list[str]) -> None:
    """Serve until the engine that started this process ends it, or is gone."""
    # The engine shows the error itself; the log would repeat it with a traceback.
    logging.getLogger("grpc._cython.cygrpc").setLevel(logging.CRITICAL)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    main(arguments, VERSION, Docker())


def _end_with_parent(parent: int) -> None:
    """End when the engine was killed: a plugin that goes on would hold on to its address and its clients."""
    pause: Any = threading.Event()
    while os.getppid() == parent:
        pause.wait(1)
    os._exit(1)
