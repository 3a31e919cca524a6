"""Archives and images: what is accepted, and every attack that is refused."""
