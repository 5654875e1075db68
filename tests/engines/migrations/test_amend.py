"""Correcting the history, and emptying disposable databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.migrations import FailedError, RefusedError, mark_disposable, repair, reset

if TYPE_CHECKING:
    from tests.engines.migrations.conftest import Project


def test_applied_records_without_running(project: Project) -> None:
    """A version can be recorded as applied, with its file's statements and checksum."""
    project.write(_001_a="create table a ()")
    repair(project.dsn, project.folder, applied=["001"])

    assert project.rows("select version, statements from supabase_migrations.schema_migrations") == [
        ("001", ["create table a ()"])
    ]
    assert project.up().applied == ()
    assert project.value("select to_regclass('a') is null")


def test_applied_accepts_an_edit(project: Project) -> None:
    """What was edited and is right can be recorded anew."""
    project.write(_001_a="create table a ()")
    project.up()
    project.write(_001_a="create table a (); -- better")
    repair(project.dsn, project.folder, applied=["001"])

    assert project.up().applied == ()


def test_applied_ends_an_unfinished_file(project: Project) -> None:
    """A file that stopped half way and was finished by hand can be recorded."""
    project.write(_001_a="vacuum; select 1 / 0")
    with pytest.raises(FailedError):
        project.up()
    repair(project.dsn, project.folder, applied=["001"])

    assert project.up().applied == ()


def test_reverted_forgets(project: Project) -> None:
    """A forgotten version is pending again, or, without a file, gone."""
    project.write(_001_a="create table if not exists a ()")
    project.up()
    repair(project.dsn, project.folder, reverted=["001"])

    assert project.up().applied == ("001_a.sql",)


def test_unknown_versions_are_refused(project: Project) -> None:
    """All that cannot be done is told at once, and nothing is done."""
    project.write(_001_a="select 1")

    with pytest.raises(RefusedError) as caught:
        repair(project.dsn, project.folder, applied=["001", "009"], reverted=["008"])
    assert "there is no file with the version 009" in caught.value.refusals[0]
    assert "version 008 is not in the history of postgres@127.0.0.1" in caught.value.refusals[1]
    assert project.history == []


def test_reset_needs_the_mark(project: Project) -> None:
    """A database that is not marked as disposable is never emptied."""
    project.write(_001_a="create table a ()")
    project.up()

    with pytest.raises(RefusedError, match=r"is not marked as disposable, so what .* made in it is kept"):
        reset(project.dsn, project.folder)
    assert project.value("select to_regclass('a') is not null")


def test_reset_empties(project: Project) -> None:
    """All that migrations made is gone, extensions and the mark stay, and everything runs again."""
    project.write(
        _001_a="create schema app; create table app.x (); create type mood as enum ('a'); "
        "create domain d as int; "
        "create table t (a serial primary key, m mood); create view v as select * from t; "
        "create materialized view mv as select 1 a; create sequence s; "
        "create extension if not exists citext; "
        "create function f() returns int language sql as 'select 1'; "
        "create aggregate agg (int) (sfunc = int4pl, stype = int);"
    )
    mark_disposable(project.dsn)
    project.up()
    reset(project.dsn, project.folder)

    assert (
        project.value(
            "select count(*) from pg_class c where relnamespace = 'public'::regnamespace and not exists "
            "(select from pg_depend d where d.objid = c.oid and d.deptype = 'e')"
        )
        == 0
    )
    assert project.up().applied == ("001_a.sql",)
    reset(project.dsn, project.folder)
