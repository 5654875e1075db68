"""Folders as real projects have them, each with one kind of trap; `{role}` is a role of the test's own."""

from __future__ import annotations

from typing import Final

_FOLDERS: Final = {
    "savepoints": r"""
=== 001_a.sql
create table t (id int generated always as identity primary key, a text);
savepoint s;
insert into t (a) values ('lost');
rollback to s;
insert into t (a) values ('kept');
savepoint s; savepoint s; release s;
rollback to savepoint s;
=== 002_b.sql
begin;
savepoint a;
insert into t (a) values ('x');
savepoint b;
select 1;
rollback to b;
release savepoint a;
commit;
=== 003_c.sql
begin;
lock table t in exclusive mode;
insert into t (a) select 'l';
end;
begin;
lock t;
rollback;
insert into t (a) values ('after');
=== 004_d.sql
begin;
insert into t (a) values ('1');
commit;
commit;
rollback;
begin;
insert into t (a) values ('2');
rollback;
start transaction isolation level serializable;
insert into t (a) values ('3');
end transaction;
""",
    "settings": r"""
=== 001_a.sql
create role {role} nologin; create schema app; grant create, usage on schema public, app to {role};
=== 002_b.sql
set role {role}; set search_path = app; create table owned (a text default 'x');
=== 003_c.sql
create table mine (a int);
=== 004_d.sql
begin; set local role {role}; set local search_path to app; create table local_ (a int);
commit;
create table outside (a int);
=== 005_e.sql
set session authorization {role}; create table app.theirs (a text);
=== 006_f.sql
set datestyle = 'German'; set timezone = 'Asia/Tokyo'; set intervalstyle = 'iso_8601';
set bytea_output = 'escape'; create table s as
select '31.12.2025'::date::text d, '2026-01-01 00:00+00'::timestamptz::text z, '1 day'::interval::text i;
=== 007_g.sql
create table u as
select '2025-12-31'::date::text d, '1 day'::interval::text i, current_setting('search_path') p,
  current_user c;
=== 008_h.sql
set session characteristics as transaction isolation level serializable;
set default_transaction_read_only = on;
=== 009_i.sql
create table v as select current_setting('transaction_isolation') a;
drop owned by {role}; drop role {role};
""",
    "enums": r"""
=== 001_a.sql
create type mood as enum ('sad', 'ok'); create table t (m mood);
=== 002_b.sql
alter type mood add value 'happy' after 'ok';
=== 003_c.sql
insert into t values ('happy'); alter table t alter m set default 'happy';
=== 004_d.sql
alter type mood add value if not exists 'happy'; alter type mood rename value 'sad' to 'low';
alter type mood add value 'new' before 'low';
=== 005_e.sql
create table u (m mood check (m > 'new')); insert into u values ('low');
""",
    "deferred": r"""
=== 001_a.sql
create table p (id int primary key);
create table c (id int references p deferrable initially deferred);
insert into c values (1);
insert into p values (1);
=== 002_b.sql
begin;
set constraints all immediate;
insert into p values (2);
insert into c values (2);
commit;
=== 003_c.sql
alter table c alter constraint c_id_fkey deferrable initially immediate;
set constraints all deferred;
insert into c values (3);
insert into p values (3);
=== 004_d.sql
create function note() returns trigger language plpgsql as $$ begin insert into p values (new.id + 100);
return null; end $$;
create constraint trigger n after insert on c deferrable initially deferred
for each row execute function note();
insert into c values (1);
""",
    "event_triggers": r"""
=== 001_a.sql
create table log (tag text, object text);
create function log_ddl() returns event_trigger language plpgsql as $$ begin
insert into public.log select command_tag, object_identity from pg_event_trigger_ddl_commands();
end $$;
create event trigger log_ddl on ddl_command_end execute function log_ddl();
=== 002_b.sql
create table a (id serial primary key);
create index on a (id);
=== 003_c.sql
begin; alter table a add b text; commit;
alter table a drop b;
=== 004_d.sql
create index concurrently i on a (id);
vacuum a;
create table b ();
=== 005_e.sql
create function guard() returns event_trigger language plpgsql as $$ begin
if exists (select from pg_event_trigger_ddl_commands()
  where schema_name in ('groundwork', 'supabase_migrations'))
then raise 'no DDL there'; end if; end $$;
create event trigger guard on ddl_command_end execute function guard();
=== 006_f.sql
create table c ();
""",
    "session_state": r"""
=== 001_a.sql
create table t (a int);
create temp table work as select 1 a;
insert into t select a from work;
=== 002_b.sql
create temporary table work as select 2 a;
insert into t select a from work;
=== 003_c.sql
prepare q (int) as insert into t values ($1);
execute q (3);
=== 004_d.sql
prepare q (int) as insert into t values ($1 + 1);
execute q (3);
=== 005_e.sql
declare c cursor with hold for select 5; listen changes; notify changes, 'x';
=== 006_f.sql
declare c cursor with hold for select a from t; fetch all from c; close c;
=== 007_g.sql
select pg_advisory_lock(1); select pg_advisory_lock(7454142883405526895); select pg_advisory_xact_lock(2);
=== 008_h.sql
create function pg_temp.f() returns int language sql as 'select 7'; insert into t select pg_temp.f();
=== 009_i.sql
create function pg_temp.f() returns int language sql as 'select 9'; insert into t select pg_temp.f();
=== 010_j.sql
create temp table u (a int) on commit drop; insert into u values (10); insert into t select a from u;
=== 011_k.sql
create temp table u (a int); vacuum t; insert into t values (11);
=== 012_l.sql
create temp table u (a int); insert into t values (12);
""",
    "sequences": r"""
=== 001_a.sql
create sequence s cache 10; create table t (a bigint default nextval('s')); insert into t default values;
=== 002_b.sql
insert into t default values;
=== 003_c.sql
begin; select setval('s', 100); insert into t default values; rollback;
insert into t default values;
=== 004_d.sql
insert into t default values; alter sequence s restart with 1000; insert into t default values;
""",
    "defaults": r"""
=== 001_a.sql
create schema app; create role {role};
=== 002_b.sql
do $$ begin
  execute format('alter role current_user in database %I set search_path = app', current_database());
end $$;
create table first (a text default current_setting('search_path'));
=== 003_c.sql
create table second ();
=== 004_d.sql
do $$ begin execute format('alter database %I set datestyle = %L', current_database(), 'German, DMY'); end $$;
=== 005_e.sql
create table third as select date '2025-12-31'::text d;
=== 006_f.sql
do $$ begin execute format('alter role current_user in database %I reset all', current_database()); end $$;
=== 007_g.sql
create table fourth (); drop role {role};
""",
    "units": r"""
=== 001_a.sql
create table t (a int);
insert into t values (1);
create unique index concurrently i on t (a);
begin;
insert into t values (2);
commit;
vacuum (analyze) t;
reindex index concurrently i;
=== 002_b.sql
-- groundwork: no-transaction
create procedure p() language plpgsql as $$ begin
for i in 10..12 loop insert into t values (i); commit; end loop; insert into t values (99); rollback; end $$;
call p();
do $$ begin insert into t values (50); commit; insert into t values (51); end $$;
=== 003_c.sql
drop index concurrently i;
set role pg_monitor;
reset role;
set search_path = '';
create table public.u (a int);
create index concurrently j on public.u (a);
create table public.parts (a int) partition by range (a);
create table public.one partition of public.parts for values from (1) to (2);
alter table public.parts detach partition public.one concurrently;
=== 004_d.sql
create table v (a int);
""",
    "names": r"""
=== 001_a.sql
create table a ();
=== 02_.sql
create table b ();
=== 0300_a b'c;d--e$$.sql
create table c ();
=== 20000_a_b_c.sql
create table d ();
""",
    "quotes": r"""
=== 001_a.sql
/* a; /* nested; ' " $$ */ still */ create table a (id int); -- tail; '
do $do$ begin execute $x$ create table b (t text default $y$;$y$) $x$; end $do$;
create function f(x int) returns int language sql begin atomic
  select 1;
  select case when x > 0 then 1 else 2 end;
end;
create procedure p() begin atomic insert into a values (1); insert into a values (2); end;
call p();
=== 002_b.sql
create rule r as on insert to b do also (insert into a values (3); select 1; );
create rule s as on delete to b do instead nothing;
insert into b values ('x'); delete from b;
create function g() returns text language plpgsql as $outer$
begin
  execute $inner$ select $deep$ ; $$ ' -- $deep$ $inner$;
  return $$;$$;
end $outer$;
=== 003_c.sql
set standard_conforming_strings = off;
create table c (t text default 'plain');
insert into c values (E'a\\b;');
=== 004_d.sql
create table d (t text default '\d', u text default E'\\');
-- \d
insert into d values (default);
=== 005_comment.sql
-- only a comment; really
/* and ; another */
=== 006_strings.sql
create table e as select E'a\'b;\n\u00e9' a, U&'\0441\+01F600' b, U&'!0441' uescape '!' c,
'it''s; ' d, 'one'
'two' e, B'101' f, X'1F' g, 'a\b' h, $$$$ i, $a$ $b$ ; $b$ $$ $a$ j, N'n;' k;
create table U&"\0441;" ("q""x" int, "select" int, "a.b;c" int);
create view "v"";" as select "q""x" from U&"\0441;";
""",
}


