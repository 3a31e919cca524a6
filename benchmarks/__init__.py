"""Measurements, each run by one command that prints JSON. They need nothing but this machine."""
