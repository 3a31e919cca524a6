"""One file per resource, thin: parse, call core, answer."""
