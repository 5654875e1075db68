-- What a half-done change leaves behind.
select format('constraint %I on %s is not validated', c.conname, c.conrelid::regclass)
from pg_catalog.pg_constraint as c
where c.connamespace in ('public'::regnamespace, 'private'::regnamespace) and not c.convalidated;

select format('index %s is invalid', i.indexrelid::regclass)
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
    and not (i.indisvalid and i.indisready);

select format('foreign key %I on %s has no index that starts with its columns', c.conname, c.conrelid::regclass)
from pg_catalog.pg_constraint as c
where c.connamespace = 'public'::regnamespace and c.contype = 'f'
    and not exists (
        select from pg_catalog.pg_index as i
        where i.indrelid = c.conrelid
            and (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] @> c.conkey
    );

select format('table %s has no primary key', c.oid::regclass)
from pg_catalog.pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    and not exists (select from pg_catalog.pg_constraint as k where k.conrelid = c.oid and k.contype = 'p');

select format('public.%s.%s has no HNSW index', expected.relation, 'embedding')
from unnest(array['document_chunks', 'memory_summaries']) as expected (relation)
where not exists (
    select from pg_catalog.pg_index as i
    join pg_catalog.pg_class as c on c.oid = i.indexrelid
    join pg_catalog.pg_am as a on a.oid = c.relam
    where i.indrelid = to_regclass('public.' || expected.relation) and a.amname = 'hnsw' and i.indisvalid
);
