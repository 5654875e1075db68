"""Buckets with their limits, and the policies on their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engines.supabase import NotFoundError, RejectedError, policies
from engines.supabase.policies import read_policies
from engines.supabase.storage import open_storage
from providers import _cloud
from providers.buckets import BucketProvider
from tests.fix_management import PROJECT, REF, Service, answer

if TYPE_CHECKING:
    from engines.supabase import ManagementClient
    from engines.supabase.storage import StoredBucket
    from tests.fix_named import Driver

BUCKETS = BucketProvider()
READS = {"command": "select", "roles": ["authenticated"], "using": "owner_id=(select auth.uid()::text)"}
WRITES = {"command": "insert", "roles": ["authenticated"]}


def live(driver: Driver, bucket: str) -> StoredBucket | None:
    """Look at a bucket."""
    project = driver.client.projects.get(driver.ref)
    with open_storage(driver.client, project, driver.project.emulator.api_url) as storage:
        return storage.find(bucket)


def by_hand(driver: Driver, bucket: str, **settings: Any) -> None:
    """Change a bucket behind the stack's back."""
    project = driver.client.projects.get(driver.ref)
    with open_storage(driver.client, project, driver.project.emulator.api_url) as storage:
        storage.change(bucket, settings)


def test_limits_are_kept(driver: Driver) -> None:
    """Limits change one by one, drift shows by name, and what the stack does not name is left alone."""
    given = {"bucket": "docs", "public": False, "file_size_limit": 5_000_000.0, "policies": {}}
    outs = driver.create(BUCKETS, **given)
    by_hand(driver, "docs", allowed_mime_types=["image/png"])
    assert driver.refreshed(BUCKETS, outs) == outs
    by_hand(driver, "docs", file_size_limit=7, public=True)

    seen = driver.refreshed(BUCKETS, outs)
    assert seen == {**outs, "file_size_limit": 7, "public": True}
    driver.update(BUCKETS, seen, **{**given, "file_size_limit": 0})
    found = live(driver, "docs")
    assert found is not None
    assert (found.public, found.file_size_limit, found.allowed_mime_types) == (False, None, ("image/png",))
    everything = {**given, "file_size_limit": 0, "allowed_mime_types": []}
    unlimited = driver.update(BUCKETS, outs, **everything)
    assert driver.refreshed(BUCKETS, unlimited) == unlimited
    BUCKETS.delete("id", unlimited)
    assert live(driver, "docs") is None
    assert driver.refreshed(BUCKETS, outs) is None


def test_policies_follow_the_stack(driver: Driver) -> None:
    """Policies are made, changed and dropped by name; those of others stay."""
    driver.project.sql("create policy other on storage.objects for select to anon using (false)")
    given = {"bucket": "files", "public": False, "policies": {"reads": READS, "writes": WRITES}}
    outs = driver.create(BUCKETS, **given)
    assert driver.refreshed(BUCKETS, outs) == outs
    assert read_policies(driver.client, driver.ref)["writes"].check == "(bucket_id = 'files'::text)"

    fewer = {**given, "policies": {"reads": {**READS, "roles": ["anon"]}}}
    outs = driver.update(BUCKETS, outs, **fewer)
    found = read_policies(driver.client, driver.ref)
    assert found.keys() == {"other", "reads"}
    assert found["reads"].roles == ("anon",)
    BUCKETS.delete("id", outs)
    assert read_policies(driver.client, driver.ref).keys() == {"other"}
    driver.project.sql("drop policy other on storage.objects")


def test_drift_of_a_policy_is_named_and_repaired(driver: Driver) -> None:
    """A refresh shows a changed condition as PostgreSQL has it, and a dropped policy not at all."""
    given = {"bucket": "drifting", "public": False, "policies": {"one": READS, "two": WRITES}}
    outs = driver.create(BUCKETS, **given)
    driver.project.sql("alter policy one on storage.objects using (true); drop policy two on storage.objects")

    seen = driver.refreshed(BUCKETS, outs)
    assert seen is not None
    assert seen["policies"] == {"one": {"command": "select", "roles": ["authenticated"], "using": "true"}}
    again = driver.update(BUCKETS, seen, **given)
    assert again["shown"] == outs["shown"]
    assert driver.refreshed(BUCKETS, again) == again
    BUCKETS.delete("id", again)


def test_policy_that_moves_to_another_bucket_stays(driver: Driver) -> None:
    """A policy that another bucket took over is not dropped by the one that it left, in either order."""
    left = driver.create(BUCKETS, bucket="left", public=False, policies={"moving": WRITES})
    right = driver.create(BUCKETS, bucket="right", public=False, policies={"moving": WRITES})
    left = driver.update(BUCKETS, left, bucket="left", public=False, policies={})

    assert driver.refreshed(BUCKETS, right) == right
    for outs in (left, right):
        BUCKETS.delete("id", outs)


