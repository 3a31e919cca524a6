"""Archive -> checked, indexed, immutable dataset version."""
