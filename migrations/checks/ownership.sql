-- Every user has a profile and an organization, and every organization somebody who is responsible for it.
select format('user %s has no profile', u.id)
from auth.users as u
where not exists (select from public.profiles as p where p.id = u.id);

select format('organization %s has members, but no owner', o.id)
from public.organizations as o
where exists (select from public.memberships as m where m.organization_id = o.id)
    and not exists (select from public.memberships as m where m.organization_id = o.id and m.role = 'owner');

select format('the trigger %s on auth.users is missing or disabled', expected.name)
from unnest(array['groundwork_user_created', 'groundwork_user_email_changed']) as expected (name)
where not exists (
    select from pg_catalog.pg_trigger as t
    where t.tgrelid = 'auth.users'::regclass and t.tgname = expected.name and t.tgenabled <> 'D'
);

select format(
    'table public.%s is not append-only: its trigger %s is missing or disabled', expected.relation, expected.name
)
from (
    values
    ('credit_entries', 'append_only'), ('credit_entries', 'append_only_truncate'),
    ('audit_log', 'append_only'), ('audit_log', 'append_only_truncate')
) as expected (relation, name)
where not exists (
    select from pg_catalog.pg_trigger as t
    where t.tgrelid = to_regclass('public.' || expected.relation) and t.tgname = expected.name
        and t.tgenabled <> 'D'
);
