-- Who works together: profiles (the public side of auth.users), organizations and memberships.

create table if not exists public.profiles (
    id uuid primary key references auth.users (id) on delete cascade,
    email text,
    display_name text check (length(display_name) between 1 and 200),
    is_demo boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table if not exists public.organizations (
    id uuid primary key default gen_random_uuid(),
    name text not null check (length(btrim(name)) between 1 and 200),
    is_personal boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table if not exists public.memberships (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    user_id uuid not null references public.profiles (id) on delete cascade,
    role text not null default 'member' check (role in ('owner', 'admin', 'member')),
    created_at timestamptz not null default now(),
    primary key (organization_id, user_id)
);
create index if not exists memberships_user_id_idx on public.memberships (user_id, role);

-- Policies ask these. They run as the owner, because a policy of memberships that reads memberships would never end.
create or replace function private.my_organizations() returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select m.organization_id from public.memberships as m where m.user_id = (select auth.uid());
$$;

create or replace function private.my_organizations(variadic roles text[]) returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select m.organization_id from public.memberships as m
    where m.user_id = (select auth.uid()) and m.role = any (roles);
$$;

create or replace function private.my_colleagues() returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select m.user_id from public.memberships as m
    where m.organization_id in (select private.my_organizations());
$$;

-- Services act for a user whom they name; this is how they ask.
create or replace function private.require_member(organization uuid, acting_user uuid, variadic roles text[])
returns void
language plpgsql stable security definer
set search_path = ''
as $$
begin
    if not exists (
        select from public.memberships as m
        where m.organization_id = organization and m.user_id = acting_user and m.role = any (roles)
    ) then
        raise exception 'user % is not % of organization %', acting_user, array_to_string(roles, ' or '), organization
            using errcode = 'PT403';
    end if;
end
$$;

revoke all on function private.my_organizations() from public;
revoke all on function private.my_organizations(text[]) from public;
revoke all on function private.my_colleagues() from public;
revoke all on function private.require_member(uuid, uuid, text[]) from public;
grant usage on schema private to authenticated;
grant execute on function private.my_organizations() to authenticated;
grant execute on function private.my_organizations(text[]) to authenticated;
grant execute on function private.my_colleagues() to authenticated;

-- An organization keeps an owner. The row lock makes two owners who leave at once wait for each other.
create or replace function private.keep_an_owner() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if old.role <> 'owner' or (tg_op = 'UPDATE' and new.role = 'owner') then
        return coalesce(new, old);
    end if;
    perform from public.organizations as o where o.id = old.organization_id for update;
    -- A deleted user or organization takes its memberships along.
    if not found or not exists (select from public.profiles as p where p.id = old.user_id) then
        return coalesce(new, old);
    end if;
    if not exists (
        select from public.memberships as m
        where m.organization_id = old.organization_id and m.role = 'owner' and m.user_id <> old.user_id
    ) then
        raise exception 'organization % would be left without an owner', old.organization_id
            using errcode = 'PT409', hint = 'Make somebody else an owner first.';
    end if;
    return coalesce(new, old);
end
$$;
revoke all on function private.keep_an_owner() from public;

create or replace trigger keep_an_owner before update of role or delete on public.memberships
    for each row execute function private.keep_an_owner();
create or replace trigger set_updated_at before update on public.profiles
    for each row execute function private.set_updated_at();
create or replace trigger set_updated_at before update on public.organizations
    for each row execute function private.set_updated_at();

-- A new user gets a profile and an organization of their own.
create or replace function private.provision_user(account auth.users) returns void
language plpgsql security definer
set search_path = ''
as $$
declare
    shown_name text := left(nullif(btrim(coalesce(
        account.raw_user_meta_data ->> 'full_name', account.raw_user_meta_data ->> 'name'
    )), ''), 200);
    organization uuid;
begin
    insert into public.profiles (id, email, display_name, is_demo)
    values (account.id, account.email, shown_name, coalesce(account.raw_app_meta_data ->> 'provider', '') = 'demo')
    on conflict do nothing;
    if not found then
        return;
    end if;
    insert into public.organizations (name, is_personal)
    values (coalesce(shown_name, left(nullif(split_part(account.email, '@', 1), ''), 200), 'Personal'), true)
    returning id into organization;
    insert into public.memberships (organization_id, user_id, role) values (organization, account.id, 'owner');
end
$$;
revoke all on function private.provision_user(auth.users) from public;

create or replace function private.on_user_created() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform private.provision_user(new);
    return new;
end
$$;
revoke all on function private.on_user_created() from public;

create or replace function private.on_user_email_changed() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    update public.profiles as p set email = new.email where p.id = new.id;
    return new;
end
$$;
revoke all on function private.on_user_email_changed() from public;

create or replace trigger groundwork_user_created after insert on auth.users
    for each row execute function private.on_user_created();
create or replace trigger groundwork_user_email_changed after update of email on auth.users
    for each row when (old.email is distinct from new.email) execute function private.on_user_email_changed();

-- Users who signed up before this file.
select private.provision_user(u) from auth.users as u
where not exists (select from public.profiles as p where p.id = u.id);

create or replace function public.create_organization(name text) returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
    caller uuid := (select auth.uid());
    organization uuid;
begin
    if caller is null then
        raise exception 'nobody is signed in' using errcode = 'PT403';
    end if;
    if name is null or length(btrim(name)) not between 1 and 200 then
        raise exception 'the name of an organization has 1 to 200 characters'
            using errcode = 'invalid_parameter_value';
    end if;
    insert into public.organizations (name) values (btrim(create_organization.name)) returning id into organization;
    insert into public.memberships (organization_id, user_id, role) values (organization, caller, 'owner');
    return organization;
end
$$;
revoke all on function public.create_organization(text) from public, anon, authenticated, service_role;
grant execute on function public.create_organization(text) to authenticated;

create or replace view public.organization_members with (security_invoker = true) as
select m.organization_id, m.user_id, p.email, p.display_name, m.role, m.created_at
from public.memberships as m
join public.profiles as p on p.id = m.user_id;

alter table public.profiles enable row level security;
alter table public.organizations enable row level security;
alter table public.memberships enable row level security;

revoke all on table public.profiles, public.organizations, public.memberships, public.organization_members
from public, anon, authenticated, service_role;
grant select, update (display_name) on table public.profiles to authenticated;
grant select, update (name) on table public.organizations to authenticated;
grant select, insert (organization_id, user_id, role), update (role), delete on table public.memberships
to authenticated;
grant select on table public.organization_members to authenticated, service_role;
grant select, insert, update, delete on table public.profiles, public.organizations, public.memberships
to service_role;

drop policy if exists profiles_select on public.profiles;
create policy profiles_select on public.profiles for select to authenticated
using (id = (select auth.uid()) or id in (select private.my_colleagues()));
drop policy if exists profiles_update on public.profiles;
create policy profiles_update on public.profiles for update to authenticated
using (id = (select auth.uid())) with check (id = (select auth.uid()));

drop policy if exists organizations_select on public.organizations;
create policy organizations_select on public.organizations for select to authenticated
using (id in (select private.my_organizations()));
drop policy if exists organizations_update on public.organizations;
create policy organizations_update on public.organizations for update to authenticated
using (id in (select private.my_organizations('owner', 'admin')))
with check (id in (select private.my_organizations('owner', 'admin')));

drop policy if exists memberships_select on public.memberships;
create policy memberships_select on public.memberships for select to authenticated
using (organization_id in (select private.my_organizations()));
drop policy if exists memberships_insert on public.memberships;
create policy memberships_insert on public.memberships for insert to authenticated
with check (
    organization_id in (select private.my_organizations('owner'))
    or (role = 'member' and organization_id in (select private.my_organizations('admin')))
);
drop policy if exists memberships_update on public.memberships;
create policy memberships_update on public.memberships for update to authenticated
using (organization_id in (select private.my_organizations('owner')))
with check (organization_id in (select private.my_organizations('owner')));
drop policy if exists memberships_delete on public.memberships;
create policy memberships_delete on public.memberships for delete to authenticated
using (
    user_id = (select auth.uid())
    or organization_id in (select private.my_organizations('owner'))
    or (role = 'member' and organization_id in (select private.my_organizations('admin')))
);
