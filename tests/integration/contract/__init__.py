"""The OpenAPI document held against the running service, request by request, by schemathesis."""
