-- The audit log, and API keys of which only a hash is kept.

-- No foreign key to a user, so that an account can be deleted; an organization with entries is kept, as with credits.
create table if not exists public.audit_log (
    id bigint generated always as identity primary key,
    organization_id uuid not null references public.organizations (id) on delete restrict,
    actor_id uuid,
    action text not null check (length(btrim(action)) between 1 and 200),
    target text check (length(target) <= 500),
    details jsonb not null default '{}',
    created_at timestamptz not null default now()
);
create index if not exists audit_log_organization_idx on public.audit_log (organization_id, id);

create or replace trigger append_only before update or delete on public.audit_log
    for each row execute function private.refuse_change();
create or replace trigger append_only_truncate before truncate on public.audit_log
    for each statement execute function private.refuse_change();

create table if not exists public.api_keys (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    name text not null check (length(btrim(name)) between 1 and 200),
    prefix text not null check (length(prefix) = 11),
    key_hash bytea not null unique check (length(key_hash) = 32),
    created_by uuid references public.profiles (id) on delete set null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz
);
create index if not exists api_keys_organization_idx on public.api_keys (organization_id);
create index if not exists api_keys_created_by_idx on public.api_keys (created_by);

create or replace function public.record_audit_event(
    organization uuid, action text, actor uuid default null, target text default null, details jsonb default '{}'
) returns bigint
language sql security definer
set search_path = ''
as $$
    insert into public.audit_log (organization_id, actor_id, action, target, details)
    values (
        organization, actor, record_audit_event.action, record_audit_event.target,
        coalesce(record_audit_event.details, '{}')
    )
    returning id;
$$;

create or replace function private.hash_api_key(api_key text) returns bytea
language sql immutable
set search_path = ''
as $$
    -- The key is random and long, so that one fast hash is enough.
    select sha256(convert_to(api_key, 'UTF8'));
$$;

create or replace function public.create_api_key(
    organization uuid, name text, expires_at timestamptz default null
) returns table (key_id uuid, api_key text)
language plpgsql security definer
set search_path = ''
as $$
declare
    caller uuid := (select auth.uid());
    -- Two random UUIDs: 244 bits from the server's cryptographic generator, without needing pgcrypto.
    value text := 'gw_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
    added uuid;
begin
    perform private.require_member(organization, caller, 'owner', 'admin');
    if create_api_key.expires_at <= now() then
        raise exception 'the key would have expired already' using errcode = 'invalid_parameter_value';
    end if;
    if create_api_key.name is null or length(btrim(create_api_key.name)) not between 1 and 200 then
        raise exception 'the name of a key has 1 to 200 characters' using errcode = 'invalid_parameter_value';
    end if;
    insert into public.api_keys (organization_id, name, prefix, key_hash, created_by, expires_at)
    values (
        organization, btrim(create_api_key.name), left(value, 11), private.hash_api_key(value), caller,
        create_api_key.expires_at
    )
    returning id into added;
    perform public.record_audit_event(organization, 'api_key.created', caller, added::text);
    return query select added, value;
end
$$;

create or replace function public.revoke_api_key(key_id uuid) returns boolean
language plpgsql security definer
set search_path = ''
as $$
declare
    caller uuid := (select auth.uid());
    found_key public.api_keys;
begin
    select k.* into found_key from public.api_keys as k where k.id = key_id for update;
    -- A stranger's key and no key get the same answer.
    if not found or not exists (
        select from public.memberships as m
        where m.organization_id = found_key.organization_id and m.user_id = caller and m.role in ('owner', 'admin')
    ) then
        raise exception 'there is no such API key' using errcode = 'PT404';
    end if;
    if found_key.revoked_at is not null then
        return false;
    end if;
    update public.api_keys as k set revoked_at = now() where k.id = key_id;
    perform public.record_audit_event(found_key.organization_id, 'api_key.revoked', caller, key_id::text);
    return true;
end
$$;

create or replace function public.verify_api_key(api_key text) returns table (key_id uuid, organization_id uuid)
language plpgsql security definer
set search_path = ''
as $$
declare
    found_key public.api_keys;
begin
    select k.* into found_key from public.api_keys as k
    where k.key_hash = private.hash_api_key(api_key)
        and k.revoked_at is null
        and (k.expires_at is null or k.expires_at > clock_timestamp());
    if not found then
        return;
    end if;
    -- Once a minute is exact enough and spares a write per request.
    if found_key.last_used_at is null or found_key.last_used_at < clock_timestamp() - interval '1 minute' then
        update public.api_keys as k set last_used_at = clock_timestamp() where k.id = found_key.id;
    end if;
    return query select found_key.id, found_key.organization_id;
end
$$;

-- Who joined, left or changed role is on record, whichever way it was done.
create or replace function private.audit_membership() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    subject public.memberships := coalesce(new, old);
begin
    -- A deleted organization has no log to write to.
    if exists (select from public.organizations as o where o.id = subject.organization_id) then
        perform public.record_audit_event(
            subject.organization_id, 'membership.' || lower(tg_op), (select auth.uid()), subject.user_id::text,
            jsonb_build_object('role', subject.role)
        );
    end if;
    return null;
end
$$;
create or replace trigger audit_membership after insert or update or delete on public.memberships
    for each row execute function private.audit_membership();

revoke all on function private.hash_api_key(text) from public;
revoke all on function private.audit_membership() from public;
revoke all on function public.record_audit_event(uuid, text, uuid, text, jsonb)
from public, anon, authenticated, service_role;
revoke all on function public.create_api_key(uuid, text, timestamptz)
from public, anon, authenticated, service_role;
revoke all on function public.revoke_api_key(uuid) from public, anon, authenticated, service_role;
revoke all on function public.verify_api_key(text) from public, anon, authenticated, service_role;
grant execute on function public.record_audit_event(uuid, text, uuid, text, jsonb)
to app_runtime, agent_runtime, service_role;
grant execute on function public.create_api_key(uuid, text, timestamptz) to authenticated;
grant execute on function public.revoke_api_key(uuid) to authenticated;
grant execute on function public.verify_api_key(text) to app_runtime, agent_runtime, service_role;

alter table public.audit_log enable row level security;
alter table public.api_keys enable row level security;

revoke all on table public.audit_log, public.api_keys from public, anon, authenticated, service_role;
grant select on table public.audit_log to authenticated, service_role;
grant select (
    id, organization_id, name, prefix, created_by, created_at, last_used_at, expires_at, revoked_at
) on table public.api_keys to authenticated;
grant select, insert, update, delete on table public.api_keys to service_role;

drop policy if exists audit_log_select on public.audit_log;
create policy audit_log_select on public.audit_log for select to authenticated
using (organization_id in (select private.my_organizations('owner', 'admin')));
drop policy if exists api_keys_select on public.api_keys;
create policy api_keys_select on public.api_keys for select to authenticated
using (organization_id in (select private.my_organizations('owner', 'admin')));
