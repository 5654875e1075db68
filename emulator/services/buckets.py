"""Buckets of a project's storage service: the tables of its own database, with the caller's rights.

Answers and errors are those of supabase/storage: what is refused has the HTTP status 400, and the status that
is meant (403, 404, 409, 413) in the body's `statusCode`. The stand-in keeps no files; rows of
`storage.objects` stand for them.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
from fastapi import APIRouter, Depends
from psycopg import sql
from psycopg.rows import dict_row
from pydantic import AfterValidator, BeforeValidator, Field

from emulator import instance, sections
from emulator.management.bodies import Body
from emulator.services import gateway, storage_errors
from emulator.services.gateway import Server, UpProject  # noqa: TC001 - FastAPI reads them
from emulator.services.storage_errors import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.store import Record

router = APIRouter(prefix="/projects/{ref}/storage/v1/bucket", route_class=storage_errors.Route)

# The service's own role, which may act as each of the roles that an API key stands for.
_SERVICE = "supabase_storage_admin"
_NAME = re.compile(r"[\w!\-.*'() &$@=;:+,?]{1,63}", re.ASCII)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(gb|mb|kb|b)", re.IGNORECASE)
_UNITS = {"GB": 10**9, "MB": 10**6, "KB": 10**3, "B": 1}
_COLUMNS = """
    id, name, coalesce(owner::text, '') as owner, public, type::text as type, file_size_limit,
    allowed_mime_types, to_json(created_at) #>> '{}' as created_at, to_json(updated_at) #>> '{}' as updated_at
"""


def _bytes(given: object) -> object:
    """Read a size as the service does: a number, or a text such as `20MB` of which three digits count."""
    if not isinstance(given, str):
        return given
    found = _SIZE.fullmatch(given)
    if found is None:
        raise ValueError("Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B")
    return round(float(f"{float(found[1]):.3g}") * _UNITS[found[2].upper()])


def _named(types: list[str] | None) -> list[str] | None:
    return types if types is None else [one for one in types if one]


class ChangeBucket(Body):
    """Body of PUT; what is left out stays."""

    public: bool = False
    file_size_limit: Annotated[Annotated[int, Field(ge=0, lt=2**63)] | None, BeforeValidator(_bytes)] = None
    allowed_mime_types: Annotated[list[str] | None, AfterValidator(_named)] = None


class CreateBucket(ChangeBucket):
    """Body of POST."""

    name: str
    id: str = ""


@contextmanager
def _session(server: instance.Instance, role: str) -> Iterator[psycopg.Connection]:
    """Open a transaction with a role's rights; what the database says becomes the service's words."""
    try:
        with instance.connect(server.dsn(_SERVICE)) as session, session.transaction():
            session.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            yield session
    except (ConnectionError, psycopg.Error) as error:
        raise storage_errors.worded(error) from error


Caller = Annotated[str, Depends(gateway.find_storage_role)]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise refused("InvalidBucketName", "Bucket name invalid")


def _check_size(project: Record, body: ChangeBucket) -> None:
    most = sections.effective(project, "storage")["fileSizeLimit"]
    if body.file_size_limit is not None and body.file_size_limit > most:
        raise refused("EntityTooLarge", "The object exceeded the maximum allowed size")


def _find(session: psycopg.Connection, bucket_id: str, *, lock: bool = False) -> dict[str, Any]:
    query = f"select {_COLUMNS} from storage.buckets where id = %s{' for update' if lock else ''}"
    found = session.cursor(row_factory=dict_row).execute(query.encode(), [bucket_id]).fetchone()
    if found is None:
        raise refused("NoSuchBucket", "Bucket not found")
    return found


@router.get("")
def list_buckets(server: Server, role: Caller) -> list[dict[str, Any]]:
    """List the buckets that the caller may see."""
    query = f"select {_COLUMNS} from storage.buckets order by id"
    with _session(server, role) as session:
        return session.cursor(row_factory=dict_row).execute(query.encode()).fetchall()


@router.post("")
def create_bucket(body: CreateBucket, project: UpProject, server: Server, role: Caller) -> dict[str, str]:
    """Make a bucket; a name that is taken is refused."""
    _check_name(body.name)
    _check_name(body.id or body.name)
    _check_size(project, body)
    values = {**body.model_dump(), "id": body.id or body.name}
    query = """
        insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
        values (%(id)s, %(name)s, %(public)s, %(file_size_limit)s, %(allowed_mime_types)s)
    """
    with _session(server, role) as session:
        session.execute(query, values)
    return {"name": body.name}


@router.get("/{bucket_id}")
def get_bucket(bucket_id: str, server: Server, role: Caller) -> dict[str, Any]:
    """Give one bucket."""
    with _session(server, role) as session:
        return _find(session, bucket_id)


@router.put("/{bucket_id}")
def change_bucket(
    bucket_id: str, body: ChangeBucket, project: UpProject, server: Server, role: Caller
) -> dict[str, str]:
    """Change some settings of a bucket."""
    _check_size(project, body)
    changes = {**body.model_dump(exclude_unset=True), "id": bucket_id}
    settings = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
        for name in changes
        if name != "id"
    ]
    query = sql.SQL("update storage.buckets set {} where id = %(id)s returning id").format(
        sql.SQL(", ").join([*settings, sql.SQL("updated_at = now()")])
    )
    with _session(server, role) as session:
        if session.execute(query, changes).fetchone() is None:
            raise refused("NoSuchBucket", "Bucket not found")
    return {"message": "Successfully updated"}


@router.delete("/{bucket_id}")
def delete_bucket(bucket_id: str, server: Server, role: Caller) -> dict[str, str]:
    """Delete a bucket, if nothing is in it."""
    count = "select count(*) from storage.objects where bucket_id = %s"
    with _session(server, role) as session:
        _find(session, bucket_id, lock=True)
        # What the caller may not see is in the way as well.
        session.execute("reset role")
        (number,) = session.execute(count, [bucket_id]).fetchone() or (0,)
        if number:
            raise refused("ResourceNotEmpty", "The bucket you tried to delete is not empty")
        session.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        if not session.execute("delete from storage.buckets where id = %s", [bucket_id]).rowcount:
            raise refused("NoSuchBucket", "Bucket not found")
    return {"message": "Successfully deleted"}


@router.post("/{bucket_id}/empty")
def empty_bucket(bucket_id: str, server: Server, role: Caller) -> dict[str, str]:
    """Delete everything that is in a bucket and that the caller may delete."""
    with _session(server, role) as session:
        _find(session, bucket_id)
        session.execute("delete from storage.objects where bucket_id = %s", [bucket_id])
    return {"message": "Successfully emptied"}
