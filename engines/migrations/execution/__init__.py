"""The ways that a file is run: whole, together with others, in units."""
