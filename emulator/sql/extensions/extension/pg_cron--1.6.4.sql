-- pg_cron's SQL interface. The scheduler itself is emulator/cron.py, a client of this database.
-- The functions are SECURITY INVOKER shells that hand their caller's name to one SECURITY DEFINER function
-- each: inside such a function the caller cannot be asked for.
\echo Use "create extension" to load this file. \quit

create schema cron;

create sequence cron.jobid_seq;
create table cron.job (
    jobid bigint primary key default nextval('cron.jobid_seq'),
    schedule text not null,
    command text not null,
    nodename text not null default 'localhost',
    nodeport integer not null default inet_server_port(),
    database text not null default current_database(),
    username text not null default current_user,
    active boolean not null default true,
    jobname text,
    constraint jobname_username_uniq unique (jobname, username)
);
alter table cron.job enable row level security;
create policy cron_job_policy on cron.job using (username = current_user);

create sequence cron.runid_seq;
create table cron.job_run_details (
    jobid bigint,
    runid bigint primary key default nextval('cron.runid_seq'),
    job_pid integer,
    database text,
    username text,
    command text,
    status text,
    return_message text,
    start_time timestamptz,
    end_time timestamptz
);
alter table cron.job_run_details enable row level security;
create policy cron_job_run_details_policy on cron.job_run_details using (username = current_user);

select pg_extension_config_dump('cron.job', '');
select pg_extension_config_dump('cron.jobid_seq', '');
select pg_extension_config_dump('cron.job_run_details', '');
select pg_extension_config_dump('cron.runid_seq', '');

-- One value of a field: a number, or the first three letters of a month or day.
create function cron._value(text, names text []) returns integer language sql immutable set search_path = ''
as $$
    select case
        when $1 ~ '^[0-9]{1,3}$' then $1::integer
        else pg_catalog.array_position(names, pg_catalog.lower($1)) - 1
    end
$$;

-- One item of a field's list: *, */step, value, from-to, from-to/step.
create function cron._is_item(item text, low integer, high integer, names text []) returns boolean
language plpgsql immutable set search_path = '' as $$
declare
    parts text [] := regexp_match(item, '^(?:\*|(\w+)(?:-(\w+))?)(?:/([0-9]{1,3}))?$');
    first integer;
    last integer;
begin
    if parts is null or parts[3]::integer = 0 then
        return false;
    end if;
    if item like '*%' then
        return true;
    end if;
    first := cron._value(parts[1], names);
    last := coalesce(cron._value(parts[2], names), first);
    -- A step needs a range; an unknown name is null, which makes the whole null.
    return coalesce(
        first between low and high and last between first and high
        and (parts[2] is null or cron._value(parts[2], names) is not null)
        and (parts[3] is null or parts[2] is not null), false
    );
end
$$;

create function cron._is_field(field text, low integer, high integer, names text []) returns boolean
language sql immutable set search_path = '' as $$
    select pg_catalog.bool_and(cron._is_item(item, low, high, names))
    from pg_catalog.unnest(pg_catalog.string_to_array(field, ',')) as items (item)
$$;

create function cron._is_schedule(text) returns boolean language plpgsql immutable set search_path = '' as $$
declare
    fields text [] := regexp_split_to_array(btrim($1), '\s+');
    months text [] := '{-,jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}';
    days text [] := '{sun,mon,tue,wed,thu,fri,sat}';
begin
    if $1 ~* '^\s*([1-9]|[1-5][0-9])\s+seconds?\s*$'
        or $1 ~* '^\s*@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)\s*$' then
        return true;
    end if;
    return array_length(fields, 1) = 5
        and cron._is_field(fields[1], 0, 59, '{}')
        and cron._is_field(fields[2], 0, 23, '{}')
        and (fields[3] = '$' or cron._is_field(fields[3], 1, 31, '{}'))
        and cron._is_field(fields[4], 1, 12, months)
        and cron._is_field(fields[5], 0, 7, days);
end
$$;

create function cron._require_schedule(schedule text) returns void language plpgsql immutable
set search_path = '' as $$
begin
    if not cron._is_schedule(schedule) then
        raise exception 'invalid schedule: %', schedule using errcode = '22023',
            hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
    end if;
end
$$;

-- A name that a caller passes on must not be that of a superuser, unless a superuser is logged in.
create function cron._require_caller(caller name) returns void language plpgsql set search_path = '' as $$
begin
    if (select rolsuper from pg_catalog.pg_roles where rolname = caller)
        and not (select rolsuper from pg_catalog.pg_roles where rolname = session_user) then
        raise exception 'permission denied to act as %', caller using errcode = '42501';
    end if;
end
$$;

create function cron._require_login(role text) returns void language plpgsql set search_path = '' as $$
declare
    can_login boolean := (select rolcanlogin from pg_catalog.pg_roles where rolname = role);
begin
    if can_login is null then
        raise exception 'role "%" does not exist', role;
    elsif not can_login then
        raise exception 'role "%" can not log in', role
            using detail = 'Jobs may only be run by roles that have the LOGIN attribute.';
    end if;
end
$$;

