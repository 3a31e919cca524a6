"""A stored model in the layouts of other libraries: a directory in, a directory out.

Each module writes one format, holds what it wrote against the model it came from, and refuses,
with a sentence, what the format cannot hold.
"""
