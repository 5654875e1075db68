-- A SECURITY DEFINER function has its owner's rights. It must fix the search path, and only those run it who are meant.
select format('function %s is SECURITY DEFINER without search_path = ''''', p.oid::regprocedure)
from pg_catalog.pg_proc as p
where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and p.prosecdef
    and not coalesce('search_path=""' = any (p.proconfig), false);

select format('%s may execute the SECURITY DEFINER function %s', r.rolname, p.oid::regprocedure)
from pg_catalog.pg_proc as p
cross join pg_catalog.pg_roles as r
where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and p.prosecdef
    and r.rolname in ('anon', 'authenticated')
    and has_function_privilege(r.oid, p.oid, 'EXECUTE')
    and (r.rolname, p.oid::regprocedure::text) not in (
        ('anon', 'join_waitlist(text,text)'),
        ('authenticated', 'join_waitlist(text,text)'),
        ('authenticated', 'create_organization(text)'),
        ('authenticated', 'create_api_key(uuid,text,timestamp with time zone)'),
        ('authenticated', 'revoke_api_key(uuid)'),
        ('authenticated', 'private.my_organizations()'),
        ('authenticated', 'private.my_organizations(text[])'),
        ('authenticated', 'private.my_colleagues()')
    );

-- PUBLIC includes roles that nobody thought of.
select format('everybody (PUBLIC) may execute %s', p.oid::regprocedure)
from pg_catalog.pg_proc as p
where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
    and exists (
        select from pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) as a
        where a.grantee = 0 and a.privilege_type = 'EXECUTE'
    );

select format('%s may not execute %s', expected.role, expected.name)
from (
    values
    ('anon', 'public.join_waitlist(text,text)'),
    ('authenticated', 'public.create_organization(text)'),
    ('app_runtime', 'public.verify_api_key(text)'),
    ('app_runtime', 'public.record_billing_event(text,text,text,jsonb,uuid)'),
    ('app_runtime', 'public.note_secret_use(text,integer)'),
    ('agent_runtime', 'public.note_secret_use(text,integer)'),
    ('agent_runtime', 'public.deduct_credits(uuid,integer,text,text,uuid)'),
    ('agent_runtime', 'public.refund_credits(uuid,text,text,integer)'),
    ('agent_runtime', 'public.store_reply(uuid,text,text,bigint)'),
    ('agent_runtime', 'public.claim_jobs(text,integer,interval,text[])'),
    ('agent_runtime', 'public.complete_job(bigint,uuid)'),
    ('agent_runtime', 'public.fail_job(bigint,uuid,text)')
) as expected (role, name)
where not coalesce(
    has_function_privilege(to_regrole(expected.role), to_regprocedure(expected.name), 'EXECUTE'), false
);
