-- Demo accounts: a way in where there is no mail and no sign-in yet. Off unless the owner turns them on.

insert into private.product_settings (name, value, description)
values ('demo_accounts', 'false', 'Whether the app may make accounts that need no password.')
on conflict (name) do nothing;

create or replace function public.set_demo_accounts(allowed boolean) returns boolean
language plpgsql
set search_path = ''
as $$
declare
    before boolean := private.setting('demo_accounts')::boolean;
begin
    update private.product_settings as s set value = to_jsonb(coalesce(allowed, false)) where s.name = 'demo_accounts';
    return before;
end
$$;

-- Gives out demo accounts only, so that nobody gets into a real account by its address. example.com is reserved by
-- RFC 2606: no person has an address there. The empty tokens are what Supabase Auth itself writes; it cannot read NULL.
create or replace function public.ensure_demo_account(email text) returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
    address text := lower(btrim(ensure_demo_account.email));
    account uuid;
begin
    if not coalesce(private.setting('demo_accounts')::boolean, false) then
        raise exception 'demo accounts are not allowed here'
            using errcode = 'insufficient_privilege', hint = 'The owner may run: select public.set_demo_accounts(true)';
    end if;
    if address is null or address !~ '^[a-z0-9._+-]{1,64}@example\.com$' then
        raise exception 'the address of a demo account lies under example.com'
            using errcode = 'invalid_parameter_value';
    end if;
    -- Two at once would make two accounts.
    perform pg_advisory_xact_lock(hashtextextended('groundwork demo account ' || address, 0));
    select p.id into account from public.profiles as p where p.email = address and p.is_demo;
    if found then
        return account;
    end if;
    if exists (select from auth.users as u where lower(u.email) = address) then
        raise exception 'the account of this address is no demo account' using errcode = 'insufficient_privilege';
    end if;
    insert into auth.users (
        instance_id, id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
        created_at, updated_at, confirmation_token, recovery_token, email_change_token_new, email_change
    )
    values (
        '00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated', address, now(),
        '{"provider": "demo", "providers": ["demo"]}', '{"full_name": "Demo user"}', now(), now(), '', '', '', ''
    )
    returning id into account;
    return account;
end
$$;

revoke all on function public.set_demo_accounts(boolean) from public, anon, authenticated, service_role;
revoke all on function public.ensure_demo_account(text) from public, anon, authenticated, service_role;
grant execute on function public.ensure_demo_account(text) to app_runtime;
