"""Everything that an organization owns, as a zip of CSV files, streamed with bounded memory."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from psycopg import sql

from store import RefusedError, become, call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from typing_extensions import Buffer

    from store import Row, Session, Store

MANIFEST = "manifest.json"


class _Outbox(io.RawIOBase):
    """What the zip writer has written and nobody has sent yet; it cannot seek, which is fine for a zip."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


async def stream(store: Store, user: UUID, organization: UUID) -> AsyncIterator[bytes]:
    """Yield the zip: a CSV per table with what the user may see, all of one moment, and a manifest.

    Raises:
        RefusedError: the user is no member.
        StoreUnavailableError: the database went away; the zip ends without its directory and is no zip.
    """
    outbox = _Outbox()
    async with store.session() as session:
        await session.execute("set transaction isolation level repeatable read read only")
        await become(session, "authenticated", user)
        await _require_member(session, organization)
        counts: dict[str, int] = {}
        with ZipFile(outbox, "w", ZIP_DEFLATED) as archive:
            for table in await call(session, "export_tables"):
                counts[table["table_name"]] = 0
                async for rows in _copy(session, archive, table, organization):
                    counts[table["table_name"]] = rows
                    if data := outbox.take():
                        yield data
            archive.writestr(_entry(MANIFEST), _manifest(organization, counts))
        yield outbox.take()


async def _require_member(session: Session, organization: UUID) -> None:
    found = await session.execute("select 1 from public.organizations where id = %s", [organization])
    if await found.fetchone() is None:
        raise RefusedError(404, "no such organization")


async def _copy(session: Session, archive: ZipFile, table: Row, organization: UUID) -> AsyncIterator[int]:
    """Write one table into the archive; yields after each piece, at the end the number of rows."""
    async with session.cursor() as cursor:
        # The size is not known before the end: the entry gets the large form of its sizes.
        with archive.open(_entry(f"{table['table_name']}.csv"), "w", force_zip64=True) as entry:
            async with cursor.copy(_query(table, organization)) as copy:
                async for piece in copy:
                    entry.write(piece)
                    yield 0
        yield cursor.rowcount


def _query(table: Row, organization: UUID) -> sql.Composed:
    name = table["table_name"]
    key = "id" if name == "organizations" else "organization_id"
    order = [sql.Identifier(column) for column in table["order_by"]] or [sql.Identifier(key)]
    return sql.SQL(
        "copy (select {columns} from public.{table} where {key} = {organization} order by {order})"
        " to stdout with (format csv, header true)"
    ).format(
        columns=sql.SQL(", ").join(sql.Identifier(column) for column in table["columns"]),
        table=sql.Identifier(name),
        key=sql.Identifier(key),
        organization=sql.Literal(organization),
        order=sql.SQL(", ").join(order),
    )


def _entry(name: str) -> ZipInfo:
    info = ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    info.compress_type = ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _manifest(organization: UUID, counts: dict[str, int]) -> str:
    document = {
        "organization_id": str(organization),
        "exported_at": datetime.now(UTC).isoformat(),
        "rows": counts,
    }
    return json.dumps(document, indent=2) + "\n"
