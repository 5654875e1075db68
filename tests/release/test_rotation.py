"""Every secret rotates and retires on a Swarm while requests keep coming, and none is found in plain."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import psycopg
import pytest

from tests.polling import until
from tests.release.fix_release import GIVEN, given_value
from tests.up.fix_cloud import plain_state
from tests.up.fix_local import exported, resource, secret_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.release.fix_release import Release

pytestmark = [pytest.mark.engine, pytest.mark.docker]

OVERLAPPING = ("agent_shared_secret", "session_key", "app_database_password", "agent_database_password")
EVENT = json.dumps({"meta": {"event_name": "groundwork_test"}}).encode()


def _values(release: Release, name: str) -> dict[str, str]:
    """Read the values of a secret that Groundwork made, by version."""
    outputs = resource(exported(release), name)["outputs"]
    values: dict[str, str] = json.loads(outputs["values"]["plaintext"])
    return values


def _asked(release: Release, secret: str) -> int:
    """Call the agent with a version of the shared secret."""
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.get(f"{release.outputs()['agent_url']}/probe", headers=headers).status_code


def _delivered(release: Release, secret: str) -> int:
    """Send a signed event as the billing provider does."""
    signature = hmac.new(secret.encode(), EVENT, hashlib.sha256).hexdigest()
    url = f"{release.outputs()['app_url']}/webhooks/billing"
    return httpx.post(url, content=EVENT, headers={"x-signature": signature}).status_code


def _is_noted(release: Release, since: str) -> bool:
    """Tell whether the agent has noted that an old version was shown to it; it notes every few seconds."""
    [row] = release.sql(
        "select count(*) as n from private.secret_use u where secret = 'agent_shared_secret' and"
        f" service = 'agent' and last_used_at > '{since}' and"
        " version < (select max(version) from private.secret_use v where v.secret = u.secret)"
    )
    return int(row["n"]) > 0


def _is_idle(release: Release) -> bool:
    """Tell whether nobody has used an old version of a secret for longer than the stack's window.

    Services write a use down 5 s late at most (workloads/*/uses.py, EVERY_S).
    """
    [row] = release.sql(
        "select count(*) as n from private.secret_use u where last_used_at > now() - interval '8 seconds' and"
        " version < (select max(version) from private.secret_use v where v.secret = u.secret)"
    )
    return int(row["n"]) == 0


def test_every_secret_rotates_and_retires(release: Release) -> None:
    """No request fails; old values are good until they are retired, and refused everywhere after that."""
    before = release.outputs()["secret_versions"]
    old = {name: _values(release, name)[str(before[name])] for name in OVERLAPPING}
    login = resource(exported(release), "app-login")["outputs"]["url"]["plaintext"]
    with release.under_load():
        for name in (name for name in before if name not in GIVEN):
            release.set(f"secrets.{name}.version", str(before[name] + 1))
        for name in GIVEN:
            release.give(name, before[name] + 1)
        release.up()
        asked_at = release.sql("select clock_timestamp()::text as now")[0]["now"]
        accepted = _asked(release, old["agent_shared_secret"]), _delivered(release, _billing(1))
        until(lambda: _is_noted(release, asked_at), what="the old version's last use")
        until(lambda: _is_idle(release), what="old versions out of use")
        for name in (*OVERLAPPING, "billing_webhook_secret"):
            release.set(f"secrets.{name}.accept", "[]")
        release.up()
        refused = [_asked(release, old["agent_shared_secret"]) for _ in range(10)]
        unsigned = [_delivered(release, _billing(1)) for _ in range(10)]
    matrix = release.outputs()["parity"]["agent_shared_secret"]

    assert accepted == (200, 200)
    assert (set(refused), set(unsigned)) == ({401}, {401})
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(json.loads(login))
    assert release.outputs()["secret_versions"] == {name: before[name] + 1 for name in before}
    assert matrix.keys() >= {"app", "agent", "cron"}
    assert set(matrix.values()) == {str(before["agent_shared_secret"] + 1)}
    assert release.health("app")["status"] == "healthy"


def _billing(version: int) -> str:
    return given_value("billing_webhook_secret", version)


def test_no_secret_is_found_in_plain(release: Release) -> None:
    """Not in state, its history and backups, output, arguments, containers, their logs, or their images."""
    secrets = {*secret_values(exported(release)), release.emulator.token}
    places = {
        "state": plain_state(release),
        "output": "".join(release.said),
        "arguments": "\n".join(_arguments()),
        "containers": json.dumps([one.attrs for one in _containers(release)]),
        "services": json.dumps([release.live(name) for name in ("app", "agent", "proxy")]),
        "logs": "".join(one.logs().decode(errors="replace") for one in _containers(release)),
    }

    # What must be found is: the search looks where it should, into containers, too.
    known = {**dict.fromkeys(places, release.prefix), "arguments": "serve.py --host", "logs": ""}
    assert [name for name, text in places.items() if known[name] not in text] == []
    assert len(secrets) > len(OVERLAPPING) + len(GIVEN)
    assert [(name, one[:4]) for name, text in places.items() for one in secrets if one in text] == []
    assert [image for image in _images(release) if _is_in(release, image, secrets)] == []


def _arguments() -> Iterator[str]:
    for process in psutil.process_iter(["cmdline"]):
        yield " ".join(process.info["cmdline"] or [])


def _containers(release: Release) -> list[Any]:
    return [one for name in ("app", "agent", "proxy") for one in release.containers(name)]


def _images(release: Release) -> set[str]:
    return {str(one.attrs["Image"]) for name in ("app", "agent") for one in release.containers(name)}


def _is_in(release: Release, image: str, secrets: set[str]) -> bool:
    """Look for secrets in all layers of an image, and in what was recorded of its making."""
    rest, found = b"", False
    for block in release.docker.images.get(image).save():
        text = rest + block
        found = found or any(one.encode() in text for one in secrets)
        rest = text[-200:]
    return found
