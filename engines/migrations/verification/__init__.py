"""What must hold after a run: what the files made, what rules ask for, and that no rows were lost."""
