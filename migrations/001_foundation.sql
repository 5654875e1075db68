-- What everything else stands on: extensions, the schema of helpers, privileges that start closed, the roles of the
-- workloads, and the product's own settings.

create extension if not exists vector with schema extensions;
create extension if not exists pg_cron with schema pg_catalog;
create extension if not exists pg_net with schema extensions;

-- Helpers of policies and triggers. The Data API does not serve this schema.
create schema if not exists private;
revoke all on schema private from public;

-- Projects from before 2026 hand every new object of `public` to the API roles; newer ones do not. Both behave like the
-- newer ones from here on: what is reachable is granted by name.
alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public revoke all on functions from anon, authenticated, service_role;
-- PUBLIC's right to execute is a default of the database, not of a schema, and is taken back there.
alter default privileges revoke execute on functions from public;

-- CREATE ROLE knows no IF NOT EXISTS. Roles belong to the server, so they may be left from a database before this one.
do $$
declare
    name text;
begin
    foreach name in array array['app_runtime', 'agent_runtime'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = name) then
            execute pg_catalog.format('create role %I nologin noinherit', name);
        end if;
    end loop;
end
$$;

-- Members may take on these roles by SET ROLE; being NOINHERIT they have none of the rights before that.
grant anon, authenticated to app_runtime;
grant authenticated to agent_runtime;
grant usage on schema public to app_runtime, agent_runtime;

create table if not exists private.product_settings (
    name text primary key,
    value jsonb not null,
    description text not null
);
comment on table private.product_settings is 'Values that the product''s functions read; changed by the owner.';

create or replace function private.setting(name text) returns jsonb
language sql stable
set search_path = ''
as $$
    select s.value from private.product_settings as s where s.name = setting.name;
$$;

create or replace function private.set_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

-- For tables that are evidence: a row that is written stays as it is, whoever asks.
create or replace function private.refuse_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    raise exception '%.% is append-only: % is refused', tg_table_schema, tg_table_name, lower(tg_op)
        using errcode = 'insufficient_privilege', hint = 'Write a new row that corrects the old one.';
end
$$;