create function cron._require_connect(role text, target text) returns void language plpgsql
set search_path = '' as $$
begin
    if not pg_catalog.has_database_privilege(role, target, 'connect') then
        raise exception 'User % does not have CONNECT privilege on %', role, target;
    end if;
end
$$;

create function cron._schedule(
    caller name, job_name text, new_schedule text, new_command text, new_database text, new_active boolean
) returns bigint language plpgsql security definer set search_path = '' as $$
declare
    target text := coalesce(new_database, current_database());
    result bigint;
begin
    perform cron._require_caller(caller);
    if new_schedule is null or new_command is null then
        raise exception '% can not be NULL', case when new_schedule is null then 'schedule' else 'command' end;
    end if;
    perform cron._require_schedule(new_schedule);
    perform cron._require_connect(caller, target);
    -- The port is named: its default is null in a session through the Unix socket.
    insert into cron.job (jobname, schedule, command, nodeport, database, username, active)
    values (
        job_name, new_schedule, new_command, current_setting('port')::integer, target, caller, new_active
    )
    on conflict on constraint jobname_username_uniq do update set
        schedule = excluded.schedule, command = excluded.command,
        database = excluded.database, active = excluded.active
    returning jobid into result;
    return result;
end
$$;

create function cron.schedule(schedule text, command text) returns bigint language sql
as $$ select cron._schedule(current_user, null, schedule, command, null, true) $$;

create function cron.schedule(job_name text, schedule text, command text) returns bigint language plpgsql
as $$
begin
    if job_name is null then
        raise exception 'job_name can not be NULL';
    end if;
    return cron._schedule(current_user, job_name, schedule, command, null, true);
end
$$;

create function cron.schedule_in_database(
    job_name text, schedule text, command text, database text,
    username text default null, active boolean default true
) returns bigint language plpgsql as $$
begin
    if job_name is null then
        raise exception 'job_name can not be NULL';
    end if;
    if username is not null then
        if not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
            raise exception 'must be superuser to create a job for another role';
        end if;
        perform cron._require_login(username);
    end if;
    return cron._schedule(
        coalesce(username, current_user)::name, job_name, schedule, command, database, coalesce(active, true)
    );
end
$$;

create function cron._unschedule(caller name, wanted bigint) returns boolean language plpgsql security definer
set search_path = '' as $$
declare
    owner text := (select username from cron.job where jobid = wanted);
begin
    perform cron._require_caller(caller);
    if owner is null then
        raise exception 'could not find valid entry for job %', wanted;
    end if;
    if owner <> caller and not pg_catalog.has_table_privilege(caller, 'cron.job', 'delete') then
        raise exception 'permission denied for table job' using errcode = '42501';
    end if;
    delete from cron.job where jobid = wanted;
    return true;
end
$$;

create function cron.unschedule(job_id bigint) returns boolean language sql
as $$ select cron._unschedule(current_user, job_id) $$;

create function cron.unschedule(job_name text) returns boolean language plpgsql as $$
declare
    job bigint := (select j.jobid from cron.job as j
                   where j.jobname = unschedule.job_name and j.username = current_user);
begin
    if job is null then
        raise exception 'could not find valid entry for job ''%''', job_name;
    end if;
    return cron._unschedule(current_user, job);
end
$$;

create function cron._alter(
    caller name, wanted bigint, new_schedule text, new_command text, new_database text, new_username text,
    new_active boolean
) returns void language plpgsql security definer set search_path = '' as $$
begin
    perform cron._require_caller(caller);
    perform cron._require_schedule(new_schedule) where new_schedule is not null;
    update cron.job as j set
        schedule = coalesce(new_schedule, j.schedule), command = coalesce(new_command, j.command),
        database = coalesce(new_database, j.database), username = coalesce(new_username, j.username),
        active = coalesce(new_active, j.active)
    where j.jobid = wanted
        and (j.username = caller or pg_catalog.has_table_privilege(caller, 'cron.job', 'update'));
    if not found then
        raise exception 'Job % does not exist or you don''t own it', wanted;
    end if;
    perform cron._require_connect(j.username, j.database) from cron.job as j where j.jobid = wanted;
end
$$;

create function cron.alter_job(
    job_id bigint, schedule text default null, command text default null, database text default null,
    username text default null, active boolean default null
) returns void language plpgsql as $$
begin
    if job_id is null then
        raise exception 'job_id can not be NULL';
    end if;
    if username is not null then
        if not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
            raise exception 'must be superuser to alter username';
        end if;
        perform cron._require_login(username);
    end if;
    perform cron._alter(current_user, job_id, schedule, command, database, username, active);
end
$$;

grant select on cron.job to public;
grant select, delete on cron.job_run_details to public;
revoke execute on function cron.schedule_in_database(text, text, text, text, text, boolean) from public;
revoke execute on function cron.alter_job(bigint, text, text, text, text, boolean) from public;

-- The owner of a hosted project: all functions, no direct writes to jobs, no triggers on the history.
grant usage on schema cron to postgres with grant option;
grant execute on all functions in schema cron to postgres with grant option;
grant all on table cron.job_run_details to postgres with grant option;
grant all on all sequences in schema cron to postgres with grant option;
revoke all on table cron.job from postgres;
grant select on table cron.job to postgres with grant option;
revoke trigger on table cron.job_run_details from postgres;
