"""State in S3, the documented backend of staging and prod, on moto's server."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.fix_program import Program, open_program, scratch
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine
BUCKET = "groundwork-state"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """Give a Pulumi backend URL of an empty bucket, and a client of it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield f"s3://{BUCKET}?endpoint=http://{host}:{port}&s3ForcePathStyle=true", client
    server.stop()


def _keys(client: Any, prefix: str) -> list[str]:
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for item in found.get("Contents", [])]


def _second(program: Program) -> subprocess.CompletedProcess[str]:
    command = ["pulumi", "up", "--stack", "local", "--yes", "--skip-preview", "--non-interactive"]
    environment = {**os.environ, **program.env}
    return subprocess.run(
        command, cwd=program.folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_second_update_at_the_same_time_is_refused_and_nothing_is_lost(bucket: tuple[str, Any]) -> None:
    """The lock lies in the bucket: the second update says so, the first one ends, the state is whole."""
    url, client = bucket
    program = open_program(scratch(), backend=url)
    try:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(program.up)
            until(lambda: _keys(client, ".pulumi/locks/"), timeout_s=60)
            second = _second(program)
            first.result()
        state = json.loads(
            client.get_object(Bucket=BUCKET, Key=".pulumi/stacks/groundwork/local.json")["Body"].read()
        )
        names = [one["urn"].split("::")[-1] for one in state["checkpoint"]["latest"]["resources"]]

        assert second.returncode != 0
        assert "locked" in second.stderr + second.stdout
        assert {"emulator", "agent", "app", "health-gate"} <= set(names)
        assert _keys(client, ".pulumi/locks/") == []
        program.up()
        assert program.changed() == {}
    finally:
        program.clean()