def _split(text: str) -> dict[str, str | bytes]:
    """Read files that stand below lines `=== NAME`."""
    files: dict[str, str | bytes] = {}
    for part in text.split("=== ")[1:]:
        name, _, sql = part.partition("\n")
        files[name] = sql
    return files


# Bytes that an editor, or git, would change.
_BYTES: Final[dict[str, dict[str, str | bytes]]] = {
    "encodings": {
        "001_bom.sql": b"\xef\xbb\xbfcreate table a (id int);\r\n-- end\r\n",
        "002_crlf.sql": b"create function f() returns text language plpgsql as $$\r\nbegin\r\n"
        b"  return 'a\r\nb';\r\nend $$;\r\ncomment on table a is 'x\r\ny';",
        "003_mixed.sql": b"create table b (id int);\ncreate table c (id int);\r\n-- one\r\n-- two\n"
        b"comment on table b is 'm\nn\r\no\rp';",
        "004_cr.sql": b"-- a comment\rcreate table d (id int);\r-- another\rinsert into d values (1);\r",
        "005_\u00e9t\u00e9_\u65e5\u672c_\U0001f600_\u05e9\u05dc_e\u0301.sql": "create table "
        '"\u65e5 \u05e9\u05dc \U0001f600 e\u0301" ("\u00e9""x" text default \'\u0645\u0631\u062d\', '
        '"a;b" int)'
        ";\n"
        'comment on table "\u65e5 \u05e9\u05dc \U0001f600 e\u0301" is '
        "'\u00dcn\u00ef \u2014 \u6f22 \u202e\u05d0\u202c \U0001f468\u200d\U0001f469\u200d\U0001f467';\n"
        "create function \"\u0192\"() returns text language sql as $\u00e9$ select '\u00df;' $\u00e9$;",
    },
    "ends": {
        "001_no_end.sql": "create table a (t text)",
        "002_comment_end.sql": "insert into a values ('x') -- no line end",
        "003_empty.sql": "",
        "004_mark.sql": b"\xef\xbb\xbf",
        "005_semicolons.sql": ";;\n ; ;",
        "006_blank.sql": " \n\t\r\n\f\v\n",
        "007_many_ends.sql": "insert into a values ('y');;;\n;insert into a values ('z');;",
        "008_long.sql": f"insert into a values ('{'x' * 200_000};'); {'select 1; ' * 3000}",
    },
}

FOLDERS: Final = {name: _split(text) for name, text in _FOLDERS.items()} | _BYTES
