"""One statement in many batches, beside a product that is in use."""
