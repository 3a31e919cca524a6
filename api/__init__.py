"""The HTTP service: OpenAI's and Hugging Face's shapes over the records and the object store.

Importing it loads no torch; `api.serving` is a process of its own.
"""
