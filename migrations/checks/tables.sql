-- The tables of the product are there, and with them the view of members.
select 'table or view public.' || expected.name || ' is missing'
from unnest(array[
    'agent_documents', 'agents', 'api_keys', 'audit_log', 'billing_events', 'conversations', 'credit_balances',
    'credit_entries', 'document_chunks', 'documents', 'founding_grants', 'jobs', 'memberships', 'memory_summaries',
    'messages', 'organization_members', 'organizations', 'profiles', 'subscriptions', 'waitlist_entries'
]) as expected (name)
where to_regclass('public.' || expected.name) is null;
