"""Jobs while everything around them dies: real servers and processes, a seeded schedule of faults.

`python -m tests.chaos` runs it, `make chaos` in full; docs/durability.md has what it found.
"""
