-- New projects since 2026-05-30: what the owner creates in public is not reachable by the Data API without
-- an explicit grant. The platform takes back exactly these privileges (others, TRIGGER for one, stay).
-- Source: Supabase changelog 2026-04-28, "new tables are not exposed automatically".

alter default privileges for role postgres in schema public
    revoke select, insert, update, delete on tables from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    revoke usage, select on sequences from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    revoke execute on functions from anon, authenticated, service_role;
