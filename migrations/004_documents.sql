-- Documents of an organization and their embedded chunks, with search by meaning.

create table if not exists public.documents (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    title text not null check (length(btrim(title)) between 1 and 500),
    media_type text not null default 'text/plain',
    status text not null default 'pending' check (status in ('pending', 'ready', 'failed')),
    content_sha256 bytea check (length(content_sha256) = 32),
    created_by uuid default auth.uid() references public.profiles (id) on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint documents_of_organization unique (organization_id, id)
);
create index if not exists documents_created_by_idx on public.documents (created_by);

-- The foreign key of two columns keeps a chunk in its document's organization.
create table if not exists public.document_chunks (
    id bigint generated always as identity primary key,
    organization_id uuid not null references public.organizations (id) on delete cascade,
    document_id uuid not null,
    position integer not null check (position >= 0),
    content text not null,
    embedding extensions.vector(1536),
    created_at timestamptz not null default now(),
    constraint document_chunks_position unique (document_id, position),
    constraint document_chunks_document_fkey foreign key (organization_id, document_id)
    references public.documents (organization_id, id) on delete cascade
);
create index if not exists document_chunks_document_idx on public.document_chunks (organization_id, document_id);
create index if not exists document_chunks_embedding_idx on public.document_chunks
using hnsw (embedding extensions.vector_cosine_ops);

create or replace trigger set_updated_at before update on public.documents
    for each row execute function private.set_updated_at();

-- An HNSW scan finds the nearest rows of everybody first and filters them afterwards. Without an iterative scan
-- (pgvector 0.8) a small organization beside large ones would get too few rows or none. The setting is unknown to an
-- older pgvector, hence the question. See https://github.com/pgvector/pgvector#iterative-index-scans
create or replace function private.scan_until_found() returns void
language plpgsql stable
set search_path = ''
as $$
begin
    if current_setting('hnsw.iterative_scan', true) is not null then
        perform set_config('hnsw.iterative_scan', 'strict_order', true);
    end if;
end
$$;
revoke all on function private.scan_until_found() from public;
grant execute on function private.scan_until_found() to authenticated;

alter table public.documents enable row level security;
alter table public.document_chunks enable row level security;

revoke all on table public.documents, public.document_chunks from public, anon, authenticated, service_role;
grant select, insert, delete on table public.documents, public.document_chunks to authenticated;
grant update (title, media_type, status, content_sha256) on table public.documents to authenticated;
grant update (position, content, embedding) on table public.document_chunks to authenticated;
grant select, insert, update, delete on table public.documents, public.document_chunks to service_role;

drop policy if exists documents_select on public.documents;
create policy documents_select on public.documents for select to authenticated
using (organization_id in (select private.my_organizations()));
drop policy if exists documents_insert on public.documents;
create policy documents_insert on public.documents for insert to authenticated
with check (organization_id in (select private.my_organizations()) and created_by = (select auth.uid()));
drop policy if exists documents_update on public.documents;
create policy documents_update on public.documents for update to authenticated
using (organization_id in (select private.my_organizations()))
with check (organization_id in (select private.my_organizations()));
drop policy if exists documents_delete on public.documents;
create policy documents_delete on public.documents for delete to authenticated
using (organization_id in (select private.my_organizations()));

drop policy if exists document_chunks_all on public.document_chunks;
create policy document_chunks_all on public.document_chunks for all to authenticated
using (organization_id in (select private.my_organizations()))
with check (organization_id in (select private.my_organizations()));
