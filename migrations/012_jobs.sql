-- Background jobs. A worker leases a job for a time; if it falls silent, the job is handed out again. What it holds is
-- a lease (a uuid of this one try), so that a worker that was given up cannot finish somebody else's try.

create table if not exists public.jobs (
    id bigint generated always as identity primary key,
    organization_id uuid references public.organizations (id) on delete cascade,
    kind text not null check (length(kind) between 1 and 100),
    payload jsonb not null default '{}',
    status text not null default 'queued' check (status in ('queued', 'running', 'done', 'failed')),
    run_at timestamptz not null default now(),
    attempts integer not null default 0 check (attempts >= 0),
    max_attempts integer not null default 5 check (max_attempts between 1 and 100),
    lease uuid,
    leased_until timestamptz,
    worker text,
    last_error text,
    deduplication_key text check (length(deduplication_key) <= 200),
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    -- When a worker may take it: at its time, or when the one who has it was silent for too long.
    due_at timestamptz generated always as (
        case status when 'queued' then run_at when 'running' then leased_until end
    ) stored,
    constraint jobs_lease_while_running
    check ((status = 'running') = (lease is not null) and (status = 'running') = (leased_until is not null)),
    constraint jobs_finished check ((status in ('done', 'failed')) = (finished_at is not null))
);
create index if not exists jobs_due_idx on public.jobs (due_at, id) where status in ('queued', 'running');
create index if not exists jobs_finished_idx on public.jobs (finished_at) where finished_at is not null;
create index if not exists jobs_organization_idx on public.jobs (organization_id);
create unique index if not exists jobs_deduplication_idx on public.jobs (kind, deduplication_key)
where status = 'queued';

create or replace function public.enqueue_job(
    kind text,
    payload jsonb default '{}',
    organization uuid default null,
    run_at timestamptz default now(),
    max_attempts integer default 5,
    deduplication_key text default null
) returns bigint
language sql security definer
set search_path = ''
as $$
    -- Who asks again while the job waits gets the waiting one, at the earlier of both times.
    insert into public.jobs as j (kind, payload, organization_id, run_at, max_attempts, deduplication_key)
    values (
        enqueue_job.kind, coalesce(enqueue_job.payload, '{}'), organization, coalesce(enqueue_job.run_at, now()),
        enqueue_job.max_attempts, enqueue_job.deduplication_key
    )
    on conflict (kind, deduplication_key) where status = 'queued'
    do update set run_at = least(j.run_at, excluded.run_at)
    returning j.id;
$$;

create or replace function public.claim_jobs(
    worker text, batch integer default 1, visibility interval default '5 minutes', kinds text[] default null
) returns setof public.jobs
language plpgsql security definer
set search_path = ''
as $$
declare
    moment timestamptz := clock_timestamp();
begin
    if batch is null or batch not between 1 and 100 then
        raise exception 'a batch is 1 to 100 jobs' using errcode = 'invalid_parameter_value';
    end if;
    if visibility is null or visibility <= interval '0' or visibility > interval '1 day' then
        raise exception 'a lease lasts longer than nothing and at most one day'
            using errcode = 'invalid_parameter_value';
    end if;
    -- Silent on the last try.
    update public.jobs as j
    set status = 'failed', finished_at = moment, lease = null, leased_until = null,
        last_error = pg_catalog.format('worker %s did not answer in time', j.worker)
    where j.id in (
        select o.id from public.jobs as o
        where o.status = 'running' and o.due_at <= moment and o.attempts >= o.max_attempts
        for update skip locked
    );
    return query
    with due as materialized (
        select o.id from public.jobs as o
        where o.status in ('queued', 'running') and o.due_at <= moment and o.attempts < o.max_attempts
            and (kinds is null or o.kind = any (kinds))
        order by o.due_at, o.id
        limit batch
        for update skip locked
    ), leased as (
        update public.jobs as j
        set status = 'running', attempts = j.attempts + 1, lease = gen_random_uuid(),
            leased_until = moment + visibility, worker = claim_jobs.worker
        from due
        where j.id = due.id
        returning j.*
    )
    select l.* from leased as l order by l.run_at, l.id;
end
$$;

