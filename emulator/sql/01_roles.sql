-- The roles of a hosted project, with their attributes, settings and memberships.
-- Sources: Supabase docs "Postgres Roles" (attributes), "Timeouts" (role settings).
-- No role but the owner gets a password here, so nobody else can log in over TCP.

create role postgres login nosuperuser inherit createdb createrole replication bypassrls;
create role anon nologin inherit;
create role authenticated nologin inherit;
create role service_role nologin inherit bypassrls;
create role authenticator login noinherit;
create role supabase_auth_admin login noinherit;
create role supabase_storage_admin login noinherit createrole;
create role supabase_functions_admin login noinherit createrole;
create role supabase_replication_admin login replication;
create role supabase_etl_admin login replication;
create role supabase_read_only_user login bypassrls;
create role supabase_realtime_admin nologin noinherit;
create role dashboard_user nologin createdb createrole replication;
create role pgbouncer login;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role postgres set search_path = '$user', public, extensions;
alter role supabase_admin set search_path = '$user', public, auth, extensions;
alter role supabase_auth_admin set search_path = 'auth';
alter role supabase_auth_admin set idle_in_transaction_session_timeout = '60s';
alter role supabase_storage_admin set search_path = 'storage';

grant anon, authenticated, service_role to authenticator;
-- From PostgreSQL 16 on CREATEROLE alone no longer lets a role hand out others: it needs the admin option.
grant anon, authenticated, service_role, authenticator to postgres with admin option;
grant pg_read_all_data, pg_signal_backend, pg_monitor to postgres with admin option;
grant pg_create_subscription to postgres;
grant pg_read_all_data to supabase_etl_admin, supabase_read_only_user;
grant authenticator to supabase_storage_admin;

-- The platform lets the owner make policies on the storage tables through an extension of the server
-- (supautils.policy_grants). Plain PostgreSQL asks for the table's owner: membership stands in for it.
grant supabase_storage_admin to postgres with inherit true, set false;
