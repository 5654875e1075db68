-- A one-off gift of credits to the first organizations, as many as there are seats.

insert into private.product_settings (name, value, description)
values
('founding_seats', '100', 'How many organizations get a founding grant.'),
('founding_credits', '1000', 'Credits of one founding grant.')
on conflict (name) do nothing;

create table if not exists public.founding_grants (
    organization_id uuid primary key references public.organizations (id) on delete cascade,
    seat integer not null unique check (seat > 0),
    credits integer not null check (credits > 0),
    granted_at timestamptz not null default now()
);

create or replace function public.claim_founding_grant(organization uuid, acting_user uuid)
returns table (seat integer, credits integer, is_new boolean)
language plpgsql security definer
set search_path = ''
as $$
declare
    seats integer;
    gift integer := private.setting('founding_credits')::integer;
    next_seat integer;
begin
    perform private.require_member(organization, acting_user, 'owner');
    -- The lock on the number of seats lets one claim look for a free seat at a time.
    select s.value::integer into seats from private.product_settings as s where s.name = 'founding_seats' for update;
    return query
    select g.seat, g.credits, false from public.founding_grants as g where g.organization_id = organization;
    if found then
        return;
    end if;
    select coalesce(max(g.seat), 0) + 1 into next_seat from public.founding_grants as g;
    if next_seat > seats then
        raise exception 'all % founding grants are taken', seats using errcode = 'PT409';
    end if;
    insert into public.founding_grants (organization_id, seat, credits) values (organization, next_seat, gift);
    perform public.grant_credits(organization, gift, 'founding grant', 'founding grant');
    return query select next_seat, gift, true;
end
$$;
revoke all on function public.claim_founding_grant(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.claim_founding_grant(uuid, uuid) to app_runtime, service_role;

alter table public.founding_grants enable row level security;
revoke all on table public.founding_grants from public, anon, authenticated, service_role;
grant select on table public.founding_grants to authenticated;
grant select, insert, update, delete on table public.founding_grants to service_role;

drop policy if exists founding_grants_select on public.founding_grants;
create policy founding_grants_select on public.founding_grants for select to authenticated
using (organization_id in (select private.my_organizations()));
