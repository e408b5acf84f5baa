"""The story of a request (plan, admit, forward, settle) and the catalogue it chooses from."""
