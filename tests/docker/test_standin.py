"""The real Pulumi engine with the official SDK and the stand-in, on a real Swarm."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pulumi import automation as auto

from tests.docker.leftovers import left_by
from tests.polling import until
from tests.up.fix_local import exported, resource

if TYPE_CHECKING:
    import docker

    from tests.docker.fix_docker import Standin

pytestmark = [pytest.mark.engine, pytest.mark.docker]
ASK = [
    "python",
    "-c",
    "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000').read().decode())",
]


def _tasks(engine: docker.DockerClient, standin: Standin) -> list[str]:
    """Name the containers of the running tasks of `web`."""
    running = engine.services.get(standin.outputs()["web"]).tasks({"desired-state": "running"})
    return sorted(task["Status"]["ContainerStatus"]["ContainerID"] for task in running)


def _answer(engine: docker.DockerClient, container: str) -> str:
    """Ask a task from inside what it answers everybody."""
    return str(engine.containers.get(container).exec_run(ASK).output.decode().strip())


def _secrets(engine: docker.DockerClient, prefix: str) -> list[str]:
    return [str(one.name) for one in engine.secrets.list(filters={"name": prefix})]


def _prefix(standin: Standin) -> str:
    return standin.stack.get_config("standin:prefix").value


def _inputs(standin: Standin, name: str) -> dict[str, Any]:
    return dict(resource(exported(standin), name)["inputs"])


def test_nothing_changes_without_a_change(standin: Standin, engine: docker.DockerClient) -> None:
    """Preview, update and refresh are empty, and no task is exchanged."""
    before = _tasks(engine, standin)
    standin.preview()
    previewed = standin.changed()
    standin.up()
    updated = standin.changed()
    summary = standin.stack.refresh().summary.resource_changes

    assert (previewed, updated) == ({}, {})
    assert set(summary or {}) == {"same"}
    assert _tasks(engine, standin) == before


def test_changed_variable_exchanges_the_tasks_of_the_same_service(
    standin: Standin, engine: docker.DockerClient
) -> None:
    """An update in place: the service keeps its identity, all tasks have the new value."""
    before, service = _tasks(engine, standin), standin.outputs()["web"]
    standin.set("greeting", "moin")
    standin.up()
    after = _tasks(engine, standin)

    assert standin.changed() == {"web": "update"}
    assert standin.outputs()["web"] == service
    assert {_answer(engine, one).split()[0] for one in after} == {"moin"}
    assert not set(after) & set(before)


def test_bad_image_is_rolled_back_and_a_good_one_works_afterwards(
    standin: Standin, engine: docker.DockerClient
) -> None:
    """The update fails with the task's own words, the old tasks serve, and the next update is sent anew."""
    before = {_answer(engine, one) for one in _tasks(engine, standin)}
    standin.set("image", "localhost/gwt-none:1")
    with pytest.raises(auto.errors.CommandError, match="No such image: localhost/gwt-none:1") as caught:
        standin.up()
    with pytest.raises(auto.errors.CommandError, match="rollback completed"):
        standin.up()
    served = {_answer(engine, one) for one in _tasks(engine, standin)}
    standin.unset("image")
    standin.set("greeting", "again")
    standin.up()

    assert "the update failed (rollback completed)" in str(caught.value)
    assert served == before
    assert {_answer(engine, one).split()[0] for one in _tasks(engine, standin)} == {"again"}


def test_changed_secret_is_another_secret(standin: Standin, engine: docker.DockerClient) -> None:
    """The new content has a name of its own; the tasks read it, and the old secret is gone."""
    before = _secrets(engine, _prefix(standin))
    standin.stack.set_config(
        "standin:token", auto.ConfigValue("CANARY-longer-than-before-0123456789", secret=True)
    )
    standin.up()
    after = _secrets(engine, _prefix(standin))

    assert standin.changed()["token"] in {"replace", "create-replacement", "delete-replaced"}
    assert standin.changed()["web"] == "update"
    assert (len(before), len(after)) == (1, 1)
    assert before != after
    assert {_answer(engine, one).split()[1] for one in _tasks(engine, standin)} == {"36"}


def test_service_that_somebody_changed_is_set_right(standin: Standin, engine: docker.DockerClient) -> None:
    """A refresh sees what was changed by hand, and the next update takes it back."""
    engine.services.get(standin.outputs()["web"]).scale(1)
    until(lambda: len(_tasks(engine, standin)) == 1, what="one task")
    standin.stack.refresh()
    seen = _inputs(standin, "web")["mode"]
    standin.up()

    assert seen == {"replicated": {"replicas": 1}}
    assert standin.changed() == {"web": "update"}
    assert len(_tasks(engine, standin)) == 2


def test_service_that_somebody_deleted_is_made_again(standin: Standin, engine: docker.DockerClient) -> None:
    """A refresh notices that it is gone, and the next update creates it."""
    engine.services.get(standin.outputs()["web"]).remove()
    standin.stack.refresh()
    standin.up()

    assert standin.changed() == {"web": "create"}
    assert len(_tasks(engine, standin)) == 2


def test_secret_is_nowhere_in_plain(standin: Standin) -> None:
    """State, its backups, the history and the logs hold neither the token nor its base64."""
    token = standin.stack.get_config("standin:token").value
    data = resource(exported(standin), "token")["inputs"]["data"]["plaintext"].strip('"')
    kept = [path for path in standin.folder.rglob("*") if path.is_file() and ".venv" not in path.parts]
    texts = [path.read_text(errors="replace") for path in kept]

    assert token.startswith("CANARY-")
    assert len([path for path in kept if "history" in path.parts]) > 0
    assert not [path for path, text in zip(kept, texts, strict=True) if token in text or data in text]


def test_destroy_leaves_nothing(own_standin: Standin, engine: docker.DockerClient) -> None:
    """A preview makes nothing, an update what answers on the machine's port, a destroy takes all back."""
    prefix, port = _prefix(own_standin), _free_port()
    own_standin.set("port", str(port))
    own_standin.preview()
    previewed = left_by(engine, prefix)
    own_standin.up()
    answer = httpx.get(f"http://127.0.0.1:{port}").text
    own_standin.stack.destroy()

    assert previewed == []
    assert answer.startswith("hello ")
    assert left_by(engine, prefix) == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
