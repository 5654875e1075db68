-- Scheduled calls: what a job of pg_cron runs, and what became of each call.
-- pg_cron only knows that a request was queued, and pg_net forgets its answers after 6 hours (and all of them
-- at a crash): the outcome of each call is copied to a table of ours while it is there.

create table if not exists groundwork.job_calls (
    id bigint generated always as identity primary key,
    job text not null,
    called_at timestamptz not null default clock_timestamp(),
    timeout_ms integer not null,
    request_id bigint,
    status_code integer,
    error text,
    completed_at timestamptz
);
comment on column groundwork.job_calls.request_id is 'of pg_net; null: nothing was sent, see error';
create index if not exists job_calls_recent on groundwork.job_calls (called_at desc);
create index if not exists job_calls_open on groundwork.job_calls (request_id) where completed_at is null;

-- Numbers of requests begin anew after a crash: an answer older than the call is that of another one.
create or replace function groundwork.collect_outcomes() returns void
language sql security definer set search_path = '' as $$
    update groundwork.job_calls as c
    set status_code = r.status_code, completed_at = r.created,
        error = coalesce(r.error_msg, case when r.timed_out then 'timed out' end)
    from net._http_response as r
    where r.id = c.request_id and c.completed_at is null and r.created >= c.called_at
$$;

create or replace function groundwork.send_call(call jsonb) returns bigint
language plpgsql security definer set search_path = '' as $$
declare
    headers jsonb := '{"Content-Type": "application/json"}';
    secret text;
begin
    if call ->> 'secret_name' is not null then
        select decrypted_secret into secret from vault.decrypted_secrets where name = call ->> 'secret_name';
        if secret is null then
            raise exception 'the vault has no secret named %', call ->> 'secret_name';
        end if;
        headers := headers || jsonb_build_object('Authorization', 'Bearer ' || secret);
    end if;
    return net.http_post(
        url => call ->> 'url', body => call -> 'body', headers => headers,
        timeout_milliseconds => (call ->> 'timeout_ms')::integer
    );
end
$$;

-- The argument holds all of a job but its schedule; the secret is named, and read when the call is made.
create or replace function groundwork.call(call jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare
    request bigint;
    problem text;
begin
    perform groundwork.collect_outcomes();
    begin
        request := groundwork.send_call(call);
    exception when others then
        -- Kept as an outcome: an error would roll back the row that tells of it.
        problem := sqlerrm;
    end;
    update groundwork.job_calls set error = 'the answer was lost', completed_at = clock_timestamp()
    where request_id = request and completed_at is null;
    insert into groundwork.job_calls (job, timeout_ms, request_id, error, completed_at)
    values (
        call ->> 'job', (call ->> 'timeout_ms')::integer, request, problem,
        case when problem is not null then clock_timestamp() end
    );
end
$$;

-- pg_cron never deletes its history.
create or replace function groundwork.purge_calls() returns void
language sql security definer set search_path = '' as $$
    delete from cron.job_run_details where coalesce(end_time, start_time) < now() - interval '7 days';
    delete from groundwork.job_calls where called_at < now() - interval '7 days'
$$;

revoke all on function groundwork.collect_outcomes() from public;
revoke all on function groundwork.send_call(jsonb) from public;
revoke all on function groundwork.call(jsonb) from public;
revoke all on function groundwork.purge_calls() from public;
