-- Every table of the exposed schema is under RLS and says by policies who may do what.
select format('table public.%I has row level security disabled', c.relname)
from pg_catalog.pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity;

select format('table public.%I has no policy, so that it is closed to everybody by accident or by intent', c.relname)
from pg_catalog.pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    and not exists (select from pg_catalog.pg_policy as p where p.polrelid = c.oid);

select format('policy %I on public.%I always denies', p.policyname, p.tablename)
from pg_catalog.pg_policies as p
where p.schemaname = 'public' and p.permissive = 'PERMISSIVE'
    and (p.qual = 'false' or p.with_check = 'false');

select format('policy %I on public.%I lets everybody do everything', p.policyname, p.tablename)
from pg_catalog.pg_policies as p
where p.schemaname = 'public' and p.roles && array['public', 'anon', 'authenticated']::name[]
    and p.cmd <> 'SELECT' and coalesce(p.qual, 'true') = 'true' and coalesce(p.with_check, 'true') = 'true';

-- auth.uid() outside of a scalar subquery is called once per row.
select format(
    'policy %I on public.%I calls auth.uid() for every row; write (select auth.uid())', p.policyname, p.tablename
)
from pg_catalog.pg_policies as p
where p.schemaname = 'public'
    and regexp_replace(
        coalesce(p.qual, '') || ' ' || coalesce(p.with_check, ''), 'select auth\.uid\(\)', '', 'gi'
    ) ~* 'auth\.(uid|jwt|role|email)\(\)';

-- A view runs with its owner's rights and so passes RLS by, unless it is told otherwise.
select format('view public.%I is not security_invoker', c.relname)
from pg_catalog.pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'v'
    and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on'], false);
