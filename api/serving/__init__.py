"""The inference process: its own app, model cache and batcher. The only room of `api` with torch.

It knows no users and no database: the API, which is its only client, names a stored model by
key and digest. Nothing of `api` outside this folder is imported here, nor the other way round.
"""
