-- Subscriptions, and the log of webhook deliveries that they come from. A provider delivers at least once and in any
-- order: an event is stored once, has its effect once, and an old one never undoes a newer one.

create table if not exists public.subscriptions (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    provider text not null,
    provider_subscription_id text not null,
    plan text not null,
    status text not null
    check (status in ('trialing', 'active', 'past_due', 'paused', 'cancelled', 'expired')),
    current_period_end timestamptz,
    provider_updated_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint subscriptions_of_provider unique (provider, provider_subscription_id)
);
create index if not exists subscriptions_organization_idx on public.subscriptions (organization_id);

create table if not exists public.billing_events (
    id bigint generated always as identity primary key,
    provider text not null check (length(provider) between 1 and 50),
    provider_event_id text not null check (length(provider_event_id) between 1 and 200),
    event_type text not null,
    payload jsonb not null,
    organization_id uuid references public.organizations (id) on delete set null,
    received_at timestamptz not null default now(),
    processed_at timestamptz,
    constraint billing_events_once unique (provider, provider_event_id)
);
create index if not exists billing_events_organization_idx on public.billing_events (organization_id);
create index if not exists billing_events_waiting_idx on public.billing_events (received_at)
where processed_at is null;

create or replace trigger set_updated_at before update on public.subscriptions
    for each row execute function private.set_updated_at();

create or replace function public.record_billing_event(
    provider text, provider_event_id text, event_type text, payload jsonb, organization uuid default null
) returns table (event_id bigint, is_new boolean)
language plpgsql security definer
set search_path = ''
as $$
declare
    added bigint;
begin
    insert into public.billing_events (provider, provider_event_id, event_type, payload, organization_id)
    values (
        record_billing_event.provider, record_billing_event.provider_event_id, record_billing_event.event_type,
        record_billing_event.payload, organization
    )
    on conflict on constraint billing_events_once do nothing
    returning id into added;
    if added is not null then
        return query select added, true;
        return;
    end if;
    return query
    select b.id, false from public.billing_events as b
    where b.provider = record_billing_event.provider
        and b.provider_event_id = record_billing_event.provider_event_id;
end
$$;

create or replace function public.apply_subscription(
    event bigint,
    organization uuid,
    subscription_id text,
    plan text,
    status text,
    period_end timestamptz,
    occurred_at timestamptz,
    credits integer default 0
) returns boolean
language plpgsql security definer
set search_path = ''
as $$
declare
    delivery public.billing_events;
begin
    select b.* into delivery from public.billing_events as b where b.id = event for update;
    if not found then
        raise exception 'there is no billing event %', event using errcode = 'PT404';
    end if;
    if delivery.processed_at is not null then
        return false;
    end if;
    insert into public.subscriptions as s (
        organization_id, provider, provider_subscription_id, plan, status, current_period_end, provider_updated_at
    )
    values (
        organization, delivery.provider, subscription_id, apply_subscription.plan, apply_subscription.status,
        period_end, occurred_at
    )
    on conflict on constraint subscriptions_of_provider do update
    set plan = excluded.plan, status = excluded.status, current_period_end = excluded.current_period_end,
        provider_updated_at = excluded.provider_updated_at
    where s.provider_updated_at <= excluded.provider_updated_at;
    -- A subscription stays with the organization that it was made for.
    if not exists (
        select from public.subscriptions as s
        where s.provider = delivery.provider and s.provider_subscription_id = subscription_id
            and s.organization_id = organization
    ) then
        raise exception 'subscription % belongs to another organization', subscription_id using errcode = 'PT409';
    end if;
    if credits > 0 then
        perform public.grant_credits(
            organization, credits, 'plan ' || apply_subscription.plan, delivery.provider || ' event ' || event
        );
    end if;
    update public.billing_events as b
    set processed_at = clock_timestamp(), organization_id = organization
    where b.id = event;
    return true;
end
$$;

revoke all on function public.record_billing_event(text, text, text, jsonb, uuid)
from public, anon, authenticated, service_role;
revoke all on function public.apply_subscription(
    bigint, uuid, text, text, text, timestamptz, timestamptz, integer
) from public, anon, authenticated, service_role;
grant execute on function public.record_billing_event(text, text, text, jsonb, uuid) to app_runtime, service_role;
grant execute on function public.apply_subscription(
    bigint, uuid, text, text, text, timestamptz, timestamptz, integer
) to app_runtime, service_role;

alter table public.subscriptions enable row level security;
alter table public.billing_events enable row level security;

revoke all on table public.subscriptions, public.billing_events from public, anon, authenticated, service_role;
grant select on table public.subscriptions to authenticated;
grant select, insert, update, delete on table public.subscriptions, public.billing_events to service_role;

drop policy if exists subscriptions_select on public.subscriptions;
create policy subscriptions_select on public.subscriptions for select to authenticated
using (organization_id in (select private.my_organizations()));
-- The server's own table. The policy says so, and holds if service_role ever loses BYPASSRLS.
drop policy if exists billing_events_service on public.billing_events;
create policy billing_events_service on public.billing_events for all to service_role
using (true) with check (true);
