-- The roles of the workloads are limited ones: nothing that RLS does not hold for, and no way to become more.
select format('role %s is missing', expected.name)
from unnest(array['app_runtime', 'agent_runtime']) as expected (name)
where to_regrole(expected.name) is null;

select format('role %s may log in, inherits, or has powers beyond a limited role', r.rolname)
from pg_catalog.pg_roles as r
where r.rolname in ('app_runtime', 'agent_runtime')
    and (
        r.rolcanlogin or r.rolinherit or r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb
        or r.rolreplication
    );

select format('role %s can become %s', r.rolname, target.name)
from pg_catalog.pg_roles as r
cross join unnest(array['service_role', 'postgres', 'supabase_admin']) as target (name)
where r.rolname in ('app_runtime', 'agent_runtime') and to_regrole(target.name) is not null
    and pg_has_role(r.oid, to_regrole(target.name), 'MEMBER');

select format('role %s cannot become %s', expected.name, expected.target)
from (
    values ('app_runtime', 'anon'), ('app_runtime', 'authenticated'), ('agent_runtime', 'authenticated')
) as expected (name, target)
where to_regrole(expected.name) is not null
    and not pg_has_role(to_regrole(expected.name), to_regrole(expected.target), 'MEMBER');

select format('role %s has its own right to the table public.%I', r.rolname, c.relname)
from pg_catalog.pg_roles as r
cross join pg_catalog.pg_class as c
where r.rolname in ('app_runtime', 'agent_runtime')
    and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
    and (
        has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE')
        or has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE')
    );
