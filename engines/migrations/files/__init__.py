"""What a folder of migrations holds: names, texts, directives."""
