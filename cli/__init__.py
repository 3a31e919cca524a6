"""`lipsum ...`: the service's processes, an operator's tools, and a client of the public API."""
