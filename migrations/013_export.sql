-- What belongs to an organization, for its export. The catalog is asked, so that a new table is never forgotten.

create or replace function public.export_tables()
returns table (table_name text, columns text[], order_by text[])
language sql stable
set search_path = ''
as $$
    with owned as (
        select c.oid, c.relname
        from pg_catalog.pg_class as c
        where c.relnamespace = 'public'::regnamespace
            and not c.relispartition
            -- A view counts when it has its reader's rights; any other would pass RLS by.
            and (c.relkind in ('r', 'p') or (c.relkind = 'v' and 'security_invoker=true' = any (c.reloptions)))
            and (
                c.relname = 'organizations'
                or exists (
                    select from pg_catalog.pg_attribute as a
                    where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped
                )
            )
    ), readable as (
        select
            o.oid,
            o.relname,
            array_agg(a.attname::text order by a.attnum) as columns,
            array_agg(a.attname::text order by array_position(k.conkey, a.attnum))
            filter (where a.attnum = any (k.conkey)) as key_columns
        from owned as o
        join pg_catalog.pg_attribute as a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
        left join pg_catalog.pg_constraint as k on k.conrelid = o.oid and k.contype = 'p'
        where has_column_privilege(o.oid, a.attnum, 'select')
        group by o.oid, o.relname
    )
    select r.relname::text, r.columns, coalesce(r.key_columns, r.columns)
    from readable as r
    where r.relname = 'organizations' or 'organization_id' = any (r.columns)
    order by r.relname;
$$;
revoke all on function public.export_tables() from public, anon, authenticated, service_role;
grant execute on function public.export_tables() to authenticated, service_role;
