-- Agents of an organization, the documents that each of them may read, and search among those.

create table if not exists public.agents (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    name text not null check (length(btrim(name)) between 1 and 200),
    instructions text not null default '' check (length(instructions) <= 100000),
    model text,
    created_by uuid default auth.uid() references public.profiles (id) on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agents_name unique (organization_id, name),
    constraint agents_of_organization unique (organization_id, id)
);
create index if not exists agents_created_by_idx on public.agents (created_by);

create table if not exists public.agent_documents (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    agent_id uuid not null,
    document_id uuid not null,
    created_at timestamptz not null default now(),
    primary key (agent_id, document_id),
    constraint agent_documents_agent_fkey foreign key (organization_id, agent_id)
    references public.agents (organization_id, id) on delete cascade,
    constraint agent_documents_document_fkey foreign key (organization_id, document_id)
    references public.documents (organization_id, id) on delete cascade
);
create index if not exists agent_documents_agent_idx on public.agent_documents (organization_id, agent_id);
create index if not exists agent_documents_document_idx on public.agent_documents (organization_id, document_id);

create or replace trigger set_updated_at before update on public.agents
    for each row execute function private.set_updated_at();

-- Runs with the caller's rights: RLS decides what can be found.
create or replace function public.match_document_chunks(
    organization uuid,
    query_embedding extensions.vector,
    match_count integer default 8,
    minimum_similarity double precision default 0,
    agent uuid default null
) returns table (chunk_id bigint, document_id uuid, title text, content text, similarity double precision)
language plpgsql stable
set search_path = ''
as $$
begin
    perform private.scan_until_found();
    return query
    select n.id, n.document_id, d.title, n.content, 1 - n.distance
    from (
        select c.id, c.document_id, c.content, c.embedding operator(extensions.<=>) query_embedding as distance
        from public.document_chunks as c
        where c.organization_id = organization
            and c.embedding is not null
            and (agent is null or c.document_id in (
                select a.document_id from public.agent_documents as a
                where a.organization_id = organization and a.agent_id = agent
            ))
        order by c.embedding operator(extensions.<=>) query_embedding
        limit least(greatest(match_count, 0), 200)
    ) as n
    join public.documents as d on d.id = n.document_id
    where 1 - n.distance >= minimum_similarity
    order by n.distance;
end
$$;
revoke all on function public.match_document_chunks(uuid, extensions.vector, integer, double precision, uuid)
from public, anon, authenticated, service_role;
grant execute on function public.match_document_chunks(uuid, extensions.vector, integer, double precision, uuid)
to authenticated;

alter table public.agents enable row level security;
alter table public.agent_documents enable row level security;

revoke all on table public.agents, public.agent_documents from public, anon, authenticated, service_role;
grant select, insert, delete, update (name, instructions, model) on table public.agents to authenticated;
grant select, insert, delete on table public.agent_documents to authenticated;
grant select, insert, update, delete on table public.agents, public.agent_documents to service_role;

drop policy if exists agents_select on public.agents;
create policy agents_select on public.agents for select to authenticated
using (organization_id in (select private.my_organizations()));
drop policy if exists agents_insert on public.agents;
create policy agents_insert on public.agents for insert to authenticated
with check (
    organization_id in (select private.my_organizations('owner', 'admin')) and created_by = (select auth.uid())
);
drop policy if exists agents_update on public.agents;
create policy agents_update on public.agents for update to authenticated
using (organization_id in (select private.my_organizations('owner', 'admin')))
with check (organization_id in (select private.my_organizations('owner', 'admin')));
drop policy if exists agents_delete on public.agents;
create policy agents_delete on public.agents for delete to authenticated
using (organization_id in (select private.my_organizations('owner', 'admin')));

drop policy if exists agent_documents_select on public.agent_documents;
create policy agent_documents_select on public.agent_documents for select to authenticated
using (organization_id in (select private.my_organizations()));
drop policy if exists agent_documents_insert on public.agent_documents;
create policy agent_documents_insert on public.agent_documents for insert to authenticated
with check (organization_id in (select private.my_organizations('owner', 'admin')));
drop policy if exists agent_documents_delete on public.agent_documents;
create policy agent_documents_delete on public.agent_documents for delete to authenticated
using (organization_id in (select private.my_organizations('owner', 'admin')));
