-- The waitlist. A visitor may join and learns nothing: not who is on it, not whether an address was known.

create table if not exists public.waitlist_entries (
    id bigint generated always as identity primary key,
    email text not null check (length(email) <= 254 and email like '%_@_%'),
    source text check (length(source) <= 100),
    created_at timestamptz not null default now()
);
create unique index if not exists waitlist_entries_email_idx on public.waitlist_entries (lower(email));

create or replace function public.join_waitlist(email text, source text default null) returns void
language plpgsql security definer
set search_path = ''
as $$
declare
    address text := btrim(join_waitlist.email);
begin
    -- The limit is RFC 5321's; more of the syntax is proved by sending a mail.
    if address is null or length(address) > 254 or address !~ '^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$' then
        raise exception 'this is no e-mail address' using errcode = 'invalid_parameter_value';
    end if;
    insert into public.waitlist_entries (email, source)
    values (address, left(nullif(btrim(join_waitlist.source), ''), 100))
    on conflict do nothing;
end
$$;
revoke all on function public.join_waitlist(text, text) from public, anon, authenticated, service_role;
grant execute on function public.join_waitlist(text, text) to anon, authenticated;

alter table public.waitlist_entries enable row level security;
revoke all on table public.waitlist_entries from public, anon, authenticated, service_role;
grant select, insert, update, delete on table public.waitlist_entries to service_role;

-- The server's own table, see 006.
drop policy if exists waitlist_entries_service on public.waitlist_entries;
create policy waitlist_entries_service on public.waitlist_entries for all to service_role
using (true) with check (true);
