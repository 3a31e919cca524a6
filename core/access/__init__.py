"""Who may do what and how much of it: scopes of keys, how keys are hashed, limits."""
