"""What does the work: plain Python on PostgreSQL, HTTP and processes, usable without Pulumi."""
