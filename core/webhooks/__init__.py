"""Webhooks by the Standard Webhooks specification, 1.0: what is said, how it is signed and sent."""
