-- uuid-ossp on PostgreSQL's own functions; the C library of the original is not in the installation.
-- Versions 1 (time and MAC address) and 1mc use random node bits, which RFC 9562 section 6.10 allows.
\echo Use "create extension" to load this file. \quit

create function uuid_nil() returns uuid language sql immutable strict parallel safe
as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;
create function uuid_ns_dns() returns uuid language sql immutable strict parallel safe
as $$ select '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_url() returns uuid language sql immutable strict parallel safe
as $$ select '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_oid() returns uuid language sql immutable strict parallel safe
as $$ select '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_x500() returns uuid language sql immutable strict parallel safe
as $$ select '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid $$;

create function uuid_generate_v4() returns uuid language sql volatile strict parallel safe
as $$ select pg_catalog.gen_random_uuid() $$;

-- Version 1: 100 ns ticks since 1582-10-15 (12219292800 s before 1970); clock sequence and node are random.
create function uuid_generate_v1mc() returns uuid language sql volatile strict parallel safe
as $$
    select (substr(t, 9, 8) || '-' || substr(t, 5, 4) || '-1' || substr(t, 2, 3) || '-' || substr(r, 17, 4) || '-'
        || lpad(to_hex(get_byte(decode(substr(r, 21, 2), 'hex'), 0) | 1), 2, '0') || substr(r, 23))::uuid
    from (select
        lpad(to_hex(((extract(epoch from clock_timestamp()) + 12219292800) * 10000000)::bigint), 16, '0') as t,
        replace(pg_catalog.gen_random_uuid()::text, '-', '') as r
    ) as parts
$$;
create function uuid_generate_v1() returns uuid language sql volatile strict parallel safe
as $$ select @extschema@.uuid_generate_v1mc() $$;

-- Versions 3 and 5: a hash of name space and name, with version and variant bits set.
create function uuid_generate_v3(namespace uuid, name text) returns uuid
language sql immutable strict parallel safe
as $$
    select encode(set_byte(set_byte(h, 6, get_byte(h, 6) & 15 | 48), 8, get_byte(h, 8) & 63 | 128), 'hex')::uuid
    from (select decode(md5(uuid_send(namespace) || convert_to(name, 'UTF8')), 'hex') as h) as hashed
$$;

-- All bit operators of PostgreSQL bind alike, hence the brackets.
-- SHA-1 by RFC 3174 section 6.1; PostgreSQL has no such function of its own. Values are 32 bits in a bigint.
create function _sha1(message bytea) returns bytea language plpgsql immutable strict parallel safe
set search_path = '' as $$
declare
    mask constant bigint := 4294967295;
    padded bytea := message || '\x80'::bytea
        || decode(repeat('00', (119 - length(message) % 64) % 64), 'hex') || int8send(length(message) * 8::bigint);
    state bigint [] := '{1732584193,4023233417,2562383102,271733878,3285377520}';
    v bigint [];
    w bigint [];
    mixed bigint;
    rotated bigint;
begin
    for block in 0..length(padded) / 64 - 1 loop
        v := state;
        for t in 0..79 loop
            if t < 16 then
                w[t] := ('x' || encode(substr(padded, block * 64 + t * 4 + 1, 4), 'hex'))::bit(32)::bigint & mask;
            else
                mixed := w[t - 3] # w[t - 8] # w[t - 14] # w[t - 16];
                w[t] := ((mixed << 1) | (mixed >> 31)) & mask;
            end if;
            mixed := case t / 20
                when 0 then ((v[2] & v[3]) | ((v[2] # mask) & v[4])) + 1518500249
                when 2 then ((v[2] & v[3]) | (v[2] & v[4]) | (v[3] & v[4])) + 2400959708
                when 1 then (v[2] # v[3] # v[4]) + 1859775393
                else (v[2] # v[3] # v[4]) + 3395469782
            end;
            rotated := ((v[1] << 5) | (v[1] >> 27)) & mask;
            mixed := (rotated + mixed + v[5] + w[t]) & mask;
            v := array[mixed, v[1], ((v[2] << 30) | (v[2] >> 2)) & mask, v[3], v[4]];
        end loop;
        for i in 1..5 loop
            state[i] := (state[i] + v[i]) & mask;
        end loop;
    end loop;
    return decode(
        (select string_agg(lpad(to_hex(s), 8, '0'), '' order by i) from unnest(state) with ordinality as u (s, i)), 'hex'
    );
end
$$;
create function uuid_generate_v5(namespace uuid, name text) returns uuid
language sql immutable strict parallel safe
as $$
    select encode(set_byte(set_byte(h, 6, get_byte(h, 6) & 15 | 80), 8, get_byte(h, 8) & 63 | 128), 'hex')::uuid
    from (select substr(@extschema@._sha1(uuid_send(namespace) || convert_to(name, 'UTF8')), 1, 16) as h) as hashed
$$;
