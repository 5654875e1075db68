-- The part of pgcrypto that PostgreSQL's built-in functions can do; the installation has no OpenSSL.
-- Missing: crypt, gen_salt, encrypt, decrypt, the pgp_* functions, and the digests sha1 and others of OpenSSL.
\echo Use "create extension" to load this file. \quit

create function digest(bytea, text) returns bytea language plpgsql immutable strict parallel safe
as $$
begin
    case lower($2)
        when 'md5' then return decode(md5($1), 'hex');
        when 'sha224' then return sha224($1);
        when 'sha256' then return sha256($1);
        when 'sha384' then return sha384($1);
        when 'sha512' then return sha512($1);
        else raise exception 'Cannot use "%": No such hash algorithm', $2 using errcode = '22023';
    end case;
end
$$;
create function digest(text, text) returns bytea language sql immutable strict parallel safe
as $$ select @extschema@.digest(convert_to($1, 'UTF8'), $2) $$;

-- HMAC by RFC 2104: the key is hashed when longer than the block, padded with zero bytes, and xored.
create function hmac(data bytea, key bytea, type text) returns bytea language plpgsql immutable strict parallel safe
as $$
declare
    block integer := case when lower(type) in ('sha384', 'sha512') then 128 else 64 end;
    inner_pad bytea := ''::bytea;
    outer_pad bytea := ''::bytea;
    padded bytea;
begin
    padded := case when length(key) > block then @extschema@.digest(key, type) else key end;
    padded := padded || decode(repeat('00', block - length(padded)), 'hex');
    inner_pad := padded;
    outer_pad := padded;
    for i in 0..block - 1 loop
        inner_pad := set_byte(inner_pad, i, get_byte(padded, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(padded, i) # 92);
    end loop;
    return @extschema@.digest(outer_pad || @extschema@.digest(inner_pad || data, type), type);
end
$$;
create function hmac(text, text, text) returns bytea language sql immutable strict parallel safe
as $$ select @extschema@.hmac(convert_to($1, 'UTF8'), convert_to($2, 'UTF8'), $3) $$;

-- gen_random_uuid() has 122 random bits (bytes 6 and 8 hold version and variant): hashed, 16 bytes stay uniform.
create function gen_random_bytes(integer) returns bytea language plpgsql volatile strict parallel safe
as $$
declare
    result bytea := ''::bytea;
begin
    if $1 < 1 or $1 > 1024 then
        raise exception 'Length not in range' using errcode = '22023';
    end if;
    while length(result) < $1 loop
        result := result || substr(sha256(
            uuid_send(pg_catalog.gen_random_uuid()) || uuid_send(pg_catalog.gen_random_uuid())), 1, 16);
    end loop;
    return substr(result, 1, $1);
end
$$;
create function gen_random_uuid() returns uuid language sql volatile parallel safe
as $$ select pg_catalog.gen_random_uuid() $$;
