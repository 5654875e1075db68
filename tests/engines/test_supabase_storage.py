"""A project's buckets and the policies on their files, against a real process of the stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.supabase import ConflictError, ManagementClient, RejectedError, storage
from engines.supabase.policies import Policy, read_policies, write_policies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Emulator, Project

OWN = {"command": "select", "roles": ["authenticated"], "using": "owner_id=(select auth.uid()::text) -- own"}


@pytest.fixture
def platform(emulator: Emulator) -> Iterator[ManagementClient]:
    """Give a client of the platform."""
    with ManagementClient(emulator.api_url, emulator.token) as client:
        yield client


def _storage(client: ManagementClient, project: Project) -> storage.Storage:
    found = client.projects.get(project.ref)
    return storage.open_storage(client, found, project.emulator.api_url)


def test_life_of_a_bucket(platform: ManagementClient, named_project: Project) -> None:
    """A bucket is made with limits, changed field by field and deleted; what is gone is no error."""
    with _storage(platform, named_project) as buckets:
        buckets.create("avatars", {"public": True, "file_size_limit": 5_000_000})
        buckets.change("avatars", {"allowed_mime_types": ["image/png"]})
        found = buckets.find("avatars")
        assert found is not None
        assert found.settings() == {
            "public": True,
            "file_size_limit": 5_000_000,
            "allowed_mime_types": ["image/png"],
        }
        assert found in buckets.all()
        with pytest.raises(ConflictError, match=r"creating the bucket avatars failed .* 409|already exists"):
            buckets.create("avatars", {})
        buckets.delete("avatars")
        buckets.delete("avatars")
        assert buckets.find("avatars") is None


def test_bucket_with_files_stays(platform: ManagementClient, named_project: Project) -> None:
    """A bucket that is not empty is left as it is, and the error says what to do."""
    with _storage(platform, named_project) as buckets:
        buckets.create("full", {})
        named_project.sql("insert into storage.objects (bucket_id, name) values ('full', 'a.png')")
        with pytest.raises(ConflictError, match=r"not empty.*; it was left as it is: empty it"):
            buckets.delete("full")
        assert buckets.find("full") is not None
        named_project.sql("delete from storage.objects where bucket_id = 'full'")
        buckets.delete("full")


def test_wrong_key_is_no_wrong_token(named_project: Project) -> None:
    """What storage refuses is not blamed on the access token, and the key is in no text."""
    with (
        storage.Storage(named_project.url, "sb_secret_canary_key") as buckets,
        pytest.raises(Exception, match="listing the buckets failed") as refused,
    ):
        buckets.all()
    assert "access_token" not in str(refused.value)
    assert "canary" not in str(refused.value)


def test_policies_are_made_compared_and_dropped(platform: ManagementClient, named_project: Project) -> None:
    """A policy is confined to its bucket, told from an equal one, and others are left alone."""
    ref = named_project.ref
    named_project.sql('create policy "it\'s mine" on storage.objects for select to anon using (false)')
    wanted = {'own "files"': Policy.within("it's", OWN)}
    made = write_policies(platform, ref, wanted)
    [shown] = made.values()
    assert shown.using is not None
    assert "bucket_id = 'it''s'::text" in shown.using
    assert read_policies(platform, ref).keys() == {'own "files"', "it's mine"}

    before = named_project.sql("select oid from pg_policy order by oid")
    assert write_policies(platform, ref, wanted) == made
    assert named_project.sql("select oid from pg_policy order by oid") == before

    changed = {'own "files"': Policy.within("it's", {**OWN, "roles": ["public"]})}
    assert write_policies(platform, ref, changed)['own "files"'].roles == ("public",)
    own = read_policies(platform, ref)['own "files"']
    write_policies(platform, ref, {}, {'own "files"': own, "gone": own, "it's mine": own})
    assert read_policies(platform, ref).keys() == {"it's mine"}
    write_policies(platform, ref, {}, read_policies(platform, ref))
    assert not read_policies(platform, ref)


def test_existing_policy_is_recognized(platform: ManagementClient, named_project: Project) -> None:
    """A condition that names the bucket itself is taken as it is."""
    named_project.sql(
        "create policy reads on storage.objects for select to authenticated using (bucket_id = 'a')"
    )
    before = named_project.sql("select oid from pg_policy where polname = 'reads'")
    values = {"command": "select", "roles": ["authenticated"]}
    for using in ({}, {"using": "bucket_id='a'"}):
        write_policies(platform, named_project.ref, {"reads": Policy.within("a", {**values, **using})})
    assert named_project.sql("select oid from pg_policy where polname = 'reads'") == before
    write_policies(platform, named_project.ref, {}, read_policies(platform, named_project.ref))


def test_wrong_condition_changes_nothing(platform: ManagementClient, named_project: Project) -> None:
    """PostgreSQL's own words about a condition are shown, and no policy of the lot is made."""
    good = Policy.within("a", {"command": "insert", "roles": ["authenticated"]})
    bad = Policy.within("a", {**OWN, "using": "nothing_there = 1"})
    with pytest.raises(RejectedError, match='column "nothing_there" does not exist'):
        write_policies(platform, named_project.ref, {"good": good, "bad": bad})
    assert not read_policies(platform, named_project.ref).keys() & {"good", "bad"}


def test_table_in_use_is_waited_for(platform: ManagementClient, named_project: Project) -> None:
    """A request that uses the table for long lets a policy give way and try again, and is not cut off."""
    tries: list[float] = []
    policy = Policy.within("a", {"command": "insert", "roles": ["authenticated"]})
    with named_project.connect() as session:
        session.execute("begin; lock table storage.objects in access share mode")

        def pause(seconds: float) -> None:
            tries.append(seconds)
            if len(tries) == 2:
                session.execute("rollback")

        platform.pause = pause
        write_policies(platform, named_project.ref, {"patient": policy})

    assert tries == [1.0, 1.0]
    assert "patient" in read_policies(platform, named_project.ref)
    write_policies(platform, named_project.ref, {}, read_policies(platform, named_project.ref))
