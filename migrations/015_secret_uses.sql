-- Which version of a secret was last used, and by which service. A rotation retires an old version only when it has
-- been out of use for a while: in all replicas of a service, and past their restarts.

create table if not exists private.secret_use (
    secret text not null check (secret ~ '^[a-z][a-z0-9_]{0,62}$'),
    version integer not null check (version > 0),
    service text not null check (service in ('app', 'agent')),
    last_used_at timestamptz not null,
    primary key (secret, version, service)
);
comment on table private.secret_use is 'Written by note_secret_use, read by the owner before a version is retired.';

-- Who used it is not for the caller to say: it is the group of the login, whatever role the session has taken on.
create or replace function public.note_secret_use(secret text, version integer) returns void
language plpgsql security definer
set search_path = ''
as $$
declare
    services text[] := array(
        select replace(g.name, '_runtime', '')
        from unnest(array['app_runtime', 'agent_runtime']) as g (name)
        where pg_has_role(session_user, g.name, 'MEMBER')
    );
begin
    if cardinality(services) <> 1 then
        raise exception '% is not the login of one service', session_user using errcode = 'insufficient_privilege';
    end if;
    if (note_secret_use.secret ~ '^[a-z][a-z0-9_]{0,62}$' and note_secret_use.version > 0) is not true then
        raise exception 'this is no secret''s name and version' using errcode = 'invalid_parameter_value';
    end if;
    insert into private.secret_use as u (secret, version, service, last_used_at)
    values (note_secret_use.secret, note_secret_use.version, services[1], clock_timestamp())
    on conflict on constraint secret_use_pkey do update
    -- Of two replicas the later one is right, in whatever order they get to the row.
    set last_used_at = greatest(u.last_used_at, excluded.last_used_at);
end
$$;

revoke all on table private.secret_use from public, anon, authenticated, service_role;
revoke all on function public.note_secret_use(text, integer) from public, anon, authenticated, service_role;
grant execute on function public.note_secret_use(text, integer) to app_runtime, agent_runtime;
