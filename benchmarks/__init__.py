"""Measurements, each run by one command that prints JSON; their results are in docs/results."""
