"""What was done, as the database knows it, and what a run says of itself there."""
