"""The storage service at a project's URL: buckets are rows of its database, with the caller's rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Project


def _client(project: Project, key: str, header: str = "authorization") -> httpx.Client:
    value = f"Bearer {project.key(key)}" if header == "authorization" else project.key(key)
    return httpx.Client(base_url=f"{project.url}/storage/v1", headers={header: value})


@pytest.fixture
def storage(project: Project) -> Iterator[httpx.Client]:
    """Give the storage service to the service role, and empty it afterwards."""
    with _client(project, "service_role") as client:
        yield client
    project.sql("delete from storage.objects")
    project.sql("delete from storage.buckets")


def _refused(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["statusCode"], body["message"]


def test_bucket_lives_and_dies(storage: httpx.Client, project: Project) -> None:
    """What is made is listed and found here, in the Management API and in the table; it can be deleted."""
    body = {"id": "avatars", "name": "avatars", "public": True, "file_size_limit": "5MB"}
    made = storage.post("/bucket", json={**body, "allowed_mime_types": ["image/png", ""]})
    found = storage.get("/bucket/avatars").json()
    managed = project.emulator.client.get(f"{project.path}/storage/buckets").json()
    rows = project.sql("select id, public, file_size_limit::int, allowed_mime_types from storage.buckets")
    listed = storage.get("/bucket").json()
    deleted = storage.delete("/bucket/avatars")

    assert (made.status_code, made.json()) == (200, {"name": "avatars"})
    expected = {**body, "file_size_limit": 5_000_000, "allowed_mime_types": ["image/png"]}
    assert {name: found[name] for name in expected} == expected
    assert listed == [found]
    assert [bucket["id"] for bucket in managed] == ["avatars"]
    assert rows == [{name: value for name, value in expected.items() if name != "name"}]
    assert (deleted.status_code, deleted.json()) == (200, {"message": "Successfully deleted"})
    assert storage.get("/bucket").json() == []


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({"public": True}, {"public": True, "file_size_limit": 100, "allowed_mime_types": ["text/plain"]}),
        ({"file_size_limit": None}, {"public": False, "file_size_limit": None}),
        ({"file_size_limit": "1.2345KB"}, {"file_size_limit": 1230}),
        ({"allowed_mime_types": None}, {"allowed_mime_types": None, "file_size_limit": 100}),
        ({}, {"public": False, "file_size_limit": 100}),
    ],
)
def test_change_touches_only_what_is_given(
    change: dict[str, Any], after: dict[str, Any], storage: httpx.Client
) -> None:
    """PUT leaves alone what is left out; null clears."""
    body = {"name": "files", "file_size_limit": 100, "allowed_mime_types": ["text/plain"]}
    storage.post("/bucket", json=body).raise_for_status()

    answer = storage.put("/bucket/files", json=change)

    found = storage.get("/bucket/files").json()
    assert (answer.status_code, answer.json()) == (200, {"message": "Successfully updated"})
    assert {name: found[name] for name in after} == after


def test_full_bucket_is_emptied_first(storage: httpx.Client, project: Project) -> None:
    """A bucket with objects is not deleted; emptied, it is."""
    storage.post("/bucket", json={"name": "full"}).raise_for_status()
    project.sql("insert into storage.objects (bucket_id, name) values ('full', 'a'), ('full', 'b')")

    kept = storage.delete("/bucket/full")
    emptied = storage.post("/bucket/full/empty")
    deleted = storage.delete("/bucket/full")

    assert _refused(kept) == (400, "409", "The bucket you tried to delete is not empty")
    assert (emptied.status_code, emptied.json()) == (200, {"message": "Successfully emptied"})
    assert deleted.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/bucket", {"name": "taken"}, "409", "The resource already exists"),
        ("POST", "/bucket", {"name": "a/b"}, "400", "Bucket name invalid"),
        ("POST", "/bucket", {"name": "x" * 64}, "400", "Bucket name invalid"),
        ("POST", "/bucket", {"id": "x"}, "400", "body/name Field required"),
        ("POST", "/bucket", {"name": "x", "file_size_limit": "5 MB"}, "400", "hint: use 20GB / 20MB"),
        ("POST", "/bucket", {"name": "x", "file_size_limit": "20GB"}, "413", "exceeded the maximum"),
        ("GET", "/bucket/none", None, "404", "Bucket not found"),
        ("PUT", "/bucket/none", {"public": True}, "404", "Bucket not found"),
        ("DELETE", "/bucket/none", None, "404", "Bucket not found"),
        ("POST", "/bucket/none/empty", None, "404", "Bucket not found"),
    ],
)
def test_refusals_have_the_status_in_the_body(
    method: str, path: str, body: Any, status: str, message: str, storage: httpx.Client
) -> None:
    """The HTTP status of every refusal is 400; what is meant is in the body."""
    storage.post("/bucket", json={"name": "taken"}).raise_for_status()

    refused = _refused(storage.request(method, path, json=body))

    assert refused[:2] == (400, status)
    assert message in refused[2]


def test_visitor_sees_and_makes_nothing(storage: httpx.Client, project: Project) -> None:
    """Without a policy the public keys reach no bucket; without any key nobody gets an answer."""
    storage.post("/bucket", json={"name": "private"}).raise_for_status()
    with _client(project, "anon") as visitor:
        listed = visitor.get("/bucket")
        made = visitor.post("/bucket", json={"name": "mine"})
        found = visitor.get("/bucket/private")
    nobody = httpx.get(f"{project.url}/storage/v1/bucket")
    stranger = httpx.get(f"{project.url}/storage/v1/bucket", headers={"authorization": "Bearer x"})

    assert (listed.status_code, listed.json()) == (200, [])
    assert _refused(made)[:2] == (400, "403")
    assert "row-level security" in made.json()["message"]
    assert _refused(found) == (400, "404", "Bucket not found")
    assert _refused(nobody) == (400, "400", "headers must have required property 'authorization'")
    assert _refused(stranger) == (400, "403", "Invalid Compact JWS")


@pytest.mark.parametrize("header", ["authorization", "apikey"])
def test_secret_key_opens_storage(header: str, storage: httpx.Client, project: Project) -> None:
    """The opaque secret key is as good as the service role's token, in either header."""
    listed = project.emulator.client.get(f"{project.path}/api-keys", params={"reveal": "true"}).json()
    secret = next(key["api_key"] for key in listed if key["type"] == "secret")
    value = f"Bearer {secret}" if header == "authorization" else secret

    made = httpx.post(
        f"{project.url}/storage/v1/bucket", headers={header: value}, json={"name": f"by-{header}"}
    )

    assert made.status_code == 200, made.text
    assert [bucket["id"] for bucket in storage.get("/bucket").json()] == [f"by-{header}"]
