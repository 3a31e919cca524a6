"""Several methods on one data set as one request: the jobs it makes, in order, and their report."""