def test_policy_of_a_renamed_bucket_stays(driver: Driver) -> None:
    """The old bucket goes after the new one was made: what that took over by its name stays."""
    former = driver.create(BUCKETS, bucket="former", public=False, policies={"own": READS, "gone": WRITES})
    latter = driver.create(BUCKETS, bucket="latter", public=False, policies={"own": READS})
    BUCKETS.delete("id", former)

    assert driver.refreshed(BUCKETS, latter) == latter
    assert "gone" not in read_policies(driver.client, driver.ref)
    BUCKETS.delete("id", latter)
    assert not read_policies(driver.client, driver.ref)


def test_policy_that_is_taken_over_meanwhile_stays(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at a policy and its end, another bucket's update may make it its own."""
    left = driver.create(BUCKETS, bucket="early", public=False, policies={"moving": WRITES})
    rights: list[dict[str, Any]] = []
    look = policies.read_policies

    def late(client: ManagementClient, ref: str) -> Any:
        found = look(client, ref)
        if not rights:
            rights.append({})
            rights[0] = driver.create(BUCKETS, bucket="late", public=False, policies={"moving": WRITES})
        return found

    monkeypatch.setattr(policies, "read_policies", late)
    left = driver.update(BUCKETS, left, bucket="early", public=False, policies={})

    assert driver.refreshed(BUCKETS, rights[0]) == rights[0]
    for outs in (left, rights[0]):
        BUCKETS.delete("id", outs)


def test_found_policies_are_left(driver: Driver) -> None:
    """A policy that was there before the stack stays when the stack goes; one that the stack made goes."""
    driver.project.sql("insert into storage.buckets (id, name) values ('found', 'found')")
    driver.project.sql(
        "create policy found on storage.objects for insert to authenticated with check (bucket_id = 'found')"
    )
    given = {"bucket": "found", "public": False}
    outs = driver.create(BUCKETS, **given, policies={"found": WRITES})
    outs = driver.update(BUCKETS, outs, **given, policies={"found": WRITES, "more": READS})

    BUCKETS.delete("id", outs)

    assert read_policies(driver.client, driver.ref).keys() == {"found"}
    driver.project.sql("drop policy found on storage.objects")


def test_found_bucket_is_taken_over_and_left(driver: Driver) -> None:
    """A bucket that was there keeps what the stack does not name, and stays when the stack goes."""
    driver.project.sql("insert into storage.buckets (id, name, file_size_limit) values ('old', 'old', 9)")
    outs = driver.create(BUCKETS, bucket="old", public=True, policies={})
    BUCKETS.delete("id", outs)

    found = live(driver, "old")
    assert found is not None
    assert (found.public, found.file_size_limit) == (True, 9)


def test_bucket_with_files_is_not_deleted(driver: Driver, capfd: pytest.CaptureFixture[str]) -> None:
    """It stays with its policies, and holds nothing up; a warning says so."""
    outs = driver.create(BUCKETS, bucket="full", public=False, policies={"kept": READS})
    driver.project.sql("insert into storage.objects (bucket_id, name) values ('full', 'a')")

    BUCKETS.delete("id", outs)

    assert "the bucket full, with its policies, stays as it is: it has files" in capfd.readouterr().err
    assert driver.refreshed(BUCKETS, outs) == outs
    driver.project.sql("delete from storage.objects")
    BUCKETS.delete("id", outs)
    assert live(driver, "full") is None


def test_lost_answer_makes_the_bucket_once(driver: Driver) -> None:
    """A bucket whose answer was lost is found, and is the stack's own."""
    driver.fault(kind="cut_after", method="POST", path=".*/storage/v1/bucket")
    outs = driver.create(BUCKETS, bucket="lost", public=True, policies={})

    assert outs["made"]
    assert driver.refreshed(BUCKETS, outs) == outs


def test_wrong_condition_fails_in_postgresql_s_words(driver: Driver) -> None:
    """The bucket is there then, and the next update goes on."""
    wrong = {"bucket": "strict", "public": False, "policies": {"p": {**READS, "using": "ownr = 1"}}}
    with pytest.raises(RejectedError, match='column "ownr" does not exist'):
        BUCKETS.create(driver.checked(BUCKETS, {}, **wrong))

    outs = driver.create(BUCKETS, bucket="strict", public=False, policies={"p": READS})
    BUCKETS.delete("id", {**outs, "made": True})


def test_bucket_of_a_paused_project_is_as_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The services of a paused project do not answer: a refresh changes nothing."""
    service = Service(answer(200, {**PROJECT, "status": "INACTIVE"}))
    monkeypatch.setattr(_cloud, "client", lambda *_: service.client())
    outs: dict[str, Any] = {
        "api_url": "https://paused.test",
        "access_token": "t",
        "project_ref": REF,
        "bucket": "b",
    }
    outs |= {"policies": {"p": READS}, "shown": {}, "made": True}

    assert BUCKETS.read("id", outs).outs == outs
    assert len(service.requests) == 1


def test_project_that_is_gone_leaves_the_state(driver: Driver) -> None:
    """A refresh drops it, and destroying it is no error."""
    gone = driver.props(bucket="b", policies={}, shown={}, made=True, public=True)
    gone["project_ref"] = "z" * 20

    assert BUCKETS.read("id", gone).id is None
    BUCKETS.delete("id", gone)
    with pytest.raises(NotFoundError):
        BUCKETS.create(gone)
