"""Sessions with a database: messages, the lock of a run, waiting for locks, poolers."""
