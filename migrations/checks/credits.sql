-- The books balance.
select format(
    'organization %s has a balance of %s, but its entries sum up to %s', o.id, b.balance, coalesce(e.total, 0)
)
from public.organizations as o
left join public.credit_balances as b on b.organization_id = o.id
left join (
    select organization_id, sum(amount) as total from public.credit_entries group by organization_id
) as e on e.organization_id = o.id
where b.balance is distinct from coalesce(e.total, 0);

select format('organization %s has a negative balance: %s', organization_id, balance)
from public.credit_balances
where balance < 0;

select format('credit entry %s left a negative balance: %s', id, balance_after)
from public.credit_entries
where balance_after < 0;

select format('refund %s gives back %s for a charge of %s', r.id, r.amount, - c.amount)
from public.credit_entries as r
join public.credit_entries as c on c.id = r.refund_of
where r.kind = 'refund' and (c.kind <> 'charge' or r.amount > - c.amount);