create or replace function public.extend_job(job bigint, lease uuid, visibility interval default '5 minutes')
returns boolean
language plpgsql security definer
set search_path = ''
as $$
begin
    update public.jobs as j set leased_until = clock_timestamp() + visibility
    where j.id = job and j.status = 'running' and j.lease = extend_job.lease;
    return found;
end
$$;

create or replace function public.complete_job(job bigint, lease uuid) returns boolean
language plpgsql security definer
set search_path = ''
as $$
begin
    update public.jobs as j
    set status = 'done', finished_at = clock_timestamp(), lease = null, leased_until = null, last_error = null
    where j.id = job and j.status = 'running' and j.lease = complete_job.lease;
    return found;
end
$$;

create or replace function public.fail_job(job bigint, lease uuid, error text) returns text
language plpgsql security definer
set search_path = ''
as $$
declare
    held public.jobs;
    pause interval;
begin
    select j.* into held from public.jobs as j
    where j.id = job and j.status = 'running' and j.lease = fail_job.lease
    for update;
    if not found then
        return null;
    end if;
    -- Half of the pause is random, so that jobs which failed together do not come back together.
    pause := least(interval '10 seconds' * power(2, least(held.attempts, 20)), interval '1 hour')
    * (0.5 + random() / 2);
    if held.attempts < held.max_attempts then
        begin
            update public.jobs as j
            set status = 'queued', run_at = clock_timestamp() + pause, lease = null, leased_until = null,
                last_error = left(error, 10000)
            where j.id = job;
            return 'queued';
        exception when unique_violation then
            -- The same was asked for again in the meantime and waits: that one is the next try.
            null;
        end;
    end if;
    update public.jobs as j
    set status = 'failed', finished_at = clock_timestamp(), lease = null, leased_until = null,
        last_error = left(error, 10000)
    where j.id = job;
    return 'failed';
end
$$;

create or replace function public.purge_jobs(older_than interval default '30 days') returns bigint
language sql security definer
set search_path = ''
as $$
    with gone as (
        delete from public.jobs as j where j.finished_at < clock_timestamp() - older_than returning 1
    )
    select count(*) from gone;
$$;

-- A conversation is summed up when it has been quiet for a while.
create or replace function private.ask_for_summary() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform public.enqueue_job(
        'summarize_conversation',
        jsonb_build_object('conversation_id', c.id, 'user_id', c.user_id),
        c.organization_id,
        now() + interval '5 minutes',
        deduplication_key => c.id::text
    )
    from public.conversations as c where c.id = new.conversation_id;
    return null;
end
$$;
create or replace trigger ask_for_summary after insert on public.messages
    for each row when (new.role = 'assistant') execute function private.ask_for_summary();

revoke all on function private.ask_for_summary() from public;
revoke all on function public.enqueue_job(text, jsonb, uuid, timestamptz, integer, text)
from public, anon, authenticated, service_role;
revoke all on function public.claim_jobs(text, integer, interval, text[])
from public, anon, authenticated, service_role;
revoke all on function public.extend_job(bigint, uuid, interval) from public, anon, authenticated, service_role;
revoke all on function public.complete_job(bigint, uuid) from public, anon, authenticated, service_role;
revoke all on function public.fail_job(bigint, uuid, text) from public, anon, authenticated, service_role;
revoke all on function public.purge_jobs(interval) from public, anon, authenticated, service_role;
grant execute on function public.enqueue_job(text, jsonb, uuid, timestamptz, integer, text)
to app_runtime, agent_runtime, service_role;
grant execute on function public.claim_jobs(text, integer, interval, text[]) to agent_runtime, service_role;
grant execute on function public.extend_job(bigint, uuid, interval) to agent_runtime, service_role;
grant execute on function public.complete_job(bigint, uuid) to agent_runtime, service_role;
grant execute on function public.fail_job(bigint, uuid, text) to agent_runtime, service_role;
grant execute on function public.purge_jobs(interval) to agent_runtime, service_role;

alter table public.jobs enable row level security;
revoke all on table public.jobs from public, anon, authenticated, service_role;
grant select, insert, update, delete on table public.jobs to service_role;

-- The server's own table, see 006.
drop policy if exists jobs_service on public.jobs;
create policy jobs_service on public.jobs for all to service_role using (true) with check (true);
