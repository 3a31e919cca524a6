<<<<<<< HEAD
"""Measurements, each run by one command that prints JSON; their results are in docs/results."""
=======
"""Measurements that are run by hand; their results are kept in docs/results."""
>>>>>>> resume
