"""What a job is: the request a user writes and the resolved specification a trainer runs."""
