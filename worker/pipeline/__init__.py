"""What a trainer process does with one job, phase by phase: no database, no queue."""
