-- The database's owner, its schemas and the default privileges of the Data API's schema.

alter database postgres owner to postgres;
grant create on database postgres to supabase_etl_admin;
grant all on database postgres to dashboard_user;

create schema extensions authorization supabase_admin;
create schema auth authorization supabase_admin;
create schema storage authorization supabase_admin;
create schema realtime authorization supabase_admin;
create schema graphql authorization supabase_admin;
create schema graphql_public authorization supabase_admin;
create schema vault authorization supabase_admin;

grant create on schema extensions to postgres;
grant execute on function pg_catalog.pg_reload_conf() to postgres;
grant usage on schema public, extensions, graphql_public to postgres, anon, authenticated, service_role;
grant all on schema extensions to dashboard_user;
grant usage on schema realtime to postgres, anon, authenticated, service_role;
grant all on schema realtime to supabase_realtime_admin;

create publication supabase_realtime;
alter publication supabase_realtime owner to postgres;

-- What supabase_admin creates in public (extensions, mostly) stays reachable; a project cannot change that.
alter default privileges for role supabase_admin in schema public
    grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
    grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
    grant all on sequences to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on sequences to postgres, anon, authenticated, service_role;
