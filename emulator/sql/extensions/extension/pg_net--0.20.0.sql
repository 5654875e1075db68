-- pg_net's SQL interface. Requests wait in a table; emulator/net.py, a client of this database, sends them.
-- It is woken by a notification, which PostgreSQL delivers after the commit and drops on a rollback.
\echo Use "create extension" to load this file. \quit

create schema net;

create domain net.http_method as text check (lower(value) in ('get', 'post', 'delete'));

create unlogged table net.http_request_queue (
    id bigserial,
    method net.http_method not null,
    url text not null,
    headers jsonb,
    body bytea,
    timeout_milliseconds int not null
);

create unlogged table net._http_response (
    id bigint,
    status_code integer,
    content_type text,
    headers jsonb,
    content text,
    timed_out boolean,
    error_msg text,
    created timestamptz not null default now()
);
create index on net._http_response (created);

create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');
create type net.http_response as (status_code integer, headers jsonb, body text);
create type net.http_response_result as (status net.request_status, message text, response net.http_response);

-- The worker is a background process there and a session here: told apart by its application name.
create function net._is_worker_up() returns boolean language sql as $$
    select exists (select from pg_catalog.pg_stat_activity where application_name = 'pg_net worker')
$$;
create function net.check_worker_is_up() returns void language plpgsql as $$
begin
    if not net._is_worker_up() then
        raise exception 'the pg_net background worker is not up'
            using detail = 'no session of the worker is connected, so requests are not sent';
    end if;
end
$$;
create function net.wait_until_running() returns void language plpgsql as $$
begin
    -- clock_timestamp-free: pg_stat_activity is cached for a transaction unless it is cleared.
    while not net._is_worker_up() loop
        perform pg_catalog.pg_sleep(0.05);
        perform pg_catalog.pg_stat_clear_snapshot();
    end loop;
end
$$;
create function net.wake() returns void language sql as $$ select pg_catalog.pg_notify('pg_net', 'wake') $$;
create function net.worker_restart() returns boolean language sql
as $$ select true from pg_catalog.pg_notify('pg_net', 'restart') $$;

-- Percent-encoding of RFC 3986 section 2.1: all but the unreserved characters.
create function net._urlencode_string(string varchar) returns text language sql immutable as $$
    select coalesce(string_agg(
        case when chr(b) ~ '[A-Za-z0-9._~-]' and b < 128 then chr(b) else '%' || upper(lpad(to_hex(b), 2, '0')) end,
        '' order by i
    ), '')
    from (select i, get_byte(convert_to(string, 'UTF8'), i) as b
          from generate_series(0, octet_length(convert_to(string, 'UTF8')) - 1) as i) as bytes
    where string is not null
$$;

create function net._encode_url_with_params_array(url text, params_array text []) returns text
language plpgsql immutable as $$
declare
    fragment text := coalesce(substring(url from '#.*$'), '');
    base text := left(url, length(url) - length(fragment));
begin
    if url !~* '^[a-z][a-z0-9+.-]*:' then
        raise exception 'Bad scheme';
    end if;
    if url !~* '^[a-z][a-z0-9+.-]*://[^/?#]+' then
        raise exception 'No host part in the URL';
    end if;
    if params_array = '{}' then
        return url;
    end if;
    return base || case when strpos(base, '?') > 0 then '&' else '?' end
        || array_to_string(params_array, '&') || fragment;
end
$$;

create function net._enqueue(
    method text, url text, params jsonb, headers jsonb, body jsonb, timeout_milliseconds int
) returns bigint language plpgsql as $$
declare
    pairs text [];
    request bigint;
begin
    select coalesce(array_agg(net._urlencode_string(key) || '=' || net._urlencode_string(value)), '{}')
    into pairs from jsonb_each_text(params);
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values ($1, net._encode_url_with_params_array($2, pairs), $4, convert_to($5::text, 'UTF8'), $6)
    returning id into request;
    perform net.wake();
    return request;
end
$$;

create function net.http_get(
    url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds int default 5000
) returns bigint language sql
as $$ select net._enqueue('GET', url, params, headers, null, timeout_milliseconds) $$;

create function net.http_post(
    url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds int default 5000
) returns bigint language plpgsql as $$
declare
    content_type text := (
        select value from jsonb_each_text(coalesce(headers, '{}')) where lower(key) = 'content-type' limit 1
    );
begin
    if content_type is null then
        headers := headers || '{"Content-Type": "application/json"}';
    elsif content_type <> 'application/json' then
        raise exception 'Content-Type header must be "application/json"';
    end if;
    return net._enqueue('POST', url, params, headers, body, timeout_milliseconds);
end
$$;

create function net.http_delete(
    url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds int default 5000,
    body jsonb default null
) returns bigint language sql
as $$ select net._enqueue('DELETE', url, params, headers, body, timeout_milliseconds) $$;

create function net._await_response(request_id bigint) returns boolean language plpgsql as $$
begin
    while not exists (select from net._http_response where id = request_id) loop
        perform pg_catalog.pg_sleep(0.05);
    end loop;
    return true;
end
$$;

create function net._http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result language plpgsql as $$
declare
    answer net._http_response;
begin
    if not async then
        perform net._await_response(request_id);
    end if;
    select * into answer from net._http_response where id = request_id;
    if answer.id is null or answer.error_msg is not null then
        return ('ERROR', coalesce(answer.error_msg, 'request matching request_id not found'), null);
    end if;
    return ('SUCCESS', 'ok', row(answer.status_code, answer.headers, answer.content)::net.http_response);
end
$$;

-- As the original, which leaves the schema open to every role of the project.
grant usage on schema net to public;
grant all on all sequences in schema net to public;
grant all on all tables in schema net to public;
