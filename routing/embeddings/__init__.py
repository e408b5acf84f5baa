"""``POST /v1/embeddings``: texts in, vectors out, of one model and never of another."""
