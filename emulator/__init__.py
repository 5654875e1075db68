"""A stand-in for the Supabase cloud: its Management API over real PostgreSQL servers, reached only by URL.

It is a fake, used where the real service cannot be had: on a laptop and in tests. What it answers is held to
the published contract by tests/emulator/.
"""
