"""What a stack declares: one noun a file, each a component with its children and outputs."""
