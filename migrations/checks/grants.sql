-- A policy without the grant that it needs, or a grant that no policy backs, is a mistake in one of the two.
with command (name, cmd) as (
    values ('SELECT', 'r'::"char"), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')
), rule as (
    select
        c.oid,
        c.relname,
        r.rolname,
        m.name as command,
        (
            has_table_privilege(r.oid, c.oid, m.name)
            or (m.name <> 'DELETE' and has_any_column_privilege(r.oid, c.oid, m.name))
        ) as granted,
        exists (
            select from pg_catalog.pg_policy as p
            where p.polrelid = c.oid and p.polpermissive and p.polcmd in (m.cmd, '*')
                and (r.oid = any (p.polroles) or 0::oid = any (p.polroles))
        ) as allowed
    from pg_catalog.pg_class as c
    cross join pg_catalog.pg_roles as r
    cross join command as m
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        and r.rolname in ('anon', 'authenticated')
)
select case
    when granted then format('%s may %s public.%I, but no policy is for it', rolname, command, relname)
    else format('a policy lets %s %s public.%I, but the grant is missing', rolname, command, relname)
end
from rule
where granted <> allowed
    -- "for all" policies promise nothing by themselves: at least one command is granted.
    and (granted or not exists (
        select from pg_catalog.pg_policy as p
        where p.polrelid = rule.oid and p.polcmd = '*'
            and has_any_column_privilege(rule.rolname, rule.oid, 'SELECT')
    ));

-- RLS does not hold for these three.
select format('%s has %s on public.%I', r.rolname, p.name, c.relname)
from pg_catalog.pg_class as c
cross join pg_catalog.pg_roles as r
cross join unnest(array['TRUNCATE', 'REFERENCES', 'TRIGGER']) as p (name)
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
    and r.rolname in ('anon', 'authenticated', 'app_runtime', 'agent_runtime')
    and has_table_privilege(r.oid, c.oid, p.name);

-- What the roles of the product must reach, for the checks above hold in an empty schema, too.
select format('authenticated may not select from public.%I', expected.name)
from unnest(array[
    'agent_documents', 'agents', 'audit_log', 'conversations', 'credit_balances', 'credit_entries', 'document_chunks',
    'documents', 'founding_grants', 'memberships', 'memory_summaries', 'messages', 'organization_members',
    'organizations', 'profiles', 'subscriptions'
]) as expected (name)
where to_regclass('public.' || expected.name) is not null
    and not has_table_privilege('authenticated', to_regclass('public.' || expected.name), 'SELECT');

select format('service_role may not select from public.%I', c.relname)
from pg_catalog.pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    and not has_table_privilege('service_role', c.oid, 'SELECT');

select format('anon reaches the table public.%I', c.relname)
from pg_catalog.pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
    and has_any_column_privilege('anon', c.oid, 'SELECT, INSERT, UPDATE');

select format('the hash of API keys is readable by %s', r.rolname)
from pg_catalog.pg_roles as r
where r.rolname in ('anon', 'authenticated') and to_regclass('public.api_keys') is not null
    and has_column_privilege(r.oid, to_regclass('public.api_keys'), 'key_hash', 'SELECT');
