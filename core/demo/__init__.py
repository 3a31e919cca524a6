"""The drawn multi-domain world and the small CLIP trained on it, to show the effect on a laptop."""
