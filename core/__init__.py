"""What the service knows: settings, learning, datasets, objects, records. No web, no queue."""
