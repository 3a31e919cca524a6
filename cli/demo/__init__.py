"""`lipsum demo`: the main job, end to end, through the public API, and every answer checked."""
