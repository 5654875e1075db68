-- What is remembered of earlier conversations of a user, found by meaning.

create table if not exists public.memory_summaries (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    user_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
    conversation_id uuid,
    summary text not null check (length(summary) between 1 and 100000),
    embedding extensions.vector(1536),
    created_at timestamptz not null default now(),
    constraint memory_summaries_conversation_fkey foreign key (organization_id, conversation_id)
    references public.conversations (organization_id, id) on delete cascade
);
create index if not exists memory_summaries_user_idx on public.memory_summaries (user_id, organization_id);
create index if not exists memory_summaries_conversation_idx
on public.memory_summaries (organization_id, conversation_id);
create index if not exists memory_summaries_embedding_idx on public.memory_summaries
using hnsw (embedding extensions.vector_cosine_ops);

create or replace function public.match_memory_summaries(
    organization uuid,
    query_embedding extensions.vector,
    match_count integer default 8,
    minimum_similarity double precision default 0
) returns table (summary_id uuid, conversation_id uuid, summary text, similarity double precision)
language plpgsql stable
set search_path = ''
as $$
begin
    perform private.scan_until_found();
    return query
    select n.id, n.conversation_id, n.summary, 1 - n.distance
    from (
        select m.id, m.conversation_id, m.summary, m.embedding operator(extensions.<=>) query_embedding as distance
        from public.memory_summaries as m
        where m.organization_id = organization and m.embedding is not null
        order by m.embedding operator(extensions.<=>) query_embedding
        limit least(greatest(match_count, 0), 200)
    ) as n
    where 1 - n.distance >= minimum_similarity
    order by n.distance;
end
$$;
revoke all on function public.match_memory_summaries(uuid, extensions.vector, integer, double precision)
from public, anon, authenticated, service_role;
grant execute on function public.match_memory_summaries(uuid, extensions.vector, integer, double precision)
to authenticated;

alter table public.memory_summaries enable row level security;
revoke all on table public.memory_summaries from public, anon, authenticated, service_role;
grant select, insert, delete, update (summary, embedding) on table public.memory_summaries to authenticated;
grant select, insert, update, delete on table public.memory_summaries to service_role;

drop policy if exists memory_summaries_all on public.memory_summaries;
create policy memory_summaries_all on public.memory_summaries for all to authenticated
using (user_id = (select auth.uid()) and organization_id in (select private.my_organizations()))
with check (user_id = (select auth.uid()) and organization_id in (select private.my_organizations()));
