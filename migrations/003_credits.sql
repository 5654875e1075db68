-- Credits: an append-only ledger, and a balance per organization that every entry changes in the same transaction.
-- Each function locks the balance first, so what happens to one organization happens one after the other.

insert into private.product_settings (name, value, description)
values ('signup_credits', '100', 'Credits of a new user''s personal organization.')
on conflict (name) do nothing;

create table if not exists public.credit_balances (
    organization_id uuid primary key references public.organizations (id) on delete cascade,
    balance bigint not null default 0 check (balance >= 0),
    updated_at timestamptz not null default now()
);

-- An organization with entries cannot be deleted (RESTRICT): they are its accounts. user_id is no foreign key, so that
-- a user's account can be deleted without touching the entries.
create table if not exists public.credit_entries (
    id bigint generated always as identity primary key,
    organization_id uuid not null references public.organizations (id) on delete restrict,
    kind text not null check (kind in ('grant', 'charge', 'refund')),
    amount bigint not null check (case when kind = 'charge' then amount < 0 else amount > 0 end),
    balance_after bigint not null check (balance_after >= 0),
    reason text not null check (length(btrim(reason)) between 1 and 500),
    idempotency_key text not null check (length(idempotency_key) between 1 and 200),
    refund_of bigint check ((kind = 'refund') = (refund_of is not null)),
    user_id uuid,
    created_at timestamptz not null default now(),
    constraint credit_entries_once unique (organization_id, kind, idempotency_key),
    constraint credit_entries_of_organization unique (organization_id, id),
    constraint credit_entries_refunded_once unique (organization_id, refund_of),
    constraint credit_entries_refund_of_fkey foreign key (organization_id, refund_of)
    references public.credit_entries (organization_id, id)
);

create or replace trigger append_only before update or delete on public.credit_entries
    for each row execute function private.refuse_change();
create or replace trigger append_only_truncate before truncate on public.credit_entries
    for each statement execute function private.refuse_change();

-- Checks the arguments, locks the balance and returns it.
create or replace function private.lock_balance(organization uuid, amount bigint, reason text, idempotency_key text)
returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
    available bigint;
begin
    if amount is null or amount not between 1 and 1000000000 then
        raise exception 'an amount of credits lies between 1 and 1000000000, not %', coalesce(amount::text, 'null')
            using errcode = 'invalid_parameter_value';
    end if;
    if reason is null or length(btrim(reason)) not between 1 and 500 then
        raise exception 'a reason has 1 to 500 characters' using errcode = 'invalid_parameter_value';
    end if;
    if idempotency_key is null or length(idempotency_key) not between 1 and 200 then
        raise exception 'an idempotency key has 1 to 200 characters' using errcode = 'invalid_parameter_value';
    end if;
    select b.balance into available from public.credit_balances as b
    where b.organization_id = organization for update;
    if not found then
        raise exception 'there is no organization %', organization using errcode = 'PT404';
    end if;
    return available;
end
$$;

-- Writes one entry and the balance after it; the caller holds the lock.
create or replace function private.post_credits(
    organization uuid, kind text, amount bigint, reason text, idempotency_key text, refund_of bigint, user_id uuid
) returns public.credit_entries
language plpgsql security definer
set search_path = ''
as $$
declare
    entry public.credit_entries;
begin
    update public.credit_balances as b
    set balance = b.balance + post_credits.amount, updated_at = now()
    where b.organization_id = organization
    returning b.balance into entry.balance_after;
    insert into public.credit_entries
    (organization_id, kind, amount, balance_after, reason, idempotency_key, refund_of, user_id)
    values (
        organization, post_credits.kind, post_credits.amount, entry.balance_after, post_credits.reason,
        post_credits.idempotency_key, post_credits.refund_of, post_credits.user_id
    )
    returning * into entry;
    return entry;
end
$$;

create or replace function public.deduct_credits(
    organization uuid, amount integer, reason text, idempotency_key text, acting_user uuid default null
) returns table (entry_id bigint, balance bigint, replayed boolean)
language plpgsql security definer
set search_path = ''
as $$
declare
    available bigint := private.lock_balance(organization, amount, reason, idempotency_key);
    entry public.credit_entries;
begin
    if acting_user is not null then
        perform private.require_member(organization, acting_user, 'owner', 'admin', 'member');
    end if;
    select e.* into entry from public.credit_entries as e
    where e.organization_id = organization and e.kind = 'charge'
        and e.idempotency_key = deduct_credits.idempotency_key;
    if found then
        if entry.amount <> - deduct_credits.amount or entry.user_id is distinct from acting_user then
            raise exception 'the idempotency key of charge % was used for a different charge', entry.id
                using errcode = 'PT409', hint = 'Use a new key for a new charge.';
        end if;
        if exists (
            select from public.credit_entries as e
            where e.organization_id = organization and e.refund_of = entry.id
        ) then
            raise exception 'charge % was refunded', entry.id
                using errcode = 'PT409', hint = 'Use a new key for a new try.';
        end if;
        return query select entry.id, available, true;
        return;
    end if;
    if available < deduct_credits.amount then
        raise exception 'not enough credits: the organization has %, the charge is %', available, deduct_credits.amount
            using errcode = 'PT402';
    end if;
    entry := private.post_credits(organization, 'charge', - amount, reason, idempotency_key, null, acting_user);
    return query select entry.id, entry.balance_after, false;
end
$$;

create or replace function public.refund_credits(
    organization uuid, charge_key text, reason text, amount integer default null
) returns table (entry_id bigint, balance bigint, replayed boolean)
language plpgsql security definer
set search_path = ''
as $$
declare
    available bigint := private.lock_balance(organization, coalesce(amount, 1), reason, charge_key);
    charge public.credit_entries;
    entry public.credit_entries;
