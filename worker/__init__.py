"""The doorbell, the supervisor that owns jobs, the trainer process, the sweeper."""
