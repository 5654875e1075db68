"""What a project's own URL serves: auth, rest and storage, each as healthy as the project's database."""