begin
    select e.* into charge from public.credit_entries as e
    where e.organization_id = organization and e.kind = 'charge' and e.idempotency_key = charge_key;
    if not found then
        raise exception 'organization % has no charge with this key', organization using errcode = 'PT404';
    end if;
    select e.* into entry from public.credit_entries as e
    where e.organization_id = organization and e.refund_of = charge.id;
    if found then
        if entry.amount <> coalesce(refund_credits.amount, entry.amount) then
            raise exception 'charge % was refunded already, with % credits', charge.id, entry.amount
                using errcode = 'PT409';
        end if;
        return query select entry.id, available, true;
        return;
    end if;
    if coalesce(refund_credits.amount, 0) > - charge.amount then
        raise exception 'a refund of % is more than the charge of %', refund_credits.amount, - charge.amount
            using errcode = 'invalid_parameter_value';
    end if;
    entry := private.post_credits(
        organization, 'refund', coalesce(refund_credits.amount, - charge.amount), reason, charge_key, charge.id,
        charge.user_id
    );
    return query select entry.id, entry.balance_after, false;
end
$$;

create or replace function public.grant_credits(
    organization uuid, amount integer, reason text, idempotency_key text
) returns table (entry_id bigint, balance bigint, replayed boolean)
language plpgsql security definer
set search_path = ''
as $$
declare
    available bigint := private.lock_balance(organization, amount, reason, idempotency_key);
    entry public.credit_entries;
begin
    select e.* into entry from public.credit_entries as e
    where e.organization_id = organization and e.kind = 'grant'
        and e.idempotency_key = grant_credits.idempotency_key;
    if found then
        if entry.amount <> grant_credits.amount then
            raise exception 'the idempotency key of grant % was used for a different grant', entry.id
                using errcode = 'PT409';
        end if;
        return query select entry.id, available, true;
        return;
    end if;
    entry := private.post_credits(organization, 'grant', amount, reason, idempotency_key, null, null);
    return query select entry.id, entry.balance_after, false;
end
$$;

create or replace function public.credit_balance(organization uuid) returns bigint
language sql stable security definer
set search_path = ''
as $$
    select b.balance from public.credit_balances as b where b.organization_id = organization;
$$;

create or replace function public.user_organizations(user_id uuid)
returns table (organization_id uuid, name text, role text, balance bigint)
language sql stable security definer
set search_path = ''
as $$
    select o.id, o.name, m.role, b.balance
    from public.memberships as m
    join public.organizations as o on o.id = m.organization_id
    join public.credit_balances as b on b.organization_id = o.id
    where m.user_id = user_organizations.user_id
    order by o.is_personal desc, o.created_at, o.id;
$$;

-- Every organization has an account; a personal one starts with the sign-up credits.
create or replace function private.open_account(organization uuid, is_personal boolean) returns void
language plpgsql security definer
set search_path = ''
as $$
declare
    credits integer := coalesce(private.setting('signup_credits')::integer, 0);
begin
    insert into public.credit_balances (organization_id) values (organization) on conflict do nothing;
    if is_personal and credits > 0 then
        perform public.grant_credits(organization, credits, 'sign-up', 'sign-up');
    end if;
end
$$;

create or replace function private.on_organization_created() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform private.open_account(new.id, new.is_personal);
    return new;
end
$$;

create or replace trigger open_account after insert on public.organizations
    for each row execute function private.on_organization_created();

-- Organizations from before this file.
select private.open_account(o.id, o.is_personal) from public.organizations as o
where not exists (select from public.credit_balances as b where b.organization_id = o.id);

revoke all on function private.lock_balance(uuid, bigint, text, text) from public;
revoke all on function private.post_credits(uuid, text, bigint, text, text, bigint, uuid) from public;
revoke all on function private.open_account(uuid, boolean) from public;
revoke all on function private.on_organization_created() from public;
revoke all on function public.deduct_credits(uuid, integer, text, text, uuid)
from public, anon, authenticated, service_role;
revoke all on function public.refund_credits(uuid, text, text, integer)
from public, anon, authenticated, service_role;
revoke all on function public.grant_credits(uuid, integer, text, text)
from public, anon, authenticated, service_role;
revoke all on function public.credit_balance(uuid) from public, anon, authenticated, service_role;
revoke all on function public.user_organizations(uuid) from public, anon, authenticated, service_role;
grant execute on function public.deduct_credits(uuid, integer, text, text, uuid) to agent_runtime, service_role;
grant execute on function public.refund_credits(uuid, text, text, integer) to agent_runtime, service_role;
grant execute on function public.grant_credits(uuid, integer, text, text) to service_role;
grant execute on function public.credit_balance(uuid) to app_runtime, agent_runtime, service_role;
grant execute on function public.user_organizations(uuid) to app_runtime, agent_runtime, service_role;

alter table public.credit_balances enable row level security;
alter table public.credit_entries enable row level security;

-- Written by the functions above only, or the two would drift apart.
revoke all on table public.credit_balances, public.credit_entries from public, anon, authenticated, service_role;
grant select on table public.credit_balances, public.credit_entries to authenticated, service_role;

drop policy if exists credit_balances_select on public.credit_balances;
create policy credit_balances_select on public.credit_balances for select to authenticated
using (organization_id in (select private.my_organizations()));
drop policy if exists credit_entries_select on public.credit_entries;
create policy credit_entries_select on public.credit_entries for select to authenticated
using (organization_id in (select private.my_organizations()));
