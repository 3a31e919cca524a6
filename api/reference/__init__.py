"""The API's description: the OpenAPI document, and a page that shows it without any script."""
