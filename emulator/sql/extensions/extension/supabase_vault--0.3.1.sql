-- Vault's interface with a cipher of the stand-in's own: the installation has no libsodium and no OpenSSL.
-- The keystream is SHA-512 over key, nonce and counter, xored onto the text; a tag over key, row id, nonce and
-- ciphertext binds it to its row. The key lies in a file of the
-- data folder, which only a superuser reads. Not Supabase's cipher:
-- nothing leaves or enters a real project in this form.
\echo Use "create extension" to load this file. \quit

create function vault._key() returns bytea language plpgsql stable set search_path = '' as $$
declare
    key bytea := pg_catalog.pg_read_binary_file('emulator_vault.key');
begin
    if pg_catalog.length(key) <> 64 then
        raise exception 'the server key of Vault is damaged';
    end if;
    return key;
end
$$;

create table vault.secrets (
    id uuid primary key default gen_random_uuid(),
    name text,
    description text not null default '',
    secret text not null,
    key_id uuid,
    nonce bytea,
    created_at timestamptz not null default current_timestamp,
    updated_at timestamptz not null default current_timestamp
);
create unique index on vault.secrets using btree (name) where name is not null;
comment on table vault.secrets is 'Table with encrypted `secret` column for storing sensitive information on disk.';

select pg_extension_config_dump('vault.secrets', '');

create function vault._xor(data bytea, key bytea, nonce bytea) returns bytea
language plpgsql immutable strict set search_path = '' as $$
declare
    stream bytea;
    result bytea := data;
begin
    for i in 0..length(data) - 1 loop
        if i % 64 = 0 then
            stream := pg_catalog.sha512(key || nonce || pg_catalog.int4send(i / 64));
        end if;
        result := pg_catalog.set_byte(result, i, pg_catalog.get_byte(data, i) # pg_catalog.get_byte(stream, i % 64));
    end loop;
    return result;
end
$$;

create function vault._tag(data bytea, additional bytea, key bytea, nonce bytea) returns bytea
language sql immutable strict set search_path = '' as $$
    select pg_catalog.substr(pg_catalog.sha512(key || pg_catalog.sha512(
        'tag'::bytea || key || nonce || additional || data)), 1, 32)
$$;

create function vault._crypto_aead_det_encrypt(
    message bytea, additional bytea, key_id bigint, context bytea default 'pgsodium', nonce bytea default null
) returns bytea language plpgsql security definer set search_path = '' as $$
declare
    key bytea := vault._key();
    sealed bytea;
begin
    sealed := vault._xor(message, key, nonce);
    return vault._tag(sealed, additional, key, nonce) || sealed;
end
$$;

create function vault._crypto_aead_det_decrypt(
    message bytea, additional bytea, key_id bigint, context bytea default 'pgsodium', nonce bytea default null
) returns bytea language plpgsql stable security definer set search_path = '' as $$
declare
    key bytea := vault._key();
    sealed bytea := pg_catalog.substr(message, 33);
begin
    if vault._tag(sealed, additional, key, nonce) is distinct from pg_catalog.substr(message, 1, 32) then
        raise exception 'invalid ciphertext' using errcode = '22000';
    end if;
    return vault._xor(sealed, key, nonce);
end
$$;

create function vault._crypto_aead_det_noncegen() returns bytea language sql volatile set search_path = '' as $$
    select pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
$$;

create view vault.decrypted_secrets as
select
    s.id,
    s.name,
    s.description,
    s.secret,
    convert_from(
        vault._crypto_aead_det_decrypt(
            message => decode(s.secret, 'base64'), additional => convert_to(s.id::text, 'utf8'),
            key_id => 0, context => 'pgsodium'::bytea, nonce => s.nonce
        ), 'utf8'
    ) as decrypted_secret,
    s.key_id,
    s.nonce,
    s.created_at,
    s.updated_at
from vault.secrets as s;

create function vault.create_secret(
    new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
) returns uuid language plpgsql security definer set search_path = '' as $$
declare
    new_id uuid := pg_catalog.gen_random_uuid();
    new_nonce bytea := vault._crypto_aead_det_noncegen();
begin
    insert into vault.secrets (id, name, description, secret, nonce) values (
        new_id, new_name, new_description,
        encode(vault._crypto_aead_det_encrypt(
            convert_to(new_secret, 'utf8'), convert_to(new_id::text, 'utf8'), 0, 'pgsodium'::bytea, new_nonce
        ), 'base64'),
        new_nonce
    );
    return new_id;
end
$$;

create function vault.update_secret(
    secret_id uuid, new_secret text default null, new_name text default null,
    new_description text default null, new_key_id uuid default null
) returns void language plpgsql security definer set search_path = '' as $$
declare
    new_nonce bytea := vault._crypto_aead_det_noncegen();
begin
    update vault.secrets as s set
        secret = case when new_secret is null then s.secret else encode(vault._crypto_aead_det_encrypt(
            convert_to(new_secret, 'utf8'), convert_to(s.id::text, 'utf8'), 0, 'pgsodium'::bytea, new_nonce
        ), 'base64') end,
        nonce = case when new_secret is null then s.nonce else new_nonce end,
        name = coalesce(new_name, s.name),
        description = coalesce(new_description, s.description),
        updated_at = pg_catalog.now()
    where s.id = secret_id;
end
$$;

revoke all on all functions in schema vault from public;
grant usage on schema vault to postgres with grant option;
grant usage on schema vault to service_role;
grant select, delete on table vault.secrets, vault.decrypted_secrets to postgres with grant option;
grant select, delete on table vault.secrets, vault.decrypted_secrets to service_role;
grant execute on function
    vault.create_secret(text, text, text, uuid),
    vault.update_secret(uuid, text, text, text, uuid),
    vault._crypto_aead_det_decrypt(bytea, bytea, bigint, bytea, bytea)
to postgres with grant option;
grant execute on function
    vault.create_secret(text, text, text, uuid),
    vault.update_secret(uuid, text, text, text, uuid),
    vault._crypto_aead_det_decrypt(bytea, bytea, bigint, bytea, bytea)
to service_role;
