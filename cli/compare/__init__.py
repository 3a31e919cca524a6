"""`lipsum compare`: several methods on one data set, followed to the report."""
