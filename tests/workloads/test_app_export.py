"""The export of an organization's data, on the product's real schema."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from emulator.postgres import free_port
from tests.workloads.doubles import Gate

if TYPE_CHECKING:
    from tests.fix_product import Person, Product
    from tests.workloads.browser import Browse, Browser
    from tests.workloads.programs import Program, RunApp


class TestExport:
    """GET /export.zip."""

    def test_it_holds_what_the_organization_owns(
        self, signed_in: Browser, product: Product, alice: Person, mallory: Person
    ) -> None:
        """Every table of the organization is a CSV; of others there is nothing."""
        add = "insert into documents (organization_id, title) values (%s, %s)"
        product.user(alice, add, [alice.organization, 'Plan; "A",\nline'])
        product.user(mallory, add, [mallory.organization, "theirs"])
        signed_in.submit("/ask", message="Remember")
        response = signed_in.client.get("/export.zip")
        archive = zipfile.ZipFile(io.BytesIO(response.content))
        rows = {name: _rows(archive, name) for name in archive.namelist() if name.endswith(".csv")}
        tables = product.user(alice, "select table_name from export_tables()")

        assert archive.testzip() is None
        assert response.headers["content-disposition"].startswith('attachment; filename="export-')
        assert set(rows) == {f"{name}.csv" for (name,) in tables}
        assert [row["title"] for row in rows["documents.csv"]] == ['Plan; "A",\nline']
        assert [row["id"] for row in rows["organizations.csv"]] == [str(alice.organization)]
        assert [row["content"] for row in rows["messages.csv"]] == ["Remember", "You said: Remember"]
        assert json.loads(archive.read("manifest.json"))["rows"]["documents"] == 1

    def test_strangers_get_nothing(
        self, browse: Browse, app: Program, alice: Person, mallory: Person
    ) -> None:
        """Nobody exports an organization they do not belong to, signed in or not."""
        path = f"/export.zip?organization={alice.organization}"

        assert browse(app, mallory).client.get(path).status_code == 404
        assert browse(app).client.get(path).status_code == 401

    def test_a_large_export_is_streamed(self, signed_in: Browser, product: Product, alice: Person) -> None:
        """Many rows arrive in pieces and in full."""
        product.user(
            alice,
            "insert into documents (organization_id, title)"
            " select %s, md5(n::text) || md5(random()::text) from generate_series(1, 30000) as n",
            [alice.organization],
        )
        with signed_in.client.stream("GET", "/export.zip") as response:
            pieces = list(response.iter_raw())
        archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))

        assert len(pieces) > 5
        assert len(_rows(archive, "documents.csv")) == 30000

    def test_a_database_that_goes_away_leaves_no_complete_file(
        self,
        browse: Browse,
        run_app: RunApp,
        app_environment: dict[str, str],
        supabase_project: Any,
        product: Product,
        alice: Person,
    ) -> None:
        """The download breaks off visibly; a cut archive never looks whole."""
        product.user(
            alice,
            "insert into documents (organization_id, title)"
            " select %s, repeat(md5(random()::text), 6) from generate_series(1, 60000) as n",
            [alice.organization],
        )
        gate = Gate(free_port(), supabase_project.port)
        gate.open()
        url = app_environment["DATABASE_URL"].replace(f":{supabase_project.port}/", f":{gate.port}/")
        browser = browse(run_app(DATABASE_URL=url), alice)
        with browser.client.stream("GET", "/export.zip") as response:
            pieces = response.iter_raw()
            next(pieces)
            gate.shut()
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)


def _rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))
