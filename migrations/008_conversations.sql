-- Conversations of a user with an agent. They are the user's; the organization's owners may read them, because the
-- organization can export its own data. What the agent said is written by the agent only.

create table if not exists public.conversations (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    user_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
    agent_id uuid,
    title text check (length(title) <= 500),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint conversations_of_organization unique (organization_id, id),
    constraint conversations_agent_fkey foreign key (organization_id, agent_id)
    references public.agents (organization_id, id) on delete set null (agent_id)
);
create index if not exists conversations_user_idx on public.conversations (user_id, updated_at desc);
create index if not exists conversations_agent_idx on public.conversations (organization_id, agent_id);

create table if not exists public.messages (
    id bigint generated always as identity primary key,
    organization_id uuid not null references public.organizations (id) on delete cascade,
    conversation_id uuid not null,
    role text not null check (role in ('user', 'assistant')),
    content text not null check (length(content) between 1 and 1000000),
    model text,
    charge_id bigint,
    created_at timestamptz not null default now(),
    constraint messages_conversation_fkey foreign key (organization_id, conversation_id)
    references public.conversations (organization_id, id) on delete cascade,
    constraint messages_charge_fkey foreign key (organization_id, charge_id)
    references public.credit_entries (organization_id, id)
);
create index if not exists messages_conversation_idx
on public.messages (organization_id, conversation_id, id);
create index if not exists messages_charge_idx on public.messages (organization_id, charge_id)
where charge_id is not null;

create or replace trigger set_updated_at before update on public.conversations
    for each row execute function private.set_updated_at();

create or replace function private.on_message_added() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    update public.conversations as c set updated_at = now() where c.id = new.conversation_id;
    return new;
end
$$;
revoke all on function private.on_message_added() from public;

create or replace trigger conversation_goes_on after insert on public.messages
    for each row execute function private.on_message_added();

create or replace function public.store_reply(
    conversation uuid, content text, model text default null, charge bigint default null
) returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
    organization uuid;
    added bigint;
begin
    select c.organization_id into organization from public.conversations as c where c.id = conversation;
    if not found then
        raise exception 'there is no conversation %', conversation using errcode = 'PT404';
    end if;
    insert into public.messages (organization_id, conversation_id, role, content, model, charge_id)
    values (organization, conversation, 'assistant', store_reply.content, store_reply.model, charge)
    returning id into added;
    return added;
end
$$;
revoke all on function public.store_reply(uuid, text, text, bigint) from public, anon, authenticated, service_role;
grant execute on function public.store_reply(uuid, text, text, bigint) to agent_runtime, service_role;

alter table public.conversations enable row level security;
alter table public.messages enable row level security;

revoke all on table public.conversations, public.messages from public, anon, authenticated, service_role;
grant select, insert, delete, update (title, agent_id) on table public.conversations to authenticated;
grant select, insert (organization_id, conversation_id, role, content) on table public.messages to authenticated;
grant select, insert, update, delete on table public.conversations, public.messages to service_role;

drop policy if exists conversations_select on public.conversations;
create policy conversations_select on public.conversations for select to authenticated
using (
    (user_id = (select auth.uid()) and organization_id in (select private.my_organizations()))
    or organization_id in (select private.my_organizations('owner'))
);
drop policy if exists conversations_insert on public.conversations;
create policy conversations_insert on public.conversations for insert to authenticated
with check (user_id = (select auth.uid()) and organization_id in (select private.my_organizations()));
drop policy if exists conversations_update on public.conversations;
create policy conversations_update on public.conversations for update to authenticated
using (user_id = (select auth.uid()) and organization_id in (select private.my_organizations()))
with check (user_id = (select auth.uid()) and organization_id in (select private.my_organizations()));
drop policy if exists conversations_delete on public.conversations;
create policy conversations_delete on public.conversations for delete to authenticated
using (user_id = (select auth.uid()) and organization_id in (select private.my_organizations()));

-- The policies of conversations hold inside these too.
drop policy if exists messages_select on public.messages;
create policy messages_select on public.messages for select to authenticated
using (exists (select from public.conversations as c where c.id = conversation_id));
drop policy if exists messages_insert on public.messages;
create policy messages_insert on public.messages for insert to authenticated
with check (
    role = 'user' and exists (
        select from public.conversations as c where c.id = conversation_id and c.user_id = (select auth.uid())
    )
);
