"""The science: robust fine-tuning of CLIP-like models with torch and open_clip, usable alone.

Nothing here knows of files, jobs or users of the service. `core.learning.methods` and
`core.learning.combine` import without torch, so that the API can validate hyperparameters.
"""
